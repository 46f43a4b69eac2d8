"""Models that take turns change no result, and hold no more memory than there is."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from chainlang.analysis.program import Program
from chainlang.engines.fake import FakeEngine
from chainlang.ir.nodes import Expr
from chainlang.optimizer.compile import compiled
from chainlang.plan.model_schedule import residency
from chainlang.protocol.messages import Usage
from chainlang.protocol.usages import Usages
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from tests.laws import law
from tests.laws.test_runtime import OPS, ROWS, _latency, chains

SIZES = st.fixed_dictionaries({name: st.integers(1, 4) for name in ("tiny", "a", "b")})


class Held(FakeEngine):
    """Says, when it is loaded, how much is."""

    def __init__(self, size: int, all_of: list[Held], seen: list[int]) -> None:
        super().__init__(size=size, latency=_latency)
        self.all_of, self.seen = all_of, seen
        all_of.append(self)

    def load(self, *given: Any) -> None:
        super().load(*given)
        self.seen.append(sum(one.size.total for one in self.all_of if one.loaded))


def total(outcomes: list[Outcome]) -> Usage:
    return sum((one.usage for one in outcomes), Usage())


@law(
    chains(),
    SIZES,
    st.integers(4, 12),
    st.sampled_from([1, 2, 1000]),
    st.sampled_from([None, ()]),
    share=4,
)
def test_models_that_take_turns_change_no_result(
    node: Expr, sizes: dict[str, int], memory: int, window: int, passes: tuple[str, ...] | None
) -> None:
    plan = compiled(Program(node, OPS), passes=passes).plan
    records = [record_of(row) for row in ROWS]
    one = FakeEngine(latency=_latency)
    wanted = list(run(Prepared(plan, dict.fromkeys(plan.models, one), window=window), records))
    all_of, seen = list[Held](), list[int]()
    engines = {name: Held(sizes[name], all_of, seen) for name in plan.models}
    swapper = Swapper(residency(plan.root, sizes, memory), engines)
    swapper.begin()
    found = list(run(Prepared(plan, engines, window=window, swapper=swapper), records))
    # Of equal requests, whichever comes first is paid for; that may be another row's.
    assert [evolve(one, usages=Usages()) for one in found] == [
        evolve(one, usages=Usages()) for one in wanted
    ]
    assert total(found) == total(wanted)
    assert max(seen, default=0) <= memory
    assert swapper.loads == sum(one.loads for one in all_of)
    if passes is None or window > len(ROWS):
        assert swapper.loads <= swapper.residency.loads
