"""What is predicted of rows brackets what they cost, whatever the chain and the passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.program import Program
from chainlang.engines.fake import FakeEngine
from chainlang.ir.nodes import Expr
from chainlang.optimizer.compile import compiled
from chainlang.optimizer.registry import DEFAULT
from chainlang.plan.interval import Range
from chainlang.runtime.ports.stack import stacked
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import events_of, failures_of
from chainlang.session.cost_report import CostMeter, Costs, PortFactory
from chainlang.session.estimate import CostEstimator, Predicted
from tests.laws import law
from tests.laws.control import BOUND, ROWS, chains
from tests.laws.test_passes import OPS, improvable, wanted

SAME = (ROWS[3], ROWS[1], ROWS[3], ROWS[3])
LONG = FakeEngine(answers=lambda request, _: None if request.schema else "word " * 1000)  # is cut


def told(
    node: Expr,
    passes: object,
    outputs: list[str] | None,
    engine: FakeEngine,
    rows: Sequence[dict[str, Any]],
) -> Costs | None:
    """Return what was predicted of some rows and what they cost; None where one did not go well."""
    found = compiled(Program(node, OPS, BOUND), passes=passes, outputs=outputs)  # type: ignore[arg-type]
    ports = PortFactory(stacked)
    engines = dict.fromkeys(found.naive.models, engine)
    estimator = CostEstimator(found, dict.fromkeys(found.naive.models, engine.reader), window=2)
    meter = CostMeter.begin(estimator, engines, ports)
    starts = estimator.watch(record_of({**row, "id": None}) for row in rows)
    outcomes = list(run(Prepared(found.plan, engines, window=2, open_port=ports.open), starts))
    flows = [one.flow for one in outcomes]
    well = all(one and not events_of(one) and not failures_of(one) for one in flows)
    return meter.costs(0, {}) if well else None


def holds(bounds: Range, number: int, spared: int = 0) -> bool:
    return bounds.least <= number + spared and (bounds.most is None or number <= bounds.most)


@law(st.data(), st.one_of(chains(), improvable()), st.sampled_from([DEFAULT, ()]), share=8)
def test_rows_cost_what_was_predicted(data: st.DataObject, node: Expr, passes: object) -> None:
    rows = data.draw(st.sampled_from([SAME, SAME[:1]]))
    engine = data.draw(st.sampled_from([FakeEngine(), LONG]))
    costs = told(node, passes, data.draw(wanted(node)), engine, rows)
    assume(costs is not None)
    assert costs is not None
    said = sum(costs.predicted.models.values(), Predicted())
    (done,) = costs.actual.engines.values() or [None]
    assume(done is not None)
    assert done is not None
    shared = costs.actual.shared
    assert holds(said.cost.requests, done.requests, shared)
    assert holds(said.cost.samples, done.usage.calls, shared)
    assert holds(said.cost.output_tokens, done.usage.output_tokens)
    unknown = said.cost.prompt_tokens.least if shared else 0
    assert holds(said.cost.prompt_tokens, done.usage.prompt_tokens, unknown)
    if not shared:
        path = costs.predicted.path
        assert path.least <= (done.steps or 0)
        # Where nothing is awaited, the requests of a row that are ready come in one step.
        together = len(rows) == 1 and "later'" not in repr(node)
        assert not together or path.most is None or (done.steps or 0) <= path.most
    assert said.bound <= done.usage.prompt_tokens - done.usage.cached_tokens
