"""The runtime against the meaning, whatever the order, window, latencies and failures."""

from __future__ import annotations

import hashlib
from unittest.mock import patch

from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.check_structure import is_branched as apart
from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.engines.fake import FakeEngine
from chainlang.ir import build
from chainlang.ir.nodes import Each, Expr, Named, Stage
from chainlang.ir.normalize import normal, normal_form
from chainlang.notation import parse_file
from chainlang.plan.lower import lower
from chainlang.plan.visit import leaves
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Flow, Record
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws import law
from tests.laws.control import comparable
from tests.laws.wired import wired

OPS = parse_file(
    """
    op tell : generate { temperature = 0.5 user = "{{ query }} {{ weigh.answer | default('-') }}" }
    op weigh : fold -> { answer: int(0..9), why: str } {
      user = "{{ tell.answer | default('-') }} {{ weigh.why | default('-') }} {{ candidates }}"
    }
    """
).node.items
SCOPE = Scope.of(OPS)
stages = st.builds(
    lambda name, count, model, temperature: Stage(
        name,
        1 if name == "M" else count,
        None if name == "M" else model,
        None if name == "M" else temperature,
    ),
    st.sampled_from([*"EEEVJSM", "tell", "tell", "weigh", "weigh"]),
    st.integers(1, 3),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, 0.0, 0.7]),
)
names = st.sampled_from(["fr", "es", "x", "y", "z"])


def _parts(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.join(*parts)),
        several.map(lambda parts: build.branch(*parts)),
        st.builds(Named, names, inner),
        st.builds(build.repeat, st.integers(2, 3), inner),
        st.builds(
            lambda part: build.then(Each(part, over="[query, 2]"), Stage("E")),
            inner.map(lambda part: build.then(Stage("E"), part)).filter(lambda one: not apart(one)),
        ),
    )


@st.composite
def chains(draw: st.DrawFn) -> Expr:
    """Chains that can be run: they begin with an answer, and every check passes."""
    node = build.then(
        draw(stages.filter(lambda stage: stage.name == "E")),
        draw(st.recursive(stages, _parts, max_leaves=6)),
    )
    node, found = resolve(wired(draw, node, OPS), SCOPE)
    assume(not any(one.severity == "error" for one in found))
    return node


ROWS = [{"id": str(number), "query": f"question {number}"} for number in range(5)]


def _latency(request: Request) -> float:
    """Latencies that depend on nothing the order could follow."""
    return hashlib.blake2b(f"{request.seed}{request.messages}".encode()).digest()[0] / 16


def _meant(node: Expr, row: dict[str, str], engine: FakeEngine) -> Flow | str:
    try:
        return comparable(interpret(node, record_of(row), engine.complete, declared=OPS))
    except StageError as error:
        return str(error)


def _ran(node: Expr, rows: list[Record], engine: FakeEngine, window: int) -> dict[str, Outcome]:
    plan = lower(normal_form(node, OPS), OPS)
    outcomes = list(run(Prepared(plan, dict.fromkeys(plan.models, engine), window=window), rows))
    assert [outcome.row_id for outcome in outcomes] == [row.id for row in rows]
    return {outcome.row_id: outcome for outcome in outcomes}


def _said(outcome: Outcome) -> Flow | str | None:
    if outcome.flow is not None:
        return comparable(outcome.flow)
    return None if outcome.failure is None else outcome.failure.message


@law(chains(), st.permutations(ROWS), st.sampled_from([1, 2, 1000]), share=4)
def test_the_runtime_means_what_the_reference_means(
    node: Expr, rows: list[dict[str, str]], window: int
) -> None:
    engine = FakeEngine(latency=_latency)
    outcomes = _ran(node, [record_of(row) for row in rows], engine, window)
    for row in ROWS:
        assert _said(outcomes[row["id"]]) == _meant(node, row, FakeEngine())


@law(chains(), share=4)
def test_names_that_nobody_wrote_are_no_part_of_a_place(node: Expr) -> None:
    body = normal_form(node, OPS)
    places = [(leaf.place, type(leaf)) for leaf in leaves(lower(body, OPS).root)]
    with patch("chainlang.plan.lower.own_names", return_value=frozenset()):
        assert places == [(leaf.place, type(leaf)) for leaf in leaves(lower(body, OPS).root)]


@law(chains(), share=4)
def test_chains_of_one_normal_form_name_the_same_parts(node: Expr) -> None:
    assert own_names(node, OPS) == own_names(normal(node), OPS)


@law(
    chains(),
    st.sets(st.sampled_from([row["id"] for row in ROWS])),
    st.sampled_from([1, 1000]),
    share=4,
)
def test_rows_that_fail_leave_the_others_as_they_were(
    node: Expr, broken: set[str], window: int
) -> None:
    def failures(request: Request) -> Failure | None:
        number = request.messages[-1].text.partition("question ")[2][:1]
        return Failure("", "engine", "planted") if number in broken else None

    records = [record_of(row) for row in ROWS]
    whole = _ran(node, records, FakeEngine(), window)
    some = _ran(node, records, FakeEngine(failures=failures, latency=_latency), window)
    for name, outcome in some.items():
        if name in broken:
            assert outcome.failure is not None
            assert "planted" in outcome.failure.message
        else:
            assert _said(outcome) == _said(whole[name])


@law(chains(), share=4)
def test_a_row_costs_the_calls_that_were_counted(node: Expr) -> None:
    calls: list[int] = []

    def count(request: Request) -> Failure | None:
        calls.append(request.drawn)
        return None

    outcome = _ran(node, [record_of(ROWS[0])], FakeEngine(failures=count), 1)["0"]
    assert outcome.usage.calls == sum(calls)
