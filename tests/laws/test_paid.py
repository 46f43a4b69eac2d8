"""The cost of a run is the sum of what its engines completed, and its journal has all of it.

Runs fail, are stopped and resumed, share a cache, switch models, draw equal samples at once and
abort samples.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from chainlang import load
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.errors import StopError
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.protocol.price import Price
from chainlang.store.journal import Journal
from chainlang.store.safe_files import Folder
from tests.laws import law

PRICES = {"a": Price(Decimal("2.5"), Decimal(10), Decimal("1.25")), "b": Price(Decimal("0.1"))}
ITEMS = """
model a = fake("a", price={"input": 2.5, "output": 10, "cached": 1.25})
model b = fake("b", price={"input": 0.1, "output": 0})
"""
CHAINS = (
    "3:E:a:0.7 >> M",
    "9:E:a:0.7 >> M >> J:b",
    "5:E:b:1(need=2) >> J:a",
    "(x = 2:E:a:0.7 & E:b:0) >> V:b >> J:a:0",
    "fallback(E:a:0.7 >> J:b, E:b:0)",
    "retry(J:a:0.5, times=3) | timeout(E:b:0.3, seconds=2)",
    "E:a:0 & E:a:0 & E:b:0 >> J:a:0",
    '3:E:a:0.7(fallback_models=["b"]) >> J:b(fallback_models=["a"])',
)


def _chance(request: Request, what: str) -> int:
    """Return a number from 0 to 99 that a request has for a purpose."""
    text = f"{what} {request.seed} {request.model} {request.messages[-1].text}"
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] * 100 // 256


class Billed(FakeEngine):
    """A fake engine that adds up the cost of all completions that it returns."""

    def __init__(self, faults: int) -> None:
        super().__init__(answers=self._reply, latency=self._seconds, failures=self._failure)
        self.faults = faults
        self.bills: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.models: dict[str, str] = {}

    def _reply(self, request: Request, index: int) -> Any:
        if _chance(request, f"refused {index}") < self.faults // 2:
            return Reply("", refusal="no")
        return None

    def _seconds(self, request: Request) -> float:
        return _chance(request, "seconds") / 40

    def _failure(self, request: Request) -> Failure | None:
        if _chance(request, "fault") < self.faults:
            return Failure(request.id, "context" if request.seed % 2 else "refused", "no")
        return None

    def submit(self, requests: Any) -> None:
        requests = list(requests)
        self.models |= {one.id: one.model for one in requests}
        super().submit(requests)

    def step(self, until: float | None = None) -> Sequence[Any]:
        replies = super().step(until)
        for reply in replies:
            if isinstance(reply, Completion):
                model = self.models[reply.id]
                self.bills[model] += PRICES[model].of(reply.usage)
        return replies


def _journaled(out: Path) -> dict[str, Decimal | None]:
    with closing(Folder.open(out)) as folder, closing(Journal.open(folder)) as journal:
        return journal.spent


@law(st.data(), share=4, ci=25)
def test_the_cost_of_a_run_is_the_sum_over_its_journal(data: st.DataObject) -> None:
    made = load(text=f"{ITEMS}main = {data.draw(st.sampled_from(CHAINS))}")
    rows = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8))
    faults = data.draw(st.sampled_from((0, 0, 5, 30)))
    cache = data.draw(st.sampled_from(("off", "write", "refresh")))
    stops = data.draw(st.lists(st.integers(1, 12), max_size=2))
    with tempfile.TemporaryDirectory() as home:
        given: dict[str, Any] = {
            "cache": cache,
            "cache_folder": Path(home) / "cache",
            "window": data.draw(st.integers(1, 8)),
            "seed": data.draw(st.integers(0, 3)),
        }
        if cache == "write":  # another run has paid for a part
            list(made.map(rows[:3], engine=Billed(0), **given))
        engine, out, summary = Billed(faults), Path(home) / "out", None
        for calls in (*stops, None):
            try:
                summary = made.run(rows, out, engine=engine, run_calls=calls, **given)
            except StopError as stopped:
                summary = stopped.summary
        assert summary is not None
        bills = {name: cost for name, cost in engine.bills.items() if cost}
        assert {name: cost for name, cost in summary.cost_by_model.items() if cost} == bills
        assert summary.cost == sum(bills.values(), Decimal(0))
        assert _journaled(out) == summary.cost_by_model
        assert summary.usage.spent is not None
        assert summary.usage.spent <= summary.cost
        if not faults and not stops and cache == "off":
            again = made.map(rows, engine=(other := Billed(0)), **given)
            assert again.cost is not None
            assert again.cost <= sum(other.bills.values(), Decimal(0))
