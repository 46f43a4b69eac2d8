"""Results flow: each is handed out when its turn has come, and what is done is never held back."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.runtime.window import FIRST_SAMPLES, MORE_SAMPLES
from chainlang.session.result import Result
from chainlang.session.summary import Interrupted

ROWS = [{"id": f"r{number}", "query": f"question {number}"} for number in range(40)]


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


# ---------------------------------------------------------------- functions that take long


@pytest.mark.parametrize("text", ["@slow", "E >> @slow", "E >> @slow >> M", "3:E >> (M | @slow)"])
@pytest.mark.parametrize("passes", [(), ("default",)])
def test_results_come_as_a_function_finishes_them(text: str, passes: tuple[str, ...]) -> None:
    called: list[int] = []

    def slow(*, number: int) -> str:
        called.append(number)
        return str(number)

    rows = [{"id": str(number), "query": "q", "number": number} for number in range(20)]
    made = chain(text, functions={"slow": slow})
    came = [len(called) for _ in made.map(rows, engine=FakeEngine(), passes=passes)]
    assert came == list(range(1, 21))


# ---------------------------------------------------------------- interrupts


def received(results: Iterable[Result]) -> list[Result]:
    """Return the results that come before an interrupt."""
    found: list[Result] = []

    def receive() -> None:
        for result in results:
            found.append(result)  # noqa: PERF402  # the list is what is left of it

    with pytest.raises(KeyboardInterrupt):
        receive()
    return found


def ids(results: Iterable[Result]) -> list[str]:
    return [one.row_id for one in results]


def interrupting(when: int) -> Callable[..., str]:
    """Return a function that is interrupted when it is called for a row."""

    def slow(*, query: str) -> str:
        if query == f"question {when}":
            interrupt()
        return query

    return slow


@pytest.mark.parametrize("text", ["@slow", "E >> @slow", "2:E >> @slow >> M"])
def test_an_interrupted_map_has_yielded_what_was_done(text: str) -> None:
    made = chain(text, functions={"slow": interrupting(7)})
    found = received(made.map(ROWS, engine=FakeEngine()))
    assert ids(found) == [f"r{number}" for number in range(7)]


class Interrupting(FakeEngine):
    """An engine in whose step Ctrl-C is pressed, at a time."""

    at = 1.0

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        if self.now >= self.at:
            interrupt()
        return super().step(until)


def slow_first(request: Request) -> float:
    """Let the first and the third row take long."""
    text = request.messages[-1].text
    return 9.0 if text in ("question 0", "question 2") else 1.0


@pytest.mark.parametrize(("ordered", "window"), [(True, 256), (False, 256), (True, 8)])
def test_what_waits_for_a_slower_row_is_yielded_too(ordered: bool, window: int) -> None:
    engine = Interrupting(latency=slow_first)
    found = ids(received(chain("E").map(ROWS, engine=engine, ordered=ordered, window=window)))
    done = [row["id"] for row in ROWS[:window] if row["id"] not in ("r0", "r2")]
    assert found == done


def test_a_row_that_fails_is_among_them() -> None:
    engine = Interrupting(
        latency=slow_first,
        failures=lambda one: (
            Failure("", "refused", "no") if one.messages[-1].text == "question 3" else None
        ),
    )
    found = received(chain("E").map(ROWS[:6], engine=engine))
    assert [(one.index, one.ok) for one in found] == [(1, True), (3, False), (4, True), (5, True)]


def test_an_interrupted_run_says_how_to_resume_and_leaves_no_gap(tmp_path: Path) -> None:
    qa = chain("E >> M")
    with pytest.raises(Interrupted, match="run the same call again to resume") as caught:
        qa.run(ROWS, tmp_path / "run", engine=Interrupting(latency=slow_first))
    assert caught.value.summary.rows == 0  # the first row was not done
    engine = FakeEngine(latency=slow_first)
    assert qa.run(ROWS, tmp_path / "run", engine=engine).rows == len(ROWS)
    assert engine.submitted == 2  # the others are in the journal
    lines = (tmp_path / "run" / "flattened" / "000.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row["id"] for row in ROWS]


def test_one_row_is_not_many() -> None:
    (caught,) = [Interrupted(summary(rows)) for rows in (1,)]
    assert str(caught) == "1 row is in run: run the same call again to resume"
    assert str(Interrupted(summary(1200))).startswith("1,200 rows are in run: ")


def summary(rows: int) -> Any:
    from chainlang.protocol.messages import Usage
    from chainlang.session.summary import Summary

    return Summary(rows, 0, Usage(), 0.0, Path("run"))


# ---------------------------------------------------------------- a window that opens gradually


class Serial(FakeEngine):
    """An engine whose steps take the longer the more samples are in its batch."""

    serial = True


def deep(request: Request) -> float:
    return 1.0 + request.seed % 7 / 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "width"), [("9:E::0.7 >> J", 9), ("E", 1), ("3:E::0.7 >> V::0.7 >> M", 3)]
)
def test_a_window_opens_as_rows_are_done_where_batches_are_serial(text: str, width: int) -> None:
    rows = [{"query": f"question {number}"} for number in range(300)]
    engines = [FakeEngine(latency=deep), Serial(latency=deep)]
    found: list[list[str]] = []
    for engine in engines:
        answers: dict[int, str] = {}
        for result in chain(text).map(rows, engine=engine, ordered=False):
            if not answers:
                begun = engine.most_in_flight
            answers[result.index] = result.answer
        found.append([answers[index] for index in range(300)])
    assert found[0] == found[1]
    assert engines[0].submitted == engines[1].submitted
    assert engines[0].most_in_flight == 256 * width  # all at once
    assert begun <= FIRST_SAMPLES + MORE_SAMPLES + 9  # and here few before the first is done
    assert engines[1].most_in_flight > 2 * begun  # then more


@pytest.mark.parametrize("window", [1, 3, 256])
def test_it_is_never_larger_than_its_size(window: int) -> None:
    rows = [{"query": f"question {number}"} for number in range(50)]
    engine = Serial(latency=deep)
    assert len(list(chain("E").map(rows, engine=engine, window=window))) == 50
    assert engine.most_in_flight <= window
