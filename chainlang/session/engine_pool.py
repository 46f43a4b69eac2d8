"""Engines of the models of a plan: opened once, shared by chains, and closed at exit."""

from __future__ import annotations

import atexit
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve

from chainlang import tiny
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import nearest, unknown
from chainlang.engines.protocol import Engine, is_adapting
from chainlang.errors import EngineError, error_of
from chainlang.interrupts import loading
from chainlang.ir.declarations import Environment, Item, Model, Setting
from chainlang.ir.model_settings import ADAPTER, OF_ADAPTERS
from chainlang.ir.tables import plain
from chainlang.plan.steps import Plan
from chainlang.protocol.messages import Reader
from chainlang.protocol.secret import Secret
from chainlang.session.check_capabilities import check_capabilities, written
from chainlang.session.per_process import PerProcess
from chainlang.session.server_arguments import reached
from chainlang.settings import Progress, RowSettings

_OPEN: PerProcess[tuple[Any, ...], Engine] = PerProcess()


def wanted(
    plan: Plan, declared: Iterable[Item], settings: RowSettings
) -> dict[str, Engine | Model]:
    """Return the given engine of each model of a plan, or the declaration of the one to open."""
    given = settings.engine
    if given is not None and not isinstance(given, Mapping):
        engine: Engine | Model = given
        return dict.fromkeys(plan.models, engine)
    engines: Mapping[str, Engine] = given or {}
    models = {item.name: item for item in declared if isinstance(item, Model)}
    return {
        name: engines[name] if name in engines else models.get(name) or Model(name, "vllm", name)
        for name in plan.models
    }


def engines_of(
    plan: Plan,
    named: Mapping[str, Engine | Model],
    declared: Iterable[Item],
    settings: RowSettings,
) -> dict[str, Engine]:
    """Return the engine of each model of a plan; engines stay open for later chains.

    `named` is the result of `wanted`. No model is loaded. Raises `EngineError` with the span of the
    model, if the chain has a source text.
    """
    names = [item.name for item in declared if isinstance(item, Model)]
    found: dict[str, Engine] = {}
    for name, one in named.items():
        if not isinstance(one, Model):
            found[name] = one
            continue
        with located(plan, name, one):
            if name not in names:
                _check_name(name, names)
            found[name] = _opened(one, settings, adapters_beside(one, named))
    adopt(plan, named, found)
    check_capabilities(plan, found)
    return found


def adopt(plan: Plan, named: Mapping[str, Engine | Model], engines: Mapping[str, Engine]) -> None:
    """Make room in the engines of a plan for the adapters of its models.

    Raises `EngineError` with the span of an adapter that does not fit.
    """
    for name, adapter in plan.adapters.items():
        engine = engines[name]
        if is_adapting(engine):
            with located(plan, name, named[name]):
                engine.adopt(adapter, _rank_of(named[name]))


def _rank_of(one: Engine | Model) -> int | None:
    """Return the rank that the adapter of a model may have; None for any."""
    settings = one.settings if isinstance(one, Model) else ()
    found = next((it.value for it in settings if it.name == "max_lora_rank"), None)
    return found if isinstance(found, int) else None


def adapters_beside(model: Model, named: Mapping[str, Engine | Model]) -> tuple[str, ...]:
    """Return the LoRA adapters of all models of a plan that share the engine of one."""
    base = _base(model)
    same = (one for one in named.values() if isinstance(one, Model) and _base(one) == base)
    found = (it.value for one in same for it in one.settings if it.name == ADAPTER)
    return tuple(dict.fromkeys(map(str, found)))


def _base(model: Model) -> tuple[Any, ...]:
    """Return what the engine of a model is made of, without its adapter."""
    return (model.engine, model.source, *((it.name, repr(it.value)) for it in of_base(model)))


def of_base(model: Model) -> list[Setting]:
    """Return the settings of a model that are not of its adapter, by name.

    Models that are equal in these share an engine.
    """
    found = (one for one in model.settings if one.name not in OF_ADAPTERS)
    return sorted(found, key=lambda one: one.name)


def readers_of(
    named: Mapping[str, Engine | Model], settings: RowSettings
) -> dict[str, Reader | str]:
    """Return the prompt reader of each model of a plan, or the reason why there is none.

    No model is loaded. Models with one engine have the same reader.
    """
    given: dict[int, Reader | str] = {}
    found: dict[str, Reader | str] = {}
    for name, one in named.items():
        if isinstance(one, Model):
            found[name] = _reader(one, settings)
        else:
            if id(one) not in given:
                given[id(one)] = one.reader or _SERVER
            found[name] = given[id(one)]
    return found


_SERVER = "only its server counts its prompts"


def _reader(model: Model, settings: RowSettings) -> Reader | str:
    if model.engine == "openai":
        return _SERVER
    try:
        arguments = {one.name: _value(one.value) for one in of_base(model)}
        keys = (_key(model, arguments, adapts=adapts) for adapts in (False, True))
        engine = next(filter(None, map(_OPEN.find, keys)), None)
        if engine is None and model.engine == "fake":
            engine = _opened(model, settings)
        if engine is not None:
            return engine.reader or _SERVER
        from chainlang.engines.vllm.prompt_reader import reader

        return reader(_source(model), **arguments)
    except EngineError as error:
        return error.diagnostics[0].message


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


@contextmanager
def located(plan: Plan, name: str, model: Engine | Model) -> Iterator[None]:
    """Attach the span of a model to each `EngineError` that is raised in the block.

    That is the span of the setting that the error is about, or else that of the model's declaration
    or first use.
    """
    try:
        yield
    except EngineError as error:
        at = model.span if isinstance(model, Model) else None
        at = at or written(plan, name)
        raise EngineError(
            evolve(one, span=one.span or _about(one, model) or at) for one in error.diagnostics
        ) from error


def _about(found: Diagnostic, model: Engine | Model) -> Span | None:
    if not isinstance(model, Model):
        return None
    settings = {one.name: one.span for one in model.settings}
    if found.setting in settings:
        return settings[found.setting]
    if found.kind == "model":
        return part_span(model.span, "source")
    return settings.get("base_url")  # server errors are about its address


def _check_name(name: str, models: Iterable[str]) -> None:
    """Raise if an unknown name is similar to a known one, and is no path or repository."""
    known = [*models, tiny.NAME]
    if name not in known and nearest(name, known) and "/" not in name and not Path(name).exists():
        raise EngineError([unknown("model", name, known, code="engine")])


def _opened(model: Model, settings: RowSettings, adapters: Iterable[str] = ()) -> Engine:
    """Return the engine of a model with room for adapters; another one if it is loaded without."""
    arguments = {one.name: _value(one.value) for one in of_base(model)}
    if model.engine == "openai":
        arguments = reached(model, arguments, settings)

    def made() -> Engine:
        with loading():
            return _open(model, arguments, settings.say)

    adapters = tuple(adapters)
    keys = (_key(model, arguments, one, adapts=bool(adapters)) for one in itertools.count())
    opened = (_OPEN.open(key, made) for key in keys)
    return next(one for one in opened if not is_adapting(one) or one.has_room_for(adapters))


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

    return VllmEngine(_source(model), progress=progress, loaded=False, **arguments)


def _source(model: Model) -> str | Path:
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
