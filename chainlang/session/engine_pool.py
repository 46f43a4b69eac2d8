"""Engines of the models of a plan, and the readers of their prompts."""

from __future__ import annotations

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
from chainlang.errors import EngineError
from chainlang.ir.declarations import Item, Model
from chainlang.ir.model_settings import ADAPTER, SERVERS
from chainlang.ir.tools import MCP
from chainlang.models.lookup import known_names
from chainlang.models.open_engines import (
    WAYS,
    arguments_of,
    found_open,
    of_base,
    opened,
    source_of,
)
from chainlang.models.written import check_prefix
from chainlang.plan.steps import Plan
from chainlang.protocol.messages import Reader
from chainlang.protocol.programs import ProgramReader, sandbox_of
from chainlang.session.check_capabilities import check_capabilities, written
from chainlang.settings import RowSettings
from chainlang.settings.engine import only


def wanted(
    plan: Plan, declared: Iterable[Item], settings: RowSettings
) -> dict[str, Engine | Model]:
    """Return the given engine of each model of a plan, or the declaration of the one to open."""
    engine = only(settings.engine)
    if engine is not None:
        return {name: _sandbox(name) or engine for name in plan.models}
    engines: Mapping[str, Engine] = settings.engine or {}
    models = {item.name: item for item in declared if isinstance(item, Model)}
    return {
        name: engines[name]
        if name in engines
        else models.get(name) or _sandbox(name) or Model(name, "vllm", name)
        for name in plan.models
    }


def _sandbox(name: str) -> Model | None:
    """Return the declaration of a sandbox that stands for a model; None for any other model."""
    found = sandbox_of(name)
    return None if found is None else Model(name, "sandbox", found)


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
    found = {name: one for name, one in named.items() if not isinstance(one, Model)}
    if len(found) < len(named):
        found = _with_declared(plan, named, declared, settings)
    adopt(plan, named, found)
    check_capabilities(plan, found)
    return found


def _with_declared(
    plan: Plan,
    named: Mapping[str, Engine | Model],
    declared: Iterable[Item],
    settings: RowSettings,
) -> dict[str, Engine]:
    """Return the engines, after opening those that are only declared."""
    names = [item.name for item in declared if isinstance(item, Model)]
    # A model that others can stand in for may be down, and so may they.
    pairs = ((one.model, *dict(one.fallbacks)) for one in plan.stages if one.fallbacks)
    switched = {name for pair in pairs for name in pair}
    found: dict[str, Engine] = {}
    for name, one in named.items():
        if not isinstance(one, Model):
            found[name] = one
            continue
        with located(plan, name, one):
            if name not in names and sandbox_of(name) is None:
                check_name(name, names, settings)
            beside = adapters_beside(one, named)
            found[name] = opened(one, settings, beside, probes=name not in switched)
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
    if model.engine in SERVERS or model.engine == MCP:
        return _SERVER
    if sandbox_of(model.name) is not None:
        return ProgramReader()
    try:
        engine = found_open(model)
        if engine is None and model.engine == "fake":
            engine = opened(model, settings)
        if engine is not None:
            return engine.reader or _SERVER
        from chainlang.engines.vllm.prompt_reader import reader

        return reader(source_of(model), **arguments_of(model))
    except EngineError as error:
        return error.diagnostics[0].message


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


def check_name(name: str, models: Iterable[str], settings: RowSettings) -> None:
    """Raise if an unknown name is no path and no repository."""
    known = [*dict.fromkeys((*models, tiny.NAME, *known_names(settings)))]
    if name in known or "/" in name or Path(name).exists():
        return
    if nearest(name, known):
        raise EngineError([unknown("model", name, known, code="engine")])
    check_prefix(name)
    message = f"no model is called {name!r}"
    hint = (
        f"say what it is: {WAYS.format(name=name)}\n"
        "or write a folder, a name on the hub (Qwen/Qwen2.5-0.5B-Instruct), or a provider before "
        f"it (ollama:{name})"
    )
    raise EngineError([Diagnostic("engine", message, hint=hint, kind="model", subject=name)])
