"""Budgets: of a row, which then fails, and of a run, which then stops and can be gone on with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, StopError
from tests.laws import law
from tests.running.test_resume import CHAIN, ROWS, Counting, latency, plain

LISTS = [{"id": f"r{size}", "query": "q", "items": [*range(size)]} for size in range(6)]


def run(path: Path, engine: FakeEngine, text: str = CHAIN, **settings: Any) -> Any:
    return chain(text).run(ROWS, path, engine=engine, window=4, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """What an unbounded run writes, and how many calls it makes."""
    out, engine = tmp_path_factory.mktemp("whole") / "run", Counting(latency=latency)
    run(out, engine)
    return plain(out), engine.samples


# ---------------------------------------------------------------- of a run


@pytest.mark.slow
@pytest.mark.parametrize("most", [7, 50, 99])
def test_a_run_makes_no_more_calls_than_it_may(
    most: int, tmp_path: Path, whole: tuple[dict[str, bytes], int]
) -> None:
    made = 0
    while True:
        engine, stopped = Counting(latency=latency), None
        try:
            run(tmp_path, engine, run_calls=most)
        except StopError as error:
            stopped = error
        assert engine.samples <= most
        made += engine.samples
        if stopped is None:
            break
        assert engine.samples > 0  # each goes on
        assert str(stopped) == (
            f"error[stopped]: the budget run_calls={most} is used up\n"
            "  = hint: finished samples are saved; re-run the same command to resume, "
            "with a new budget"
        )
        metadata = json.loads((tmp_path / "metadata.json").read_text())
        assert metadata["stopped"] == f"the budget run_calls={most} is used up"
        assert metadata["rows"]["read"] == stopped.summary.rows
    assert plain(tmp_path) == whole[0]
    assert made == whole[1]


def test_a_budget_below_one_request_says_so(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="run_calls=2 is used up: one request has 3 samples"):
        run(tmp_path, Counting(), "3:E::0.7", run_calls=2)


def test_exactly_enough_is_enough(tmp_path: Path, whole: tuple[dict[str, bytes], int]) -> None:
    assert run(tmp_path, Counting(latency=latency), run_calls=whole[1]).failed == 0
    assert plain(tmp_path) == whole[0]


def test_what_was_drawn_before_costs_nothing(
    tmp_path: Path, whole: tuple[dict[str, bytes], int]
) -> None:
    with pytest.raises(StopError):
        run(tmp_path, Counting(latency=latency), run_calls=whole[1] - 1)
    run(tmp_path, Counting(latency=latency), run_calls=1, run_tokens=1)
    assert plain(tmp_path) == whole[0]


@law(st.integers(1, 3000), st.integers(1, 12), share=20)
def test_tokens_are_counted_as_they_come(most: int, window: int) -> None:
    engine = FakeEngine(latency=latency)
    used, stopped = 0, None
    try:
        for one in chain("2:E::0.7").map(ROWS, engine=engine, window=window, run_tokens=most):
            used += one.usage.prompt_tokens + one.usage.output_tokens
    except StopError as error:
        stopped = error
    if stopped is not None:
        assert f"the budget run_tokens={most} is used up" in str(stopped)
    in_flight = 2 * 30 * window
    assert used < most + in_flight
    assert stopped is not None or used == WHOLE


WHOLE = sum(
    one.usage.prompt_tokens + one.usage.output_tokens
    for one in chain("2:E::0.7").map(ROWS, engine=FakeEngine())
)


def test_time_is_that_of_the_engines(tmp_path: Path) -> None:
    engine = Counting(latency=lambda request: 10.0)
    with pytest.raises(StopError, match="run_seconds=35") as caught:
        run(tmp_path, engine, "E", run_seconds=35)
    assert engine.now == 35.0
    assert caught.value.summary.rows == 3 * 4  # three rounds of a window of four
    assert run(tmp_path, Counting(), "E").recorded == 12


def test_time_passes_while_a_model_is_waited_for(tmp_path: Path) -> None:
    from tests.running.test_failures import Outage

    with pytest.raises(StopError, match="run_seconds=60"):
        run(tmp_path, engine := Outage(begins=2.0), "E", run_seconds=60, patience=3600)
    assert engine.now == 60.0


def test_rows_without_calls_need_no_budget() -> None:
    rows = [{"id": str(number), "responses": ["a", "b", "a"]} for number in range(9)]
    found = chain("M").map(rows, engine=FakeEngine(), run_calls=1, run_tokens=1)
    assert [one.answer for one in found] == ["a"] * 9


# ---------------------------------------------------------------- of a row

EACH = load(text='op ask : generate -> str { user = "{{ item }}" }\nmain = each(ask, over="items")')


def test_a_row_makes_no_more_calls_than_it_may(tmp_path: Path) -> None:
    summary = EACH.run(LISTS, tmp_path, engine=FakeEngine(), row_calls=3)
    assert (summary.rows, summary.failed) == (6, 2)
    errors = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    assert [(one["id"], one["stage"], one["cause"]) for one in errors] == [
        ("r4", "ask", "budget"),
        ("r5", "ask", "budget"),
    ]
    assert errors[0]["message"] == "row_calls=3 is used up: 3 made, 1 more requested"


def test_a_call_that_failed_is_not_counted() -> None:
    from chainlang.protocol.messages import Failure

    broken = iter(
        [Failure("", "transport", "reset"), Failure("", "transport", "reset"), None, None]
    )
    engine = FakeEngine(failures=lambda request: next(broken))
    result = chain("retry(E) >> V")("q", engine=engine, row_calls=2)
    assert result.usage.calls == 2


def test_a_row_that_has_used_its_tokens_asks_no_more() -> None:
    text = chain("E >> V >> V >> V")  # without passes: equal questions would cost nothing
    free = text("a question", engine=FakeEngine(), passes=())
    used = free.usage.prompt_tokens + free.usage.output_tokens
    assert text("a question", engine=FakeEngine(), passes=(), row_tokens=used).ok
    failed = text(
        "a question", engine=FakeEngine(), passes=(), row_tokens=used // 2, on_error="collect"
    )
    assert failed.failure is not None
    assert (failed.failure.cause, failed.failure.stage) == ("budget", "V")
    assert failed.failure.message.startswith(f"row_tokens={used // 2} is used up: ")
    assert 0 < failed.usage.calls < free.usage.calls


@pytest.mark.parametrize("text", ["E >> V", "(a = E) | (b = E >> V)"])
def test_a_row_has_its_time(text: str) -> None:
    engine = FakeEngine(latency=lambda request: 10.0)
    assert chain(text)("q", engine=engine, row_seconds=20).ok
    with pytest.raises(RowError, match="the row took longer than row_seconds=15"):
        chain(text)("q", engine=engine, row_seconds=15)
    with pytest.raises(RowError, match="row_seconds=15"):
        asyncio.run(chain(text).acall("q", engine=engine, row_seconds=15))


def test_a_fallback_does_not_help_a_row_without_a_budget() -> None:
    with pytest.raises(RowError, match="row_calls=1 is used up"):
        chain("fallback(2:E::0.7, 3:E::0.7)")("q", engine=FakeEngine(), row_calls=1)


def test_budgets_change_nothing_that_fits_them(
    tmp_path: Path, whole: tuple[dict[str, bytes], int]
) -> None:
    run(tmp_path, Counting(latency=latency), row_calls=99, row_tokens=99999, row_seconds=1e6)
    assert plain(tmp_path) == whole[0]
