"""From a chain and rows to results: opens the engines a plan needs, keeps them, runs the loop."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from attrs import asdict, evolve, field, frozen

from chainlang import tiny
from chainlang.data import BadRow, Row, check_ids, read_rows, spoken
from chainlang.diagnostics import Diagnostic
from chainlang.engines.base import Engine
from chainlang.errors import EngineError
from chainlang.ir.items import Environment, Item, Model
from chainlang.ops.inputs import Door, InputError
from chainlang.ops.programs import Program
from chainlang.ops.records import Record
from chainlang.plan.lower import lower
from chainlang.plan.steps import Plan
from chainlang.results import Result
from chainlang.runtime.loop import run
from chainlang.runtime.outcomes import Outcome, RowFailure
from chainlang.settings import MapSettings, RowSettings, RunSettings
from chainlang.store import About, RunFolder
from chainlang.wire import Usage

Progress: TypeAlias = Callable[[str], None]


def results(program: Program, source: Any, settings: MapSettings) -> Iterator[Result]:
    """Return the results of the rows of a source.

    What can be known to be wrong before the first row is raised here, and not by the iterator.
    """
    plan = lower(program.body, program.items, program.bound, model=settings.model)
    return _results(outcomes(plan, program, source, settings, settings.ordered), settings.on_error)


def _results(stream: Iterator[Outcome], on_error: str) -> Iterator[Result]:
    for outcome in stream:
        if outcome.failure is not None and on_error == "raise":
            raise outcome.failure.error()
        if outcome.failure is None or on_error == "collect":
            yield result_of(outcome)


def result_of(outcome: Outcome) -> Result:
    """Return an outcome as the reader sees it."""
    return Result(outcome.index, outcome.row_id, outcome.flow, outcome.failure, outcome.usage)


def outcomes(
    plan: Plan,
    program: Program,
    source: Any,
    settings: RowSettings,
    ordered: bool = True,
) -> Iterator[Outcome]:
    """Return the outcomes of the rows of a source, failed ones too."""
    rows = starts(islice(check_ids(read_rows(source)), settings.limit), program, source)
    engines = engines_of(plan, program.items, settings)
    return run(plan, rows, engines, seed=settings.seed, window=settings.window, ordered=ordered)


@frozen
class Summary:
    """What a run over a source came to."""

    rows: int
    failed: int
    usage: Usage
    seconds: float
    folder: Path
    events: Mapping[str, int] = field(factory=dict)
    """How many parts stepped in, were drawn again, or ran out of rounds; by the kind of event."""


def run_to_folder(  # noqa: PLR0917
    about: About,
    plan: Plan,
    program: Program,
    source: Any,
    out: Path,
    settings: RunSettings,
) -> Summary:
    """Run a chain over a source and write a run folder; return what it came to.

    The folder says of each model what its engine promises, and so what the results are worth. An
    interruption leaves the folder with the rows that were done, marked as interrupted.
    """
    started = time.monotonic()
    usage, failed, rows = Usage(), 0, 0
    stream = outcomes(plan, program, source, settings)
    engines = engines_of(plan, program.items, settings)  # which are open by now
    about = evolve(about, models={name: asdict(one.capabilities) for name, one in engines.items()})
    with RunFolder.create(
        out, about, format=settings.format, overwrite=settings.overwrite
    ) as folder:
        for outcome in stream:
            failure, start = outcome.failure, outcome.start
            line = failure.line if failure is not None else None
            folder.write(
                start.number if start is not None else line or outcome.index + 1,
                outcome.row_id,
                start.row if start is not None else {},
                outcome.flow,
                failure=failure,
                usage=outcome.usage,
            )
            rows, failed = rows + 1, failed + (failure is not None)
            usage += outcome.usage
            if settings.on_row is not None:
                settings.on_row(outcome)
            if failure is not None and settings.on_error == "raise":
                raise failure.error()
        folder.finish()
    return Summary(rows, failed, usage, time.monotonic() - started, out, dict(folder.stepped_in))


def starts(
    rows: Iterable[Row | BadRow], program: Program, source: Any
) -> Iterator[Record | RowFailure]:
    """Yield the record that each row starts as, or why it is none."""
    door = Door.of(program.items, program.bound)
    for row in rows:
        if isinstance(row, BadRow):
            yield RowFailure(f"{spoken(source, row.number)}: {row.message}", line=row.number)
            continue
        try:
            yield door.record(row.fields, row.number)
        except InputError as error:
            yield RowFailure(f"{spoken(source, row.number)}: {error}", line=row.number)


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the record that one row starts as, or why it is none."""
    return next(starts(read_rows([row]), program, [row]))


# ---------------------------------------------------------------- engines

_OPEN: dict[tuple[Any, ...], Engine] = {}
_OPENING = threading.Lock()


def engines_of(plan: Plan, declared: Iterable[Item], settings: RowSettings) -> dict[str, Engine]:
    """Return the engine of each model of a plan; an engine stays open for the next chain."""
    given = settings.engine
    models = {item.name: item for item in declared if isinstance(item, Model)}
    found: dict[str, Engine] = {}
    for name in plan.models:
        if isinstance(given, Mapping) and name in given:
            found[name] = given[name]
        elif given is not None and not isinstance(given, Mapping):
            found[name] = given
        else:
            found[name] = _opened(models.get(name) or Model(name, "vllm", name), settings)
    return found


def _opened(model: Model, settings: RowSettings) -> Engine:
    arguments = {one.name: _value(one.value) for one in model.settings}
    if model.engine == "openai":
        arguments = _reached(arguments, settings)
    key = (model.engine, model.source, *sorted(arguments.items()))
    with _OPENING:
        if key not in _OPEN:
            try:
                _OPEN[key] = _open(model, arguments, settings.progress)
            except EngineError as error:
                address = (one.span for one in model.settings if one.name == "base_url")
                where = next(address, model.span)
                found = [evolve(one, span=one.span or where) for one in error.diagnostics]
                raise EngineError(found) from error
        return _OPEN[key]


def _open(model: Model, arguments: dict[str, Any], progress: Progress | None) -> Engine:
    if model.engine == "fake":
        from chainlang.engines.fake import FakeEngine

        return FakeEngine()
    if model.engine == "openai":
        from chainlang.engines.openai import OpenAIEngine

        engine = OpenAIEngine(model.source, **arguments)
        engine.probe()
        if progress is not None:
            doubt = "special tokens in values may be read as such there"
            progress(f"{model.source} is asked at {engine.url}; {doubt}")
        return engine
    from chainlang.engines.vllm import VllmEngine

    source: Any = model.source
    if source == tiny.NAME:
        source = tiny.path()
        if not (source / "config.json").is_file():
            message = f"the model '{tiny.NAME}' has no weights in {source}"
            hint = "make them: python examples/train_tiny.py; or name another model"
            raise EngineError([Diagnostic("engine", message, hint=hint)])
    return VllmEngine(source, progress=progress, **arguments)


def _reached(arguments: dict[str, Any], settings: RowSettings) -> dict[str, Any]:
    """Return how a server is reached. The key of the settings goes nowhere but to their address."""
    allowed = settings.allowed_hosts
    if "base_url" in arguments:
        return {**arguments, "allowed_hosts": allowed}
    found: dict[str, Any] = {}
    if settings.openai_base_url is not None:
        found["base_url"] = str(settings.openai_base_url)
        allowed += ((settings.openai_base_url.host or "").strip("[]"),)
    if settings.openai_api_key is not None:
        found["api_key"] = settings.openai_api_key.get_secret_value()
    return {**found, **arguments, "allowed_hosts": allowed}


def _value(value: object) -> Any:
    if isinstance(value, Environment):
        if value.name not in os.environ:
            message = f"the environment variable {value.name} is not set"
            hint = f"set it before running the chain: export {value.name}=..."
            raise EngineError([Diagnostic("engine", message, value.span, hint)])
        return os.environ[value.name]
    return value


def close_engines() -> None:
    """Close every engine that was opened for a chain; the next chain opens what it needs."""
    while _OPEN:
        _OPEN.popitem()[1].close()


atexit.register(close_engines)
