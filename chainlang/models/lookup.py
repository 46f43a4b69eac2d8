"""Meanings of names of models: of a call, a block, the process, a file, or a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import evolve, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import SettingError
from chainlang.ir.declarations import Model
from chainlang.models import registry
from chainlang.models.declaration import Declaration
from chainlang.models.files import models_files
from chainlang.models.policy import SIGN, Policy
from chainlang.models.providers import completed, provided
from chainlang.models.registry import Meant, signed
from chainlang.models.written import check_prefix
from chainlang.settings import Settings


@frozen
class Found:
    """The meaning of a name, and where it is from."""

    model: Model
    origin: str
    """The call, the chain, this block, this process, a path, or a provider."""


def lookup(
    name: str,
    settings: Settings,
    *,
    given: Mapping[str, Meant] = {},
    declared: Mapping[str, Model] = {},
) -> Found | None:
    """Return what a name means; None for the path or the hub name of a model.

    In this order: `given` by the call, `declared` in the chain, a block (`use`), the process
    (`define`), ``models.toml``, and the prefix of a provider or a well-known family. Raises
    `SettingError` for a name that leads back to itself, and for a file that can't be read, and
    `EngineError` for the name of an engine or a misspelt provider.
    """
    first, seen = name, [name]
    given = signed(given)
    while True:
        if name.startswith(SIGN):
            message = f"{first!r} can't be a policy: {name} chooses the model of a stage"
            raise SettingError([Diagnostic("setting", message, hint=f"write it there: E:{name}")])
        found = _place(name, settings, given, declared)
        if found is None:
            model = provided(name, settings)
            if model is None:
                if name == first:
                    return None
                if name not in declared:
                    check_prefix(name)
                model = declared.get(name) or Model(name, "vllm", name)
            origin = next((str(it.value) for it in model.settings if it.name == "provider"), "path")
            return Found(evolve(model, name=first), origin)
        meaning, origin = found
        if isinstance(meaning, Model):
            same = meaning.name == first
            return Found(meaning if same else evolve(meaning, name=first), origin)
        if isinstance(meaning, Declaration):
            return Found(completed(meaning.item(first), settings), origin)
        assert isinstance(meaning, str)  # a policy has a name with the sign
        if meaning in seen:
            message = f"names of models lead to each other: {' -> '.join([*seen, meaning])}"
            hint = 'let one of them be a model: models.vllm("..."), models.openai("...")'
            raise SettingError([Diagnostic("setting", message, hint=hint)])
        seen.append(meaning)
        name = meaning


def _place(
    name: str, settings: Settings, given: Mapping[str, Meant], declared: Mapping[str, Model]
) -> tuple[Meant | Model, str] | None:
    """Return the first place that gives a name a meaning, as words."""
    places: Iterable[tuple[Callable[[str], Meant | Model | None], str]] = (
        (given.get, "this call"),
        (declared.get, "the chain"),
        (registry.of_block, "this block"),
        (registry.of_process, "this process"),
    )
    for place, origin in places:
        if (found := place(name)) is not None:
            return found, origin
    for file in models_files(settings.allowed_env):
        if (written := file.models.get(name)) is not None:
            return written, file.path
    return None


def policy_of(name: str, settings: Settings) -> Policy:
    """Return the policy that a name with the sign means. Raises `SettingError` for others."""
    found = _place(name, settings, signed(settings_models(settings)), {})
    if found is not None and isinstance(found[0], Policy):
        return found[0]
    known = [one for one in known_names(settings) if one[:1] == SIGN]
    hint = None if known else "define one: models.define(cheap=models.weighted([...], cost=1))"
    raise SettingError([unknown("model", name, known, code="setting", hint=hint)])


def settings_models(settings: Settings) -> Mapping[str, Meant]:
    """Return the models that a call gives."""
    return getattr(settings, "models", None) or {}


def known_names(settings: Settings) -> Iterator[str]:
    """Yield the names that blocks, the process and files give models."""
    yield from signed(settings_models(settings))
    yield from registry.names()
    for file in models_files(settings.allowed_env):
        yield from file.models
