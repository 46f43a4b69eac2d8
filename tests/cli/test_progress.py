"""How far a run is, told with a clock of its own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from attrs import define

from chainlang import chain
from chainlang.cli.progress import Progress
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Usage
from chainlang.protocol.usages import Usages
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.row_failure import RowFailure


@define
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def told(
    *, terminal: bool, expected: float | None, rows: int, seconds: float, before: int = 0
) -> str:
    """Return what is written of rows that each take so long."""
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, terminal=terminal, clock=clock)
    progress.say("tiny is ready")
    for index in range(rows):
        clock.now += seconds
        failure = RowFailure("broken") if index == 0 else None
        progress.row(
            Outcome(
                before + index, "", None, failure, Usages({("E", "tiny"): Usage(1, 30, 0, 20)})
            ),
            expected,
        )
    progress.end()
    return stream.getvalue()


def test_there_is_a_line_every_ten_seconds() -> None:
    assert told(terminal=False, expected=100, rows=11, seconds=2) == (
        "tiny is ready\n"
        "5 rows  0.5 rows/s  25 tokens/s  1 failed  4 min left\n"
        "10 rows  0.5 rows/s  25 tokens/s  1 failed  3 min left\n"
    )


def test_rows_that_were_done_before_say_nothing_of_the_time_that_is_left() -> None:
    assert told(terminal=False, expected=100, rows=11, seconds=2, before=80) == (
        "tiny is ready\n"
        "85 rows  0.5 rows/s  25 tokens/s  1 failed  30 s left\n"
        "90 rows  0.5 rows/s  25 tokens/s  1 failed  20 s left\n"
    )


def test_nothing_is_said_of_a_time_that_is_not_known() -> None:
    assert told(terminal=False, expected=None, rows=5, seconds=2) == (
        "tiny is ready\n5 rows  0.5 rows/s  25 tokens/s  1 failed\n"
    )


def test_on_a_terminal_it_is_one_line_that_goes_at_the_end() -> None:
    assert told(terminal=True, expected=2, rows=2, seconds=60) == (
        "tiny is ready\n"
        "\r1 row  0.0 rows/s  1 tokens/s  1 failed  1 min left\x1b[K"
        "\r2 rows  0.0 rows/s  1 tokens/s  1 failed  0 s left\x1b[K"
        "\r\x1b[K"
    )


def test_an_estimate_that_was_too_low_leaves_nothing() -> None:
    assert "0 s left" in told(terminal=False, expected=3.5, rows=5, seconds=2)


def test_a_line_is_not_written_more_often_than_it_can_be_read() -> None:
    written = told(terminal=True, expected=1000, rows=1000, seconds=0.001)
    assert 5 < written.count("\r") < 15


@pytest.mark.parametrize(
    ("limit", "rows", "expected"),
    [
        (None, ["a"] * 6, 6),
        (4, ["a"] * 6, 4),
        (9, ["a"] * 6, 6),
        (None, iter("abcdef"), None),
        (4, iter("abcdef"), 4),
    ],
)
def test_a_run_tells_how_many_rows_there_will_be(
    tmp_path: Path, limit: int | None, rows: object, expected: float | None
) -> None:
    heard: list[float | None] = []
    chain("E").run(
        rows,
        tmp_path / "out",
        engine=FakeEngine(),
        limit=limit,
        on_row=lambda _, expected: heard.append(expected),
    )
    assert set(heard) == {expected}
