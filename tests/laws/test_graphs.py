"""Steps that start once what they read is there: equal results, in the time of the longest path."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

from hypothesis import assume, event
from hypothesis import strategies as st

from chainlang import Chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.ir.nodes import Expr
from chainlang.ir.normalize import normal_form
from chainlang.optimizer.compile import Compiled, compiled
from chainlang.optimizer.registry import DEFAULT
from chainlang.plan.candidate_fields import fields_after
from chainlang.plan.estimate_cost import counts
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Failure, FailureKind, Request
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws import law
from tests.laws.control import BOUND, READERS, ROWS, chains, comparable, said, shaky
from tests.laws.control import meant as of_reference
from tests.laws.critical_path import latency, seconds, stages
from tests.strategies import Graph, graphs

ROW = {"id": "1", "query": "q", "topic": "math", "documents": ["one", "two"]}
KINDS: tuple[FailureKind, ...] = (
    "transport", "denied", "engine", "context", "constraint", "refused",
)  # fmt: skip


def keep(answer: Any) -> Any:
    return answer


def fussy(answer: Any) -> Any:
    if "1" in str(answer):
        raise ValueError("no 1")
    return answer


FUNCTIONS: dict[str, Callable[..., Any]] = {"keep": keep, "fussy": fussy}
TIMED = tuple(
    one for one in DEFAULT if one != "share_equal_work"
)  # a shared reply is there at once


def chain_of(graph: Graph) -> Chain:
    used = {name: one for name, one in FUNCTIONS.items() if f"@{name}" in graph.text}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(text=graph.text, functions=used)


def made(chain: Chain, passes: tuple[str, ...]) -> Compiled:
    found = compiled(chain.program(), passes=passes)
    event(f"{sum(one.fired for one in found.applied if one.name == 'start_early')} graphs")
    return found


def ran(found: Compiled, engine: FakeEngine) -> Outcome:
    engines = dict.fromkeys(found.naive.models, engine)
    (outcome,) = run(Prepared(found.plan, engines, window=1), [record_of(ROW)])
    return outcome


def _hash(*parts: object) -> int:
    return hashlib.blake2b(repr(parts).encode()).digest()[0]


Faults = dict[str, str]
faults: st.SearchStrategy[Faults] = st.dictionaries(
    st.integers(0, 9).map("m{}".format), st.sampled_from([*KINDS, "form", "cut", "some"])
)
"""Kind of failure of each model; the others fail sometimes, or never."""


def broken(faults: Faults) -> FakeEngine:
    """Return an engine with latencies that no order follows, and models that fail."""

    def number(request: Request) -> int:
        return _hash(request.model, [one.text for one in request.messages])

    def failures(request: Request) -> Failure | None:
        fault = faults.get(request.model, "")
        if request.model.startswith("x") or (fault == "some" and number(request) % 3 == 0):
            fault = KINDS[number(request) % len(KINDS)]
        if fault not in KINDS:
            return None
        kind: Any = fault
        return Failure("", kind, f"{request.model} is down", transient=fault == "transport")

    def answers(request: Request, index: int) -> str | None:
        fault = faults.get(request.model)
        if fault == "cut":
            return "x" * 9_000
        return "no form" if fault == "form" and request.schema is not None else None

    return FakeEngine(
        answers=answers,
        failures=failures,
        latency=lambda request: _hash(request.seed, request.model) / 16,
    )


def meant(chain: Chain, engine: FakeEngine) -> Any:
    """Return what the reference makes of the row, or why it fails, with the events up to then."""
    try:
        flow = interpret(
            chain.body, record_of(ROW), engine.complete, declared=chain.items, bound=chain.bound
        )
        return comparable(flow), None
    except StageError as error:
        return f"{error.cause}: {error}", error.events


@law(graphs(tuple(FUNCTIONS)), faults, st.lists(st.sampled_from(DEFAULT), unique=True), ci=100)
def test_a_graph_gives_what_the_chain_means(
    graph: Graph, faults: Faults, others: list[str]
) -> None:
    chain = chain_of(graph)
    meaning, events = meant(chain, broken(faults))
    naive = ran(made(chain, ()), broken(faults))
    for passes in (("start_early",), DEFAULT, ("start_early", *others)):
        outcome = ran(made(chain, passes), broken(faults))
        assert said(outcome) == meaning
        assert outcome.failure == naive.failure  # also its stage, its place, its sample, its events
        assert outcome.flow == naive.flow
        if isinstance(meaning, str):
            assert outcome.events == events
    event("fails" if isinstance(meaning, str) else "succeeds")


@law(graphs(("keep",)), share=4, ci=40)
def test_the_time_of_a_row_is_its_critical_path(graph: Graph) -> None:
    chain = chain_of(graph)
    found = made(chain, TIMED)

    def failures(request: Request) -> Failure | None:
        return Failure("", "engine", "down") if request.model.startswith("x") else None

    engine = FakeEngine(failures=failures, latency=lambda request: latency(request.model))
    outcome = ran(found, engine)
    assert outcome.failure is None
    assert outcome.seconds == seconds(normal_form(chain.body, chain.items), graph.ops)
    if ":x" not in graph.text:  # the estimate is of a row where nothing fails
        path = counts(found.plan).path
        requests = ran(found, FakeEngine(latency=lambda _: 1.0)).seconds
        assert path.least <= requests <= (path.most or requests)
    event(f"{stages(chain.body) // 5 * 5} stages or more")


@law(chains(), st.sampled_from(ROWS), share=2, ci=60)
def test_candidates_have_the_fields_that_their_types_say(node: Expr, row: dict[str, Any]) -> None:
    fields = fields_after(lower(normal_form(node, READERS), READERS, BOUND).root, frozenset())
    assume(fields is not None)
    flow = of_reference(node, record_of(row), shaky())
    assume(not isinstance(flow, str))
    for record in (flow,) if isinstance(flow, Record) else flow.records():  # type: ignore[union-attr]
        for one in record.candidates:
            assert {*one.fields} <= fields
