"""Declarations of models in Python: which engine, which model of it, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.other_names import meant_by
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import SettingError
from chainlang.ir.declarations import Environment, Model, Setting
from chainlang.ir.model_settings import ENGINES, TEMPLATE, is_path, needs_permission
from chainlang.ir.nodes import Option, Table
from chainlang.protocol.secret import Secret

OPEN = frozenset({"vllm"})
"""Engines that take further arguments in Python than the settings of a file."""
OWN_HOSTS = "allowed_hosts"
"""Setting with the host that a declaration in Python names; no file has it."""


_HIDDEN = (OWN_HOSTS, "provider")


@frozen(repr=False)
class Declaration:
    """A model as a value; `chainlang.models.vllm` and others make one.

    It is given a name where it is used: `define`, `use`, or ``models=`` in a call.
    """

    engine: str
    source: str
    """The engine's name of the model: a path, a name on the hub, or a server's name."""
    settings: tuple[Setting, ...] = ()

    @classmethod
    def of(
        cls,
        engine: str,
        source: str,
        settings: Mapping[str, Any],
        where: str,
        *,
        of_file: bool = False,
    ) -> Declaration:
        """Return a declaration with checked settings; `where` names it in errors.

        `of_file`: whether it is of a project's file, which may come from another author: then it
        has no settings beyond those of a `model` item, and none that runs code or reads a file.
        Raises `SettingError` for unknown settings and invalid values.
        """
        found = list(_faults(engine, source, settings, where, of_file=of_file))
        if found:
            raise SettingError(found)
        values = ((name, value) for name, value in settings.items() if value is not None)
        return cls(engine, source, tuple(Setting(name, _read(name, one)) for name, one in values))

    def about(self, **more: str | None) -> Declaration:
        """Return the declaration with its provider, or the model that it is a variant of."""
        known = {one.name for one in self.settings}
        new = (Setting(name, one) for name, one in more.items() if one and name not in known)
        return Declaration(self.engine, self.source, (*self.settings, *new))

    def item(self, name: str) -> Model:
        """Return the declaration under a name, as an item of a chain."""
        return Model(name, self.engine, self.source, self.settings)

    def __repr__(self) -> str:
        given = (
            f", {one.name}={_said(one.value)}" for one in self.settings if one.name not in _HIDDEN
        )
        return f"{self.engine}({self.source!r}{''.join(given)})"


def _said(value: object) -> str:
    if isinstance(value, Environment):
        return f"env({value.name!r})"
    return repr(_plain(value))


def _plain(value: object) -> Any:
    if isinstance(value, Table):
        return {one.name: _plain(one.value) for one in value.entries}
    return value


def _faults(
    engine: str, source: object, settings: Mapping[str, Any], where: str, *, of_file: bool
) -> Iterator[Diagnostic]:
    rules = ENGINES.get(engine)
    if rules is None:
        yield unknown("engine", engine, ENGINES, code="engine", of=f" in {where}")
        return
    if not (isinstance(source, str) and source):
        what = f"{where} has no name of a model: {shown(source)}"
        hint = 'write what its engine calls it: vllm("Qwen/Qwen2.5-0.5B-Instruct")'
        yield Diagnostic("setting", what, hint=hint)
    for name, value in settings.items():
        rule = rules.get(name)
        if rule is None:
            if of_file or engine not in OPEN:
                near, of = meant_by(name, rules), f" of {where}"
                yield unknown("setting", name, rules, code="setting", of=of, hint=near)
            continue
        if value is None or isinstance(value, Environment):
            continue
        if of_file and (fault := _denied(name, value, where)) is not None:
            yield fault
            continue
        if name == "api_key":
            if not isinstance(value, str) or not value:
                what = f"invalid value for api_key of {where}: it is a {type(value).__name__}"
                yield Diagnostic("setting", what, hint='expected the key as text, or env("NAME")')
            continue
        try:
            rule.read(_frozen(value))
        except ValueError:
            what = f"invalid value for {name} of {where}: {shown(value)}"
            hint = f"expected {rule.wants}"
            yield Diagnostic("setting", what, hint=hint, kind="setting", subject=name, setting=name)


def _denied(name: str, value: Any, where: str) -> Diagnostic | None:
    """Return why a project's file may not have a setting; None if it may."""
    if needs_permission(name, _frozen(value)):
        what = f"{name} of {where} runs code that comes with the model"
    elif name == TEMPLATE and is_path(value):
        what = f"{name} of {where} names a file"
    else:
        return None
    hint = "if you trust it, declare the model in your own file, ~/.config/chainlang/models.toml"
    return Diagnostic("setting", what, hint=hint, kind="setting", subject=name, setting=name)


def _read(name: str, value: Any) -> Any:
    if name == "api_key" and isinstance(value, str):
        return Secret(value)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    """Return a value of Python as the IR has it: dicts are tables, and lists are tuples."""
    if isinstance(value, Mapping):
        return Table(tuple(Option(str(name), _frozen(one)) for name, one in value.items()))
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return fspath(value) if isinstance(value, PathLike) else value


def env(name: str) -> Environment:
    """Return the value of a variable of the environment, read when the engine is opened.

    >>> env("OPENAI_API_KEY")
    Environment(name='OPENAI_API_KEY')
    """
    return Environment(name)


def vllm(model: str | PathLike[str], **settings: Any) -> Declaration:
    """Declare a model that vLLM runs in this process: a folder, or a name on the hub.

    The settings are those of a `model` item of a file, and all others of vLLM's `EngineArgs`.

    >>> vllm("Qwen/Qwen2.5-0.5B-Instruct", max_model_len=4096)
    vllm('Qwen/Qwen2.5-0.5B-Instruct', max_model_len=4096)
    """
    return Declaration.of("vllm", fspath(model), settings, "vllm()")


def openai(model: str, **settings: Any) -> Declaration:
    """Declare a model of a server with OpenAI's protocol; `base_url` is OpenAI's by default.

    `api_key` is the key, or `env("NAME")`. The settings are those of a `model` item of a file.

    >>> openai("qwen", base_url="http://127.0.0.1:8000/v1", api_key="sk-1")
    openai('qwen', base_url='http://127.0.0.1:8000/v1', api_key='**********')
    """
    return trusted(Declaration.of("openai", model, settings, "openai()"))


def anthropic(model: str, **settings: Any) -> Declaration:
    """Declare a model of Anthropic, or of a server with its Messages API at `base_url`.

    `api_key` is the key, or `env("NAME")`. The settings are those of a `model` item of a file.

    >>> anthropic("claude-sonnet-4-6", api_key=env("ANTHROPIC_API_KEY"))
    anthropic('claude-sonnet-4-6', api_key=env('ANTHROPIC_API_KEY'))
    """
    return trusted(Declaration.of("anthropic", model, settings, "anthropic()"))


def trusted(one: Declaration) -> Declaration:
    """Return a declaration that names its host itself, since the user wrote it."""
    given = {it.name: it.value for it in one.settings}
    address = given.get("base_url")
    addresses = addresses_in(address)
    if not addresses or OWN_HOSTS in given:
        return one
    settings = (*one.settings, Setting(OWN_HOSTS, tuple(map(host_in, addresses))))
    return Declaration(one.engine, one.source, settings)


def addresses_in(value: object) -> tuple[str, ...]:
    """Return the addresses in a `base_url`: one or several; none of a variable."""
    several = value if isinstance(value, list | tuple) else (value,)
    return tuple(one for one in several if isinstance(one, str))


def host_in(address: str) -> str:
    """Return the host of an address; empty if it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # the engine says what is wrong with it
        return ""


def fake(model: str = "fake", **settings: Any) -> Declaration:
    """Declare a model that is a pure function of prompt, parameters and seed, for tests.

    >>> fake()
    fake('fake')
    """
    return Declaration.of("fake", model, settings, "fake()")
