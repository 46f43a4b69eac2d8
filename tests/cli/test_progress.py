"""The progress of a run, with clocks of its own: on a terminal, in a log, in a notebook."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from chainlang import chain, models
from chainlang.display import progress, progress_displays
from chainlang.display.progress import Meter, Status, Waited
from chainlang.display.progress_displays import LogLines, NotebookCell, TerminalLine, width_of
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError


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
    show = TerminalLine(stream, lambda: 80) if terminal else LogLines(stream)
    show.moves = False
    meter = Meter(show, show.every, clock, lambda: expected)
    meter.say("tiny is ready")
    meter.begin(before)
    for index in range(rows):
        clock.now += seconds
        meter.row(failed=index == 0, tokens=50)
    meter.end()
    return stream.getvalue()


def test_there_is_a_line_every_ten_seconds() -> None:
    assert told(terminal=False, expected=100, rows=11, seconds=2) == (
        "tiny is ready\n"
        "5 of 100 rows  0.5 rows/s  25 tokens/s  1 failed  4 min left\n"
        "10 of 100 rows  0.5 rows/s  25 tokens/s  1 failed  3 min left\n"
    )


def test_rows_that_were_done_before_say_nothing_of_the_time_that_is_left() -> None:
    assert told(terminal=False, expected=100, rows=11, seconds=2, before=80) == (
        "tiny is ready\n"
        "85 of 100 rows  0.5 rows/s  25 tokens/s  1 failed  30 s left\n"
        "90 of 100 rows  0.5 rows/s  25 tokens/s  1 failed  20 s left\n"
    )


def test_nothing_is_said_of_a_time_that_is_not_known() -> None:
    assert told(terminal=False, expected=None, rows=5, seconds=2) == (
        "tiny is ready\n5 rows  0.5 rows/s  25 tokens/s  1 failed  10 s\n"
    )


def test_on_a_terminal_it_is_one_line_that_goes_at_the_end() -> None:
    assert told(terminal=True, expected=2, rows=2, seconds=60) == (
        "tiny is ready\n"
        "\r1 of 2 rows  0.0 rows/s  1 tokens/s  1 failed  1 min left\x1b[K"
        "\r2 of 2 rows  0.0 rows/s  1 tokens/s  1 failed  0 s left\x1b[K"
        "\r\x1b[K"
    )


def test_an_estimate_is_shown_as_one() -> None:
    written = told(terminal=False, expected=3.5, rows=5, seconds=2)
    assert "5 of about 4 rows" in written
    assert "0 s left" in written


def test_a_line_is_not_written_more_often_than_it_can_be_read() -> None:
    written = told(terminal=True, expected=1000, rows=1000, seconds=0.001)
    assert 5 < written.count("\r") < 15


@pytest.mark.parametrize("width", [20, 30, 40, 44, 60, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    stream = io.StringIO()
    show = TerminalLine(stream, lambda: width)
    show(Status.of(1234, 98765, 12, 3.25, 12345.6, 380.0, 8000.0))
    show(Waited("loading a model with a very long name on a device with a long name  12 s"))
    drawn = re.findall(r"\r([^\r]*)\x1b\[K", stream.getvalue())
    assert len(drawn) == 2
    assert all(0 < len(line) < width for line in drawn)
    assert drawn[0].startswith("1,234 of 98,765")


def test_the_width_is_that_of_the_terminal_that_is_written_to() -> None:
    """Stdout may go into a file, while the line of progress is on stderr."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as terminal:
        for columns in (44, 120):
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            assert width_of(terminal) == columns


# ---------------------------------------------------------------- it moves


def test_it_moves_each_second_while_no_row_is_done() -> None:
    """On the clock of the run: each row takes 10 seconds."""
    engine = FakeEngine(latency=lambda request: 10.0)
    seen: list[tuple[float, Status]] = []

    def show(message: str) -> None:
        if isinstance(message, Status):
            seen.append((engine.now, message))

    results = chain("E").map(["a", "b", "c"], engine=engine, window=1, progress=show)
    assert len(list(results)) == 3
    times = [at for at, _ in seen]
    assert len(times) >= 28
    assert max(after - at for at, after in pairwise(times)) <= 1.0
    assert {status.rows for _, status in seen} == {0, 1, 2}
    assert {status.expected for _, status in seen} == {3}
    assert seen[0][1].tokens_per_second == 0 < seen[-1][1].tokens_per_second


def test_it_moves_while_something_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.001)
    moved = threading.Event()
    written: list[str] = []

    @define
    class Show:
        every: float = 1.0
        moves: bool = True

        def __call__(self, message: str) -> None:
            written.append(message)
            if len(written) > 4:
                moved.set()

    meter = Meter(Show())
    meter.say("loading tiny")
    assert moved.wait(120)
    meter.begin()
    assert written[:3] == ["loading tiny", "loading tiny  1 s", "loading tiny  2 s"]
    count = len(written)
    assert "chainlang progress" not in {one.name for one in threading.enumerate()}
    meter.end()
    assert len(written) == count, "no thread goes on"


def test_a_log_has_a_line_each_ten_seconds_while_something_loads() -> None:
    stream = io.StringIO()
    show = LogLines(stream)
    show("loading tiny")
    for second in range(1, 26):
        show(Waited(f"loading tiny  {second} s"))
    assert stream.getvalue() == "loading tiny\nloading tiny  10 s\nloading tiny  20 s\n"


# ---------------------------------------------------------------- the setting


def test_an_estimate_of_many_rows_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    heard: list[Any] = []

    def show(message: str) -> None:
        heard.append(message)

    show.every = 0.0  # type: ignore[attr-defined]
    chain("E:f").explain(["a", None, "b"], models={"f": models.fake()}, progress=show)
    assert [(one.rows, one.failed) for one in heard] == [(1, 0), (2, 1), (3, 1)]


def test_a_callback_hears_messages_and_numbers(tmp_path: Path) -> None:
    heard: list[str] = []
    engine = FakeEngine(latency=lambda request: 30.0)
    chain("E").run(["a"], tmp_path / "run", engine=engine, progress=heard.append)
    assert 28 <= len(heard) <= 31
    assert all(isinstance(one, Status) for one in heard)
    heard.clear()
    chain("E")("a", engine=engine, progress=heard.append)
    assert heard == [], "a call has messages alone"


@pytest.mark.parametrize("given", [False, None])
def test_nothing_is_shown_unless_asked_for(given: Any, capsys: pytest.CaptureFixture[str]) -> None:
    list(chain("E").map(["a"], engine=FakeEngine(), progress=given))
    assert capsys.readouterr() == ("", "")


def test_true_shows_it_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_displays, "LogLines", lambda stream: LogLines(stream, every=1.0))
    engine = FakeEngine(latency=lambda request: 3.0)
    list(chain("E").map(["a"], engine=engine, progress=True))
    written = capsys.readouterr()
    assert written.out == ""
    assert "0 of 1 row  0.0 rows/s" in written.err


@pytest.mark.parametrize("given", ["yes", 1, 3.5, []])
def test_other_values_are_refused(given: Any) -> None:
    with pytest.raises(ChainlangError, match="true, false, or a function"):
        chain("E").map(["a"], engine=FakeEngine(), progress=given)


def test_a_notebook_updates_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, bundle: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(bundle)

    cell = NotebookCell()
    cell._handle = Handle()
    cell("loading <tiny>")
    cell(Status.of(1, 4, 0, 2.0, 30.0, 0.5, 1.5))
    cell.end(Status.of(4, 4, 1, 2.0, 30.0, 2.0, 0.0))
    assert "loading &lt;tiny&gt;" in shown[0]["text/html"]
    assert "width:35px" in shown[1]["text/html"]
    assert shown[2]["text/plain"] == "4 rows, 1 failed, 2.0 s"
    NotebookCell().end(Status.of(0, None, 0, 0.0, 0.0, 0.0, None))


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
