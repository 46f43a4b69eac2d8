"""Engines of models: opened once, shared by chains, and closed at exit."""

from __future__ import annotations

import atexit
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chainlang import tiny
from chainlang.engines.per_process import PerProcess
from chainlang.engines.protocol import Engine, is_adapting
from chainlang.errors import error_of
from chainlang.interrupts import loading
from chainlang.ir.declarations import Environment, Model, Setting
from chainlang.ir.model_settings import OF_ADAPTERS
from chainlang.ir.tables import plain
from chainlang.models.server_arguments import reached
from chainlang.protocol.secret import Secret
from chainlang.settings import Progress, RowSettings

_OPEN: PerProcess[tuple[Any, ...], Engine] = PerProcess()


def opened(model: Model, settings: RowSettings, adapters: Iterable[str] = ()) -> Engine:
    """Return the engine of a model with room for adapters; another one if it is loaded without.

    No model is loaded.
    """
    arguments = arguments_of(model)
    if model.engine == "openai":
        arguments = reached(model, arguments, settings)

    def made() -> Engine:
        with loading():
            return _open(model, arguments, settings.say)

    adapters = tuple(adapters)
    keys = (_key(model, arguments, one, adapts=bool(adapters)) for one in itertools.count())
    engines = (_OPEN.open(key, made) for key in keys)
    return next(one for one in engines if not is_adapting(one) or one.has_room_for(adapters))


def found_open(model: Model) -> Engine | None:
    """Return the engine of a model, with or without adapters, if it is open."""
    arguments = arguments_of(model)
    keys = (_key(model, arguments, adapts=adapts) for adapts in (False, True))
    return next(filter(None, map(_OPEN.find, keys)), None)


def of_base(model: Model) -> list[Setting]:
    """Return the settings of a model that are not of its adapter, by name.

    Models that are equal in these share an engine.
    """
    found = (one for one in model.settings if one.name not in OF_ADAPTERS)
    return sorted(found, key=lambda one: one.name)


def arguments_of(model: Model) -> dict[str, Any]:
    """Return the arguments of the engine of a model, with the values of variables.

    Raises `EngineError` for a variable that is not set.
    """
    return {one.name: _value(one.value) for one in of_base(model)}


def _key(
    model: Model, arguments: Mapping[str, Any], number: int = 0, *, adapts: bool
) -> tuple[Any, ...]:
    """Return the key of an engine of a model in the pool: of the first, with or without adapters.

    An engine with adapters can do less, so models without any have another one.
    """
    hashable = ((name, _hashable(value)) for name, value in sorted(arguments.items()))
    return (number, adapts, model.engine, model.source, *hashable)


def _hashable(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _open(model: Model, arguments: dict[str, Any], progress: Progress | None) -> Engine:
    if model.engine == "fake":
        from chainlang.engines.fake import FakeEngine

        return FakeEngine()
    if model.engine == "openai":
        from chainlang.engines.openai.engine import OpenAIEngine

        engine = OpenAIEngine(model.source, **arguments)
        engine.probe()
        if progress is not None:
            doubt = "the server may interpret special tokens in values"
            progress(f"requests for {model.source} go to {engine.url}; {doubt}")
        return engine
    from chainlang.engines.vllm.engine import VllmEngine

    return VllmEngine(source_of(model), progress=progress, loaded=False, **arguments)


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


def _value(value: object) -> Any:
    if isinstance(value, Environment):
        if value.name not in os.environ:
            message = f"the environment variable {value.name} is not set"
            hint = f"set it before running the chain: export {value.name}=..."
            raise error_of("engine", message, hint, span=value.span, subject=value.name)
        return Secret(os.environ[value.name])
    return plain(value)


def close_engines() -> None:
    """Close all engines that were opened for chains; later chains open them again."""
    _OPEN.close(lambda engine: engine.close())


atexit.register(close_engines)
