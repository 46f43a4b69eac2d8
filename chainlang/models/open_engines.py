"""Engines of models: opened once, shared by chains, and closed at exit."""

from __future__ import annotations

import atexit
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from chainlang import plugins, tiny
from chainlang.diagnostics.suggest import unknown
from chainlang.engines.per_process import PerProcess
from chainlang.engines.protocol import Engine, is_adapting, is_loadable
from chainlang.errors import SettingError, error_of
from chainlang.interrupts import loading
from chainlang.ir.declarations import Environment, Model, Setting
from chainlang.ir.model_settings import ABOUT, OF_ADAPTERS, SERVERS
from chainlang.ir.tables import plain
from chainlang.ir.tools import MCP
from chainlang.models.kept_files import cache_folder
from chainlang.models.probing import Probed, keep, kept
from chainlang.models.server_arguments import reached
from chainlang.models.tool_servers import opened_server, whole_arguments
from chainlang.protocol.programs import sandbox_of
from chainlang.protocol.secret import Secret
from chainlang.settings import Progress, RowSettings

if TYPE_CHECKING:
    from chainlang.engines.http.engine import ServerEngine

_OPEN: PerProcess[tuple[Any, ...], Engine] = PerProcess()
_NAMES: dict[tuple[Any, ...], dict[str, None]] = {}
"""Names that chains have called the model of an engine by, in the order of their use."""


@frozen
class OpenEngine:
    """An engine that is open, and what it runs."""

    names: tuple[str, ...]
    """Names that chains have called its model by."""
    kind: str
    """Kind of the engine: vllm, openai, fake."""
    source: str
    """The engine's name of the model."""
    engine: Engine = field(repr=False)

    @property
    def loaded(self) -> bool:
        """Whether its model is in memory; false for one on a server."""
        return is_loadable(self.engine) and self.engine.loaded


def opened(
    model: Model, settings: RowSettings, adapters: Iterable[str] = (), *, probes: bool = True
) -> Engine:
    """Return the engine of a model with room for adapters; another one if it is loaded without.

    No model is loaded. A server is looked for, unless without `probes`.
    """
    arguments = arguments_of(model)
    if model.engine == MCP:
        arguments = whole_arguments(model, arguments, settings)
    if model.engine in SERVERS:
        arguments = reached(model, arguments, settings)
        if arguments.get("batch"):
            arguments["batch_folder"] = cache_folder() / "batches"

    def made() -> Engine:
        with loading():
            return _open(model, arguments, settings.say, probes=probes)

    adapters = tuple(adapters)
    for number in itertools.count():
        key = _key(model, arguments, number, adapts=bool(adapters))
        engine = _OPEN.open(key, made)
        if not is_adapting(engine) or engine.has_room_for(adapters):
            _NAMES.setdefault(key, {})[model.name] = None
            return engine
    raise AssertionError


def found_open(model: Model) -> Engine | None:
    """Return the engine of a model, with or without adapters, if it is open."""
    arguments = arguments_of(model)
    keys = (_key(model, arguments, adapts=adapts) for adapts in (False, True))
    return next(filter(None, map(_OPEN.find, keys)), None)


def of_base(model: Model) -> list[Setting]:
    """Return the arguments of the engine of a model, by name; not those of its adapter.

    Models that are equal in these share an engine.
    """
    found = (one for one in model.settings if one.name not in OF_ADAPTERS | ABOUT)
    return sorted(found, key=lambda one: one.name)


def arguments_of(model: Model) -> dict[str, Any]:
    """Return the arguments of the engine of a model, with the values of variables.

    Raises `EngineError` for a variable that is not set.
    """
    return {one.name: _value(one.value, model) for one in of_base(model)}


def _key(
    model: Model, arguments: Mapping[str, Any], number: int = 0, *, adapts: bool
) -> tuple[Any, ...]:
    """Return the key of an engine of a model in the pool: of the first, with or without adapters.

    An engine with adapters can do less, so models without any have another one.
    """
    hashable = ((name, _hashable(value)) for name, value in sorted(arguments.items()))
    return (number, adapts, model.engine, model.source, *hashable)


def _hashable(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value


def _open(
    model: Model, arguments: dict[str, Any], progress: Progress | None, *, probes: bool
) -> Engine:
    if model.engine == "fake":
        from chainlang.engines.fake import FakeEngine

        return FakeEngine()
    if sandbox_of(model.name) is not None:
        from chainlang.engines.sandbox.engine import SandboxEngine

        return SandboxEngine(model.source)
    if model.engine == MCP:
        return opened_server(model, arguments)
    if model.engine in SERVERS:
        server = _server(model, arguments, progress)
        if probes:
            server.probe()
        if progress is not None:
            doubt = "the server may interpret special tokens in values"
            where = ", ".join(server.urls)
            progress(f"requests for {model.source} go to {where}; {doubt}")
        return server
    if (plugin := plugins.find("engines", model.engine)) is not None:
        made: Engine = plugin.load()(model.source, **arguments)
        return made
    from chainlang.engines.vllm.engine import VllmEngine

    return VllmEngine(source_of(model), progress=progress, loaded=False, **arguments)


def _server(model: Model, arguments: dict[str, Any], progress: Progress | None) -> ServerEngine:
    if model.engine == "anthropic":
        from chainlang.engines.anthropic.engine import AnthropicEngine

        return AnthropicEngine(model.source, **arguments)
    from chainlang.engines.openai.engine import OpenAIEngine

    engine = OpenAIEngine(model.source, **arguments)
    found = kept(engine.url, model.source)
    if found is None and any(one.name == "probe" and one.value is True for one in model.settings):
        found = probed(model, arguments)
    if found is None:
        return engine
    if progress is not None:
        progress(str(found))
    engine.close()
    return OpenAIEngine(model.source, honours=found.honours, **arguments)


def probed(model: Model, arguments: Mapping[str, Any]) -> Probed:
    """Return what a probe of the server of a model finds, and keep it.

    Raises `EngineError` if the server does not answer.
    """
    from chainlang.engines.openai.engine import OpenAIEngine
    from chainlang.engines.openai.features import ALL, features

    one_by_one = {name: value for name, value in arguments.items() if name != "batch"}
    engine = OpenAIEngine(model.source, honours=ALL, **one_by_one)
    try:
        engine.probe()
        honours = features(engine, model.source)
    finally:
        engine.close()
    found = Probed(engine.url, model.source, date.today().isoformat(), honours)
    keep(found)
    return found


def source_of(model: Model) -> str | Path:
    """Return the path or repository of a model for vLLM."""
    if model.source != tiny.NAME:
        return model.source
    folder = tiny.path()
    if not (folder / "config.json").is_file():
        message = f"the model '{tiny.NAME}' has no weights in {folder}"
        hint = "make them: python examples/train_tiny.py; or name another model"
        raise error_of("engine", message, hint, kind="model", subject=model.source)
    return folder


def opened_once(
    name: str, kind: str, source: str, more: Iterable[Any], make: Callable[[], Engine]
) -> Engine:
    """Return the open engine of a kind for a model, where `more` is equal; `make` it if none is.

    `name` is what chains call the model.
    """
    key = (0, False, kind, source, *more)
    engine = _OPEN.open(key, make)
    _NAMES.setdefault(key, {})[name] = None
    return engine


def _value(value: object, model: Model) -> Any:
    if not isinstance(value, Environment):
        return plain(value)
    if os.environ.get(value.name):
        return Secret(os.environ[value.name])
    message = f"the environment variable {value.name} is not set"
    hint = f"set it before running the chain: export {value.name}=..."
    provider = next((one.value for one in model.settings if one.name == "provider"), None)
    if provider is not None:
        message = f"{model.name!r} is a model of {provider}, and {value.name} is not set"
        hint += "\nor say what the name means: " + WAYS.format(name=model.name)
    raise error_of("engine", message, hint, span=value.span, subject=value.name)


WAYS = (
    'models.define({{"{name}": ...}}) in Python, [models."{name}"] in models.toml, '
    "or --models '{name}=...' in a shell"
)
"""Ways to give a name a meaning, for hints."""


def engines() -> tuple[OpenEngine, ...]:
    """Return the engines that are open in this process, in the order of their opening."""
    return tuple(
        OpenEngine(tuple(_NAMES.get(key, {})), key[2], str(key[3]), one)
        for key, one in _OPEN.opened()
    )


def close(*names: str) -> None:
    """Close the engines of the models that chains call by these names, and free their memory.

    Later chains open them again. A run that uses one must have ended. Raises `SettingError` for a
    name that no open engine has.

    >>> from chainlang import chain, models
    >>> with models.use(small=models.fake()):
    ...     _ = chain("E:small")("Hello?")
    >>> models.close("small")
    """
    known = {name for one in engines() for name in one.names}
    if wrong := [one for one in names if one not in known]:
        of = " that is open"
        raise SettingError(
            unknown("model", one, sorted(known), code="setting", of=of) for one in wrong
        )
    for key, _ in _OPEN.opened():
        if set(names) & set(_NAMES.get(key, ())):
            _NAMES.pop(key, None)
            _OPEN.drop(key, lambda engine: engine.close())


def close_engines() -> None:
    """Close all engines that were opened for chains; later chains open them again."""
    _OPEN.close(lambda engine: engine.close())


atexit.register(close_engines)
