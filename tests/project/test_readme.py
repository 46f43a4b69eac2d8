"""The README's way in: short, and what a newcomer types works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from chainlang.cli import execute
from tests.engines.server import Server, good

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SCREEN = 50  # lines


def lines(info: str, after: str) -> list[str]:
    """Return the lines of the first block of this kind behind a heading."""
    found = re.search(rf"^## {after}\n.*?^```{info}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= 250


def test_one_command_leads_from_a_clone_to_the_first_answer() -> None:
    assert lines("sh", "Install")[0].startswith("pip install .")
    tried = re.search(r"To try it .*?```sh\n(.*?)```", TEXT, re.DOTALL)
    assert tried is not None
    assert tried[1].splitlines() == ["make demo", "make demo-real", "make test"]


def test_five_lines_lead_to_a_chain_over_a_table_on_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heading = "Your rows, your server"
    file, commands = lines("chain file", heading), lines("sh", heading)
    assert len(file) + len(commands) <= 5
    assert TEXT[: TEXT.index(commands[-1])].count("\n") < 2 * SCREEN
    monkeypatch.chdir(tmp_path)
    Path("questions.csv").write_text("Question,Source\nWhat is 17 + 25?,a\nWhat is 8 - 3?,b\n")
    with Server(lambda body: good(*["42"] * body.get("n", 1))) as server:
        text = "\n".join(file).replace("http://localhost:8000/v1", server.url)
        assert server.url in text
        Path("qa.chain").write_text(text)
        assert execute(shlex.split(commands[-1])[1:]) == 0
    (table,) = Path("runs/qa/flattened").iterdir()
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert [(row["Source"], row["answer"]) for row in rows] == [("a", "42"), ("b", "42")]
