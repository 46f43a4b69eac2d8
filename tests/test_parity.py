"""What docs/parity.md says of other libraries is written there as it is written here, and runs."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Iterator

import pytest
from attrs import frozen

from chainlang import chain
from chainlang.api.chain import Operand
from chainlang.engines.fake import FakeEngine
from tests.test_docs import ROOT, run_python

DOCUMENT = "docs/parity.md"
TEXT = (ROOT / DOCUMENT).read_text(encoding="utf-8")
ROW = {
    "query": "What is 17 + 25?",
    "text": "A ball.",
    "topic": "math",
    "documents": ["one", "two"],
}


@frozen
class Said:
    """A row of a table: what another library says, how it is written here, and what else."""

    section: str
    there: str
    here: str
    words: str

    @property
    def id(self) -> str:
        return f"{self.section}: {self.there[:60]}"


def rows() -> Iterator[Said]:
    section = ""
    for line in TEXT.splitlines():
        if line.startswith("#"):
            section = line.strip("# ")
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[1] != "here" and not cells[0].startswith("---"):
            yield Said(section, *(cell.replace("\\|", "|") for cell in cells))


ROWS = list(rows())


def test_every_row_says_something() -> None:
    assert len(ROWS) > 80
    for row in ROWS:
        assert row.there, row
        assert row.here or row.words, row
    assert len({row.id for row in ROWS}) == len(ROWS)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("parity"))
        return run_python(DOCUMENT)


@pytest.mark.parametrize("row", [row for row in ROWS if row.here], ids=lambda row: row.id)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
def test_what_is_written_here_runs(row: Said, session: dict[str, object]) -> None:
    """Each is Python, or a chain as text. A chain is run, other things go a step on."""
    shown = re.findall(r"`([^`]+)`", row.here)
    assert shown, row
    for code in shown:
        try:
            made = eval(code, dict(session))
        except SyntaxError:
            made = chain(code)
        if isinstance(made, Operand):
            assert made.as_chain()(ROW, engine=FakeEngine()).ok
        elif isinstance(made, Iterator):
            next(made)
        elif inspect.isawaitable(made):
            asyncio.run(finished(made))


async def finished(awaitable: Awaitable[object]) -> None:
    await awaitable
