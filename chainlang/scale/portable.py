"""A chain with its settings as JSON, which another process can run: nothing in it is a pickle."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib import import_module
from typing import Any, NoReturn

from chainlang.api.chain import Chain
from chainlang.errors import error_of
from chainlang.settings import Settings
from chainlang.settings.sources import variables


def portable(chain: Chain, settings: Settings, *, without: Collection[str] = ()) -> str:
    """Return a chain and its settings as JSON; functions and classes are names to import.

    The settings are those in force here, whether a call, the environment or a file gives them;
    secrets of the environment or a file are left out, since the other process has its own.
    Raises `OperandError` for a function that can't be imported by its name, and `SettingError` for
    a setting that is a Python object or a secret, or whose name is among `without`.
    """
    objects = {name: one.function for name, one in chain.bound.functions.items()}
    names = {name: _name(name, one) for name, one in {**objects, **chain.bound.types}.items()}
    given = settings.model_dump(mode="json", exclude_defaults=True, exclude=_OBJECTS)
    said = {name: _said(settings, name, given.get(name)) for name in _given(settings, without)}
    return json.dumps({"chain": chain.to_json(), "objects": names, "settings": said})


_OBJECTS = {"engine", "models", "progress", "on_row"}
_MODELS = "declare models in the chain: a file has `model m = vllm(...)`"


def _given(settings: Settings, without: Collection[str]) -> list[str]:
    """Return the names of the settings that are given, and travel as far as their names tell."""
    fields = type(settings).model_fields
    found = []
    for name in sorted(settings.names() - {"on", "progress"}):
        if getattr(settings, name) != fields[name].default and not _is_of_machine(settings, name):
            if name in without:
                _refuse(name, "has no effect there", "leave it out")
            found.append(name)
    return found


def _is_of_machine(settings: Settings, name: str) -> bool:
    """Return whether a setting is a secret of this machine, which actors have of their own."""
    if not settings.takes()[name].is_secret:
        return False
    variable = variables({name}).get(name)
    value = getattr(settings, name).get_secret_value()
    return name in settings.of_file or (variable is not None and variable.value == value)


def _said(settings: Settings, name: str, plain: Any) -> Any:
    """Return the value of a setting as JSON. Raises `SettingError` if it does not travel."""
    takes, value = settings.takes()[name], getattr(settings, name)
    if takes.is_secret:
        text: str = value.get_secret_value()
        if takes.of_flag is None or takes.of_flag(text):
            more = "" if takes.of_flag is None else ', or write env("NAME")'
            variable = f"CHAINLANG_{name.upper()}"
            _refuse(name, "is a secret", f"set {variable} in the environment of the actors{more}")
        return text
    if name == "models":
        if not all(isinstance(one, str) for one in value.values()):
            _refuse(name, "has declarations, which are objects of this process", _MODELS)
        return dict(value)
    if name in _OBJECTS:
        hint = _MODELS if name == "engine" else "leave it out"
        _refuse(name, "is an object of this process", hint)
    return plain


def opened(document: str) -> tuple[Chain, dict[str, Any]]:
    """Return the chain of a document, with its functions and classes imported, and its settings."""
    found = json.loads(document)
    objects = {name: _imported(where) for name, where in found["objects"].items()}
    chain = Chain.from_json(found["chain"])
    settings: dict[str, Any] = found["settings"]
    return (chain.bind(**objects) if objects else chain), settings


def _name(name: str, one: Any) -> str:
    """Return the name to import a function or class by. Raises `OperandError` if there is none."""
    module, path = getattr(one, "__module__", None), getattr(one, "__qualname__", "")
    where = f"{module}:{path}"
    try:
        same = module not in (None, "__main__") and _imported(where) is one
    except (ImportError, AttributeError):
        same = False
    if not same:
        what = f"@{name} can't be imported by other processes: {path or type(one).__name__}"
        hint = "define it at the top of a module that is installed there, or in their PYTHONPATH"
        raise error_of("operand", what, hint)
    return where


def _imported(where: str) -> Any:
    module, _, path = where.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _refuse(name: str, why: str, hint: str) -> NoReturn:
    what = f"{name}= {why}, and does not travel to the actors of Ray"
    raise error_of("setting", what, hint, kind="setting", subject=name, setting=name)
