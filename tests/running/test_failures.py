"""What a model costs that does not answer, or too late; and what becomes of rows that fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, StopError
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Completion, Failure, Request, Usage
from chainlang.runtime.ports.circuit_breaker import LAST_TRIAL, TRIPS, Breaker
from tests.engines.server import Answer, echo, in_turn
from tests.engines.test_openai import FOREVER, asking
from tests.laws import law
from tests.running.test_resume import plain

ROWS = [{"id": str(number), "query": f"What is {number} + 1?"} for number in range(1000)]
NO_ROUTE = Failure("", "transport", "no route to host")


class Outage(FakeEngine):
    """An engine whose models are away from one second to another; it counts what was asked then."""

    def __init__(
        self, begins: float = 0.0, ends: float = 1e9, models: str = "tiny", **more: Any
    ) -> None:
        self.asked_in_vain = 0
        more.setdefault("latency", lambda request: 1.0)
        super().__init__(failures=self._failing, **more)
        self.begins, self.ends, self.models = begins, ends, models

    def _failing(self, request: Request) -> Failure | None:
        if not (self.begins < self.now <= self.ends and request.model in self.models):
            return None
        self.asked_in_vain += 1
        return NO_ROUTE


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---------------------------------------------------------------- a model that is down


@pytest.mark.slow
def test_a_model_that_is_gone_stops_a_run_in_seconds(tmp_path: Path) -> None:
    engine = Outage(begins=100.0, latency=lambda request: 10.0)
    with pytest.raises(StopError, match="the model 'tiny' is unavailable after") as caught:
        chain("E >> J").run(ROWS, tmp_path, engine=engine, window=20)
    assert engine.now < 100 + 10 + 30 + 5 + 10  # a call, the patience, and a trial and its call
    assert engine.asked_in_vain < 30
    summary = caught.value.summary
    assert 0 < summary.rows < 200
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["status"] == "stopped"
    assert metadata["stopped"].startswith("the model 'tiny' is unavailable after ")
    # The same command goes on, and what it leaves is what one run would have left.
    chain("E >> J").run(ROWS, tmp_path, engine=FakeEngine())
    chain("E >> J").run(ROWS, tmp_path / "whole", engine=FakeEngine())
    whole = plain(tmp_path / "whole")
    assert {name: data for name, data in plain(tmp_path).items() if name in whole} == whole


@pytest.mark.slow
def test_an_outage_that_is_shorter_than_the_patience_costs_a_few_rows(tmp_path: Path) -> None:
    engine = Outage(begins=50.0, ends=500.0)
    summary = chain("E").run(ROWS, tmp_path, engine=engine, window=10, patience=3600)
    assert summary.rows == 1000
    assert 0 < summary.failed < TRIPS  # those that found it out
    assert engine.asked_in_vain < 40
    assert engine.now < 500 + LAST_TRIAL + 1000 / 10 + 10


def test_rows_of_map_fail_at_once_when_the_patience_is_over() -> None:
    engine = Outage()
    found = list(chain("E").map(ROWS, engine=engine, window=10))
    assert [one.ok for one in found] == [False] * 1000
    causes = [one.failure.cause for one in found if one.failure]
    assert causes.count("transport") < 20
    assert causes[-1] == "down"
    assert engine.now < 120
    assert found[-1].failure is not None
    assert found[-1].failure.message.endswith("last error: no route to host")


@pytest.mark.slow
def test_a_fallback_steps_in_for_a_model_that_is_down(tmp_path: Path) -> None:
    engine = Outage(models="big")
    text = "fallback(E:big, E:small)"
    summary = chain(text).run(ROWS, tmp_path, engine=engine, window=10, patience=0)
    assert (summary.rows, summary.failed, summary.events) == (1000, 0, {"fallback": 1000})
    assert engine.asked_in_vain < 1000 / 10  # the time of a thousand rows has some trials


def test_what_does_not_pass_is_not_waited_for(tmp_path: Path) -> None:
    engine = FakeEngine(failures=lambda request: Failure("", "denied", "pay first"))
    with pytest.raises(StopError, match="last error: pay first"):
        chain("E").run(ROWS, tmp_path, engine=engine, window=10)
    assert engine.now == 0.0
    assert engine.submitted == 10


def test_failures_of_rows_say_nothing_of_the_model(tmp_path: Path) -> None:
    for kind, mode in FAILURE_MODES.items():
        if mode.scope == "row":
            engine = FakeEngine(failures=lambda request, kind=kind: Failure("", kind, "no"))
            found = list(chain("E").map(ROWS[:20], engine=engine, window=5))
            assert {one.failure.cause for one in found if one.failure} == {kind}


def test_a_row_that_waits_for_a_model_has_a_timeout_still() -> None:
    engine = Outage()
    found = list(
        chain("timeout(E, seconds=9)").map(ROWS[:12], engine=engine, window=12, patience=600)
    )
    assert [one.failure.cause for one in found if one.failure][-1] == "timeout"
    assert engine.now == 9.0


@pytest.mark.slow
def test_a_real_server_that_goes_away_stops_a_run(tmp_path: Path) -> None:
    gone = in_turn(*[echo] * 10, Answer(cut=0))
    with asking(gone, max_concurrency=4) as (server, engine):
        with pytest.raises(StopError, match=r"gave no reply: .RemoteProtocolError") as caught:
            chain("E").run(ROWS, tmp_path, engine=engine, window=8, patience=0)
        # Six times each of the window, and of those that came after the first that failed.
        assert len(server.bodies) <= 10 + (8 + TRIPS - 1) * 6
    assert caught.value.summary.rows <= 10 + 8 + TRIPS


@law(st.lists(st.tuples(st.sampled_from(["ok", "row", "model"]), st.floats(0, 30)), max_size=60))
def test_an_open_breaker_lets_one_call_through_at_a_time(events: list[tuple[str, float]]) -> None:
    breaker, now, flying = Breaker("m"), 0.0, list[str]()
    for number, (kind, seconds) in enumerate(events):
        now += seconds
        was_open = breaker.opened is not None
        if breaker.admits(str(number), now):
            assert not (was_open and flying)
            flying.append(str(number))
        elif not flying:
            due = breaker.next_trial(now)
            assert due is not None
            assert now < due <= now + LAST_TRIAL
        if flying:
            name = flying.pop()
            failure = Failure(name, "transport" if kind == "model" else "refused", "no")
            breaker.heard(Completion(name, (), Usage()) if kind == "ok" else failure, now)
            assert kind == "model" or breaker.opened is None


# ---------------------------------------------------------------- a call that takes too long


def slow_at_first() -> Callable[[Request], float]:
    """Take long for some questions, when they are first asked."""
    asked: set[str] = set()

    def latency(request: Request) -> float:
        text = request.messages[-1].text
        is_slow = text not in asked and text.startswith("What is 1")
        asked.add(text)
        return 100.0 if is_slow else 1.0

    return latency


def test_a_call_has_a_deadline() -> None:
    rows, slow = ROWS[:30], [number for number in range(30) if str(number).startswith("1")]
    whole = [one.answer for one in chain("E::0.7").map(rows, engine=FakeEngine())]
    engine = FakeEngine(latency=slow_at_first())
    found = list(chain("retry(E::0.7)").map(rows, engine=engine, call_seconds=5, window=3))
    assert [one.answer for one in found] == whole
    assert engine.now < 100
    late = [one.index for one in found if one.events]
    assert late == slow[: len(late)]  # after some, the model was found down, and they were held
    assert len(late) >= TRIPS - 1
    engine = FakeEngine(latency=slow_at_first())
    found = list(chain("E::0.7").map(rows, engine=engine, call_seconds=5, window=3, patience=0))
    told = {one.failure.message for one in found if one.failure and one.failure.cause != "down"}
    assert told == {"there was no reply within 5 s"}


@pytest.mark.slow  # as long as the deadline
def test_a_server_is_given_the_deadline_of_a_call() -> None:
    with asking(in_turn(FOREVER, echo), max_concurrency=1) as (server, engine):
        found = list(chain("E::0.7").map(["a", "b"], engine=engine, call_seconds=5))
        server.wait_for(lambda: server.hung_up == 1)
    # The second waited for its turn longer than that, and its time began then.
    assert [one.ok for one in found] == [False, True]
    assert found[0].failure is not None
    assert found[0].failure.message.endswith("the deadline is 5 s")


# ---------------------------------------------------------------- what becomes of failed rows

ODD = FakeEngine(
    failures=lambda request: (
        Failure("", "refused", "no") if int(request.messages[-1].text) % 2 else None
    )
)
NUMBERS = [{"id": f"r{number}", "query": str(number)} for number in range(6)]


def test_on_error_means_the_same_everywhere(tmp_path: Path) -> None:
    qa = chain("E")
    with pytest.raises(RowError, match="no"):
        list(qa.map(NUMBERS, engine=ODD, on_error="raise"))
    with pytest.raises(RowError, match="no"):
        qa.run(NUMBERS, tmp_path / "raise", engine=ODD, on_error="raise")
    with pytest.raises(RowError, match="no"):
        qa("1", engine=ODD)
    with pytest.raises(RowError, match="no"):
        asyncio.run(qa.acall("1", engine=ODD))

    assert [one.ok for one in qa.map(NUMBERS, engine=ODD)] == [True, False] * 3
    failed = qa("1", engine=ODD, on_error="collect")
    assert failed.failure is not None
    assert failed.failure.message == "no"
    assert not asyncio.run(qa.acall("1", engine=ODD, on_error="collect")).ok
    assert not asyncio.run(qa.acall({"a": 1, "b": 2}, engine=ODD, on_error="collect")).ok

    assert [one.ok for one in qa.map(NUMBERS, engine=ODD, on_error="skip")] == [True] * 3
    assert qa("1", engine=ODD, on_error="skip") is None
    assert asyncio.run(qa.acall("1", engine=ODD, on_error="skip")) is None

    async def streamed(on_error: str) -> tuple[list[str], Any]:
        stream = qa.stream("1", engine=ODD, on_error=on_error)
        return [str(piece) async for piece in stream], stream.result

    assert asyncio.run(streamed("skip")) == ([], None)
    assert not asyncio.run(streamed("collect"))[1].ok
    with pytest.raises(RowError, match="no"):
        asyncio.run(streamed("raise"))


def test_a_run_lists_what_failed_whether_it_skips_or_not(tmp_path: Path) -> None:
    for on_error, ids in {"collect": range(6), "skip": (0, 2, 4)}.items():
        out = tmp_path / on_error
        summary = chain("2:E::0.7").run(NUMBERS, out, engine=ODD, on_error=on_error)
        assert (summary.rows, summary.failed) == (6, 3)
        results = lines(out / "flattened" / "000.jsonl")
        assert [row["id"] for row in results] == [f"r{number}" for number in ids]
        errors = lines(out / "errors.jsonl")
        assert [(one["row"], one["id"]) for one in errors] == [(2, "r1"), (4, "r3"), (6, "r5")]
        for one in errors:
            assert (one["stage"], one["sample"], one["cause"]) == ("E", 0, "refused")
            assert (one["message"], one["text"]) == ("no", None)
