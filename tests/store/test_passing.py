"""Rows that a run passes by the hash of their bytes: what follows is what parsing them gives."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from chainlang import chain
from chainlang.data import passing
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.session.rows import Rows
from chainlang.store.journal import Journal
from chainlang.store.safe_files import Folder

ROWS = 14
Lines = list[bytes]


def line(number: int, **fields: object) -> bytes:
    return json.dumps({"id": number, "query": f"q{number}"} | fields).encode() + b"\n"


def lines(count: int = ROWS) -> Lines:
    return [line(number) for number in range(count)]


NEW = [line(100), line(101)]


@frozen
class Case:
    """A file before and after, and whether its first rows are passed."""

    before: Lines
    after: Lines
    passes: bool = True
    name: str = "in.jsonl"


CASES = {
    "rows at the end": Case(lines(), [*lines(), *NEW]),
    "the same rows": Case(lines(), lines()),
    "a new row with the id of one that is passed": Case(lines(), [*lines(), line(3), *NEW]),
    "a new row twice": Case(lines(), [*lines(), *NEW, *NEW]),
    "an id as text": Case(lines(), [*lines(), line(0, id="3"), *NEW]),
    "a changed row": Case(lines(), [line(0, query="other"), *lines()[1:], *NEW], passes=False),
    "a changed last row": Case(lines(), [*lines()[:-1], line(ROWS - 1, query="z"), *NEW]),
    "a changed id": Case(lines(), [line(50), *lines()[1:], *NEW], passes=False),
    "another order": Case(lines(), [*lines()[::-1], *NEW], passes=False),
    "a missing row": Case(lines(), [*lines()[1:], *NEW], passes=False),
    "fewer rows": Case(lines(), lines(2), passes=False),
    "another column": Case(lines(), [line(0, more=1), *lines()[1:], *NEW], passes=False),
    "the same values in other bytes": Case(
        lines(), [b" " + one for one in lines()] + NEW, passes=False
    ),
    "no ids": Case(
        [b'{"query": "q%d"}\n' % (number % 9) for number in range(ROWS)],
        [b'{"query": "q%d"}\n' % (number % 9) for number in range(ROWS)] + NEW,
        passes=False,
    ),
    "ids that look like hashes": Case(
        [line(0, id=f"#{number}") for number in range(ROWS)],
        [line(0, id=f"#{number}") for number in (*range(ROWS), 3)],
        passes=False,
    ),
    "whole numbers as floats": Case(
        [line(0, id=float(number)) for number in range(ROWS)],
        [line(0, id=float(number)) for number in (*range(ROWS), 3)],
        passes=False,
    ),
    "a row twice among those that are passed": Case(
        [*lines(7), line(3), *lines()[7:]], [*lines(7), line(3), *lines()[7:], line(3), *NEW]
    ),
    "a row that can't be read": Case([b"{\n", *lines()], [b"{\n", *lines(), *NEW], passes=False),
    "an id twice in one row": Case(
        [b'{"id": 3, "id": 9, "query": "a"}\n', *lines()],
        [b'{"id": 3, "id": 9, "query": "a"}\n', *lines(), *NEW],
        passes=False,
    ),
    "a row that can't be read behind a mark": Case(
        [*lines(7), b"{\n", *lines()[7:]], [*lines(7), b"{\n", *lines()[7:], *NEW]
    ),
    "empty lines": Case(
        [b"\n", *lines(7), b" \r\n", *lines()[7:]],
        [b"\n", *lines(7), b" \r\n", *lines()[7:], b"\n", *NEW, line(1)],
    ),
    "a last line without its end": Case(
        [*lines(11), line(11)[:-1]], [*lines(11), line(11)[:-1] + b"\n", line(2), *NEW]
    ),
    "a mark at a line without its end": Case(
        [*lines(3)[:2], line(2)[:-1]], [*lines(3), *NEW], passes=False
    ),
    "a mark of the order of bytes": Case(
        [b"\xef\xbb\xbf", *lines()], [b"\xef\xbb\xbf", *lines(), *NEW, line(1)]
    ),
    "values that JSON can't hold": Case(
        [line(0, x=float("nan")), *lines()[1:]], [line(0, x=float("nan")), *lines()[1:], *NEW]
    ),
    "a compressed file": Case(lines(), [*lines(), *NEW, line(4)], name="in.jsonl.gz"),
    "CSV": Case(
        [b"id,query\n", *(b"%d,a\n" % number for number in range(ROWS))],
        [b"id,query\n", *(b"%d,a\n" % number for number in range(ROWS + 2))],
        passes=False,
        name="in.csv",
    ),
}


@pytest.fixture(autouse=True)
def _marks_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "EVERY", 3)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return whether rows were passed, of each run that tried to."""
    found: list[bool] = []
    passes = Rows.passes

    def noted(self: Rows, mark: passing.Mark) -> bool:
        found.append(passes(self, mark))
        return found[-1]

    monkeypatch.setattr(Rows, "passes", noted)
    return found


@pytest.mark.quick(12)
@pytest.mark.parametrize("stopped", [None, 8], ids=["complete", "interrupted"])
@pytest.mark.parametrize("name", CASES)
def test_what_follows_is_what_parsing_gives(
    name: str,
    stopped: int | None,
    tmp_path: Path,
    passed: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[name]
    source = tmp_path / case.name
    write(source, case.before)
    begun(source, tmp_path / "passing", stopped)
    shutil.copytree(tmp_path / "passing", tmp_path / "parsing")
    write(source, case.after)
    found = went_on(source, tmp_path / "passing")
    assert any(passed) == case.passes
    monkeypatch.setattr(Rows, "passes", lambda *_: False)
    assert found == went_on(source, tmp_path / "parsing")


def test_rows_are_passed_again_and_the_marks_go_on(tmp_path: Path, passed: list[bool]) -> None:
    source = tmp_path / "in.jsonl"
    for count in (5, 10, 11, 20):
        write(source, lines(count))
        chain("2:E >> M").run(source, tmp_path / "out", engine=FakeEngine())
    assert passed == [True, True, True]
    root = Folder.open(tmp_path / "out")
    journal = Journal.open(root)
    assert journal.note("output")["passed"]["rows"] == 18
    journal.close()
    root.close()


@pytest.mark.parametrize(
    "settings", [{"rename": {"text": "query"}}, {"analyze": True}, {"encoding": "latin-1"}]
)
def test_rows_that_are_read_in_another_way_are_parsed(
    settings: dict[str, Any], tmp_path: Path, passed: list[bool]
) -> None:
    source = tmp_path / "in.jsonl"
    for count in (5, 10):
        write(source, [line(number, text="a") for number in range(count)])
        if "rename" in settings:
            write(source, [b'{"id": %d, "text": "a"}\n' % number for number in range(count)])
        chain("E").run(source, tmp_path / "out", engine=FakeEngine(), **settings)
    assert not any(passed)


@pytest.mark.parametrize(
    "change", [{"rows": 1000}, {"rows": "3"}, {"digest": 3}, {"inputs": None}, {"line": []}]
)
def test_a_note_of_another_shape_is_damage(change: dict[str, Any], tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    write(source, lines())
    begun(source, tmp_path / "out", None)
    root = Folder.open(tmp_path / "out")
    journal = Journal.open(root)
    note = journal.note("output")
    journal.save({"output": note | {"passed": note["passed"] | change}})
    journal.close()
    root.close()
    with pytest.raises(ChainlangError, match="the note 'output' can't be read"):
        begun(source, tmp_path / "out", None)


def write(path: Path, content: Lines) -> None:
    data = b"".join(content)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def begun(source: Path, out: Path, stopped: int | None) -> None:
    """Run over a source, as far as a row."""
    seen: list[object] = []

    def on_row(outcome: object, _: object) -> None:
        seen.append(outcome)
        if len(seen) == stopped:
            raise KeyboardInterrupt

    try:
        chain("2:E >> M").run(source, out, engine=FakeEngine(), on_row=on_row, window=2)
    except KeyboardInterrupt:
        assert len(seen) == stopped


def went_on(source: Path, out: Path) -> Any:
    """Return the tables and the counts of a run that goes on, or its error."""
    try:
        summary = chain("2:E >> M").run(source, out, engine=FakeEngine())
    except ChainlangError as error:
        return str(error).replace(out.name, "out")
    counts = (summary.rows, summary.failed, summary.usage, summary.recorded, dict(summary.events))
    tables = {str(one.relative_to(out)): one.read_bytes() for one in out.glob("**/*.jsonl")}
    assert tables
    return counts, tables
