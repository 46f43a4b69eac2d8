"""Event counts equal what happened: a model of the counts, the reference and the runtime.

The model knows chains, places and the policy of each stage. It makes neither prompts nor
candidates: whether a sample is cut, refused or bad follows from its seed alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from attrs import define, field
from hypothesis import strategies as st

from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.ir import build
from chainlang.ir.nodes import (
    Expr,
    Fallback,
    Join,
    Loop,
    Named,
    Option,
    Repeat,
    Retry,
    Stage,
    Then,
    Timeout,
)
from chainlang.ir.normalize import normal
from chainlang.plan.lower import lower
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.combinators import alternatives, further, mark
from chainlang.semantics.events import Event
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record, events_of
from chainlang.semantics.reference import interpret
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_error import StageError
from tests.laws import law
from tests.laws.control import call, checked, latency
from tests.strategies import tidy

LONG = "thinking " * 1000
TYPED = {
    "V": {"verdict": "correct", "explanation": "", "revised_answer": "1"},
    "J": {"reasoning": "", "synthesized_response": "", "final_answer": "1"},
}
Fate = Literal["fine", "cut", "refused", "reply", "engine"]
_FATES: tuple[Fate, ...] = ("fine", "fine", "fine", "fine", "cut", "refused", "reply", "engine")


def fate(number: int) -> Fate:
    """Fate of a sample with a seed: a reply, or a kind of failure."""
    return _FATES[hashlib.blake2b(str(number).encode(), digest_size=1).digest()[0] % len(_FATES)]


def answers(request: Request, index: int) -> Reply | str:
    whole = "1"
    if request.schema is not None:
        wanted = json.loads(request.schema)["properties"]
        whole = json.dumps({name: {**TYPED["V"], **TYPED["J"]}[name] for name in wanted})
    match fate(request.seed + index):
        case "cut":
            return Reply(whole, reasoning=LONG)
        case "refused":
            return Reply("", refusal="it was refused")
        case "reply" if request.schema is not None:
            return "no JSON"
    return whole


def failures(request: Request) -> Failure | None:
    broken = fate(request.seed) == "engine"
    return Failure("", "engine", "it is broken", transient=False) if broken else None


def engine(**settings: Any) -> FakeEngine:
    return FakeEngine(answers=answers, failures=failures, **settings)


# ---------------------------------------------------------------- chains


def _stage(name: str, count: int, **options: Any) -> Expr:
    given = {key: value for key, value in options.items() if value is not None}
    options_of = build.options(Option(key, value) for key, value in given.items())
    return Stage(name, count, None, 0.7, options_of)


@st.composite
def _stages(draw: st.DrawFn, names: str = "EEVJ") -> Expr:
    count = draw(st.integers(1, 4))
    need = draw(st.sampled_from([None, 1, count, 0.25, 0.5, 0.9]))
    cut = draw(st.sampled_from([None, None, "keep", "fail"]))
    return _stage(draw(st.sampled_from(names)), count, need=need, cut=cut)


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=3)
    on = st.sampled_from([None, "cut", ("cut", "reply"), "refused", ("engine", "refused")])
    return st.one_of(
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.join(*parts)),
        st.builds(build.repeat, st.integers(2, 3), inner),
        several.map(lambda parts: call("fallback", *parts)),
        st.builds(
            lambda part, times, on: call("retry", part, times=times, on=on),
            inner, st.sampled_from([None, 2, 4]), on,
        ),
        inner.map(lambda part: call("timeout", part, seconds=1e6)),
        st.builds(
            lambda part, most: call("loop", part, until="false", max=most),
            inner, st.sampled_from([1, 2]),
        ),
    )  # fmt: skip


parts = st.recursive(_stages(), _grow, max_leaves=6)
chains = st.builds(lambda first, rest: checked(tidy(build.then(first, rest))), _stages("E"), parts)

# ---------------------------------------------------------------- the model


class _Failed(Exception):
    def __init__(self, cause: str) -> None:
        self.cause = cause


@define
class _Model:
    """Counts of what happens in a row."""

    row: str
    counts: Counter[str] = field(factory=Counter)

    def visit(self, node: Expr, read: int, place: Place) -> int:  # a match
        """Return the number of candidates of a part that reads so many."""
        match node:
            case Stage():
                return self.stage(node, read, place, 1, frozenset(), "")
            case Then(steps):
                for index, part in enumerate(steps):
                    read = self.visit(part, read, _step(place, part, str(index)))
                return read
            case Join(operands):
                each = [
                    one
                    for part in operands
                    for one in ([part.body] * part.count if isinstance(part, Repeat) else [part])
                ]
                return sum(
                    self.visit(part, read, _step(place, part, f"&{index}"))
                    for index, part in enumerate(each)
                )
            case Repeat():
                return self.visit(Join((node,)), read, place)
            case Named(_, body) | Timeout(body):
                return self.visit(body, read, place)
            case Retry(Stage() as stage):
                return self.stage(stage, read, place, *_policy(node))
            case Retry(body):
                return self.again(body, read, place, *_policy(node))
            case Fallback(several):
                for part, added in zip(several, alternatives(node), strict=True):
                    self.counts["fallback"] += bool(added)
                    try:
                        return self.visit(part, read, (*place, added) if added else place)
                    except _Failed as error:
                        last = error
                raise last
            case Loop(body):
                for number in range(node.max or 3):
                    read = self.visit(body, read, further(place, mark(node), number))
                self.counts["loop"] += 1
                return read
        raise TypeError(node)

    def again(
        self, body: Expr, read: int, place: Place, times: int, on: frozenset[str], sign: str
    ) -> int:
        for attempt in range(times):
            try:
                return self.visit(body, read, further(place, sign, attempt))
            except _Failed as error:
                if attempt + 1 == times or error.cause not in on:
                    raise
                self.counts["retry"] += 1
        raise AssertionError

    def stage(
        self, stage: Stage, read: int, place: Place, times: int, on: frozenset[str], sign: str
    ) -> int:
        given = {option.name: option.value for option in stage.options}
        keeps = given.get("cut") == "keep" and stage.name == "E"
        ends: list[Place] = [(f"c{number}",) for number in range(read)]
        fates = [
            self.sample(stage, (place, end, sample), times, on, sign, keeps=keeps)
            for end in (ends if stage.name == "V" else [()])
            for sample in range(stage.count)
        ]
        bad = [one for one in fates if one != "fine"]
        need: Any = given.get("need", len(fates))
        least = math.ceil(Fraction(str(need)) * len(fates)) if isinstance(need, float) else need
        if bad and len(fates) - len(bad) < least:
            raise _Failed(bad[0])
        self.counts["need"] += len(bad)
        return len(fates) - len(bad)

    def sample(
        self,
        stage: Stage,
        at: tuple[Place, Place, int],
        times: int,
        on: frozenset[str],
        sign: str,
        *,
        keeps: bool,
    ) -> Fate:
        place, end, sample = at
        for attempt in range(times):
            number = seed(0, self.row, (*further(place, sign, attempt), *end)) + sample
            found = fate(number)
            if found == "reply" and stage.name == "E":
                found = "fine"
            self.counts["cut"] += found == "cut"
            if found == "cut" and keeps:
                found = "fine"
            if found == "fine" or found not in on or attempt + 1 == times:
                return found
            self.counts["retry"] += 1
        raise AssertionError


def _policy(node: Retry) -> tuple[int, frozenset[str], str]:
    usual = (cause for cause, mode in FAILURE_MODES.items() if mode.retried)
    on = usual if node.on is None else [node.on] if isinstance(node.on, str) else node.on
    return node.times or 3, frozenset(on), mark(node)


def _step(place: Place, part: Expr, position: str) -> Place:
    return (*place, part.name if isinstance(part, Named) else position)


def happened(node: Expr, row: str) -> tuple[dict[str, int], bool]:
    """Return the number of events of each kind, and whether the row succeeds."""
    model = _Model(row)
    try:
        model.visit(normal(node), 0, ())
    except _Failed:
        return dict(+model.counts), False
    return dict(+model.counts), True


ROWS = [{"id": str(number), "query": f"question {number}"} for number in range(4)]


def noted(node: Expr, row: dict[str, str]) -> tuple[tuple[Event, ...], bool]:
    """Return the events of the reference, and whether the row succeeds."""
    try:
        return events_of(interpret(node, record_of(row), engine().complete)), True
    except StageError as error:
        return error.events or (), False


@law(chains)
def test_the_reference_notes_what_happened(node: Expr) -> None:
    for row in ROWS[:2]:
        events, ok = noted(node, row)
        assert (dict(Counter(one.kind for one in events)), ok) == happened(node, row["id"])


@law(chains, st.permutations(ROWS), st.sampled_from([1, 2, 1000]))
def test_the_runtime_counts_what_happened(
    node: Expr, rows: list[dict[str, str]], window: int
) -> None:
    plan = lower(normal(node))
    engines = dict.fromkeys(plan.models, engine(latency=latency))
    records: list[Record] = [record_of(row) for row in rows]
    for outcome in run(Prepared(plan, engines, window=window), records):
        counts = dict(Counter(one.kind for one in outcome.events))
        assert (counts, outcome.failure is None) == happened(node, outcome.row_id)


@law(chains, ci=10)
def test_the_summary_and_the_folder_count_what_happened(node: Expr) -> None:
    expected, failed = Counter[str](), 0
    for row in ROWS:
        counts, ok = happened(node, row["id"])
        expected += Counter(counts)
        failed += not ok
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        summary = Chain(node).run(ROWS, path, engine=engine(), passes=())
        told = json.loads((path / "metadata.json").read_text())
        lines = (path / "events.jsonl").read_text() if expected else ""
    assert (dict(summary.events), summary.failed) == (dict(expected), failed)
    assert (told["events"], told["rows"]["failed"]) == (dict(expected), failed)
    assert Counter(json.loads(line)["kind"] for line in lines.splitlines()) == expected
