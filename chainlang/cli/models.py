"""``chainlang models``: list the models that names mean, and the providers that can be asked."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chainlang import tiny
from chainlang.cli.flags import examples
from chainlang.cli.output import emit
from chainlang.errors import error_of


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "models",
        help=about,
        description="List the models of models.toml, and the providers with their address and the "
        "variable of their key. Nothing is sent without --discover or --probe.",
        usage="%(prog)s [NAME...] [options]",
        epilog=examples(
            "chainlang models",
            "chainlang models gpt-4o",
            "chainlang models gpt-4o --probe",
            "chainlang models --discover",
        ),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="show all that is known of it")
    parser.add_argument(
        "--discover",
        action="store_true",
        help="ask the providers whose key is set, and local servers, for their models; an answer "
        "is kept for an hour",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="with --discover, ask again within the hour"
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="send the server of NAME a few short requests to find whether it honours schemas, "
        "several samples, seeds and log probabilities; what is found is kept for a month",
    )
    parser.add_argument("--json", action="store_true", help="print the models as JSON")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the list; return 1 if a provider that was asked has failed."""
    from chainlang.models.discovery import Discovered, discover

    if options.probe:
        if not options.names:
            options.whole().error("--probe needs the name of a model")
        return _probe(options.names, as_json=options.json)
    if options.names:
        return _show(options.names, as_json=options.json)
    if options.fresh and not options.discover:
        options.whole().error("--fresh is an option of --discover")
    found: tuple[Discovered, ...] = discover(fresh=options.fresh) if options.discover else ()
    if options.json:
        emit(json.dumps(_document(found), indent=2))
    else:
        for line in (*_declared(), *(_discovered(found) if options.discover else _providers())):
            emit(line)
    return int(any(one.error and not _is_local(one.provider) for one in found))


def _show(names: Sequence[str], *, as_json: bool) -> int:
    """Print what each name means, and each fact with its source.

    Raises `EngineError` for a name that is none of a model, a folder or the hub.
    """
    from chainlang.models.declaration import Declaration
    from chainlang.models.facts import facts_of
    from chainlang.models.lookup import lookup, policy_of
    from chainlang.models.policy import SIGN
    from chainlang.session.engine_pool import check_name
    from chainlang.settings import RunSettings

    settings = RunSettings.of({})
    document: dict[str, Any] = {}
    for name in names:
        if name.startswith(SIGN):
            policy = policy_of(name, settings)
            document[name] = {"policy": str(policy)}
            if not as_json:
                emit(f"{name}: {policy}")
            continue
        found = lookup(name, settings)
        if found is None:
            check_name(name, (), settings)
            document[name] = {}
            if not as_json:
                emit(f"{name}: {_unlisted(name)}")
            continue
        model = found.model
        known = facts_of(model, settings)
        document[name] = {
            key: {"value": str(one.value), "source": one.source, "date": one.date}
            for key, one in known.items()
        }
        if not as_json:
            made = Declaration(model.engine, model.source, model.settings)
            emit(f"{name}: {made}, said by {found.origin}")
            for key, one in known.items():
                source = f"{one.source} {one.date or ''}"
                emit(f"  {key:17}  {shown_fact(one.value):42}  {source}".rstrip())
    if as_json:
        emit(json.dumps(document, indent=2))
    return 0


def _unlisted(name: str) -> str:
    """Return what a name is that is no model of a server and of no file."""
    if name == tiny.NAME:
        return "the model in the package"
    what = "a folder" if Path(name).exists() else "a name on the hub"
    return f"{what}, which vLLM loads; nothing is known of it here"


def _probe(names: Sequence[str], *, as_json: bool) -> int:
    """Print what the servers of some models honour.

    Raises `EngineError` for a model that has no server, or one with another protocol.
    """
    from attrs import asdict

    from chainlang.models.lookup import lookup
    from chainlang.models.open_engines import arguments_of, probed
    from chainlang.models.server_arguments import reached
    from chainlang.session.engine_pool import check_name
    from chainlang.settings import RunSettings

    settings = RunSettings.of({})
    document = {}
    for name in names:
        found = lookup(name, settings)
        if found is None:
            check_name(name, (), settings)
        if found is None or found.model.engine != "openai":
            message = f"{name} is no model of a server with OpenAI's protocol"
            hint = "there is nothing to probe: what it honours is known"
            raise error_of("engine", message, hint, kind="model", subject=name)
        arguments = reached(found.model, arguments_of(found.model), settings)
        one = probed(found.model, arguments)
        document[name] = asdict(one)
        if not as_json:
            emit(f"{name}: {one}")
    if as_json:
        emit(json.dumps(document, indent=2))
    return 0


def shown_fact(value: object) -> str:
    """Return the value of a fact as words."""
    from chainlang.protocol.price import Price, dollars

    match value:
        case Price(gpu_hour=hour) if hour is not None:
            return f"{dollars(hour)} an hour"
        case Price():
            cached = "" if value.cached is None else f", {dollars(value.cached)} cached"
            return f"{dollars(value.input)} in{cached}, {dollars(value.output)} out, a million"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(str, value))
    return str(value)


def _is_local(provider: str) -> bool:
    """Return whether a provider is a server of the user's own, which may not run."""
    from chainlang.engines.hosts import host_named

    host = host_named(provider)
    return host is not None and host.variable is None


def _files() -> Iterator[Any]:
    from chainlang.models.files import models_files
    from chainlang.settings import RunSettings

    yield from models_files(RunSettings.of({}).allowed_env)


def _declared() -> Iterator[str]:
    for file in _files():
        yield f"MODELS of {file.path}"
        width = max(map(len, file.models), default=0)
        yield from (f"  {name:{width}}  {one}" for name, one in file.models.items())
        yield ""


def _providers() -> Iterator[str]:
    """Yield the providers, with their address and the variable of their key."""
    from chainlang.engines.hosts import HOSTS
    from chainlang.models.providers import address_of, key_variable

    yield "PROVIDERS, as in E:groq:llama-3.3-70b-versatile"
    for host in HOSTS:
        key = key_variable(host)
        said = "needs no key" if host.variable is None else f"{host.variable} is not set"
        said = said if key is None else f"{key} is set"
        yield f"  {host.prefix:10}  {address_of(host):55}  {said}"


def _discovered(found: Any) -> Iterator[str]:
    for one in found:
        yield f"{one.provider.upper()} at {one.url}"
        if one.error:
            yield f"  {one.error}"
        yield from (f"  {one.provider}:{name}" for name in one.models)


def _document(found: Any) -> dict[str, Any]:
    from chainlang.engines.hosts import HOSTS
    from chainlang.models.providers import address_of, key_variables

    return {
        "models": [
            {"name": name, "model": str(one), "file": file.path}
            for file in _files()
            for name, one in file.models.items()
        ],
        "providers": [
            {
                "name": host.prefix,
                "url": address_of(host),
                "key": host.variable,
                "has_key": any(os.environ.get(name) for name in key_variables(host)),
            }
            for host in HOSTS
        ],
        "discovered": [
            {"provider": one.provider, "url": one.url, "models": one.models, "error": one.error}
            for one in found
        ],
    }
