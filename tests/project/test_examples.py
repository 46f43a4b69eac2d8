"""Everything in examples/ and notebooks/ runs, is checked and is laid out."""

import re
from pathlib import Path

import pytest

from chainlang import Chain, load
from chainlang.analysis.program import examine
from chainlang.notation.files import read_source
from chainlang.notation.format import format_text
from tests.display.geometry import faults
from tests.project.examples import LONGEST, NOTEBOOKS, NUMBERED, answered_by, notebook_cells

ROOT = Path(__file__).parents[2]
CHAINS = sorted((ROOT / "examples").glob("*.chain"))


def test_there_are_examples():
    assert len(CHAINS) >= 4
    assert NOTEBOOKS


@pytest.mark.parametrize("path", CHAINS, ids=lambda path: path.name)
def test_example_files_are_right_and_laid_out(path):
    file, found = examine(path)
    assert found == ()
    assert format_text(read_source(path)) == path.read_text(encoding="utf-8")
    if any(getattr(item, "name", "") == "main" for item in file.items):
        made = load(path)
        assert Chain.from_json(made.to_json()) == made


@pytest.mark.parametrize("example", NUMBERED, ids=lambda one: one.name)
def test_a_numbered_example_is_one_short_program(example):
    assert len(example.text.splitlines()) < LONGEST
    assert re.match(r"[A-Z].+: .+\.$", example.shows), "an idea, a colon, and what it does"


def test_the_numbers_leave_none_out():
    assert [one.name[:2] for one in NUMBERED] == [
        f"{number:02}" for number in range(1, len(NUMBERED) + 1)
    ]


# What each example that needs no model has to come to; for the others see tests/vllm.
def typed_extraction(names, printed):
    assert "Ada, express: 14 things" in printed
    assert "failed: lines[0].amount" in printed
    assert "failed: row 3: mail" in printed


def panel_vote(names, printed):
    assert re.search(r"positive +100%  sure", printed)
    assert re.search(r"neutral +60%  to be read", printed)


def translate_and_join(names, printed):
    assert names["result"]["verdict"] == "same meaning"
    assert names["apart"].branches.keys() == {"fr", "es"}


def fallback(names, printed):
    assert "Paris known for?  The long answer" in printed
    assert "Rome known for?  The short answer" in printed
    assert "fallback: 503: overloaded (tried 2 times)" in printed


def everything(names, printed):
    assert "1  We are glad. Yours, the shop" in printed
    assert "2  We are sorry about the noise. Ihr Laden" in printed
    assert "3  row 3: comments" in printed


def a_run_that_resumes(names, printed):
    first, second, third, _ = printed.splitlines()
    assert first == "the run ended: the server is down"
    assert second == "6 rows, 0 failed: 6 sampled, 12 from the journal"
    assert third == "6 rows, 0 failed: 0 sampled, 18 from the journal"


def a_function(names, printed):
    assert "main = ((quick = 5:E:small >> M) & (careful = E:big)) >> doubt >> route(" in printed
    assert "What is 5 + 7? 12 (7 calls)" in printed
    assert "What is 7 * 8? 56 (8 calls)" in printed


def programs(names, printed):
    assert printed.startswith("385 {'385': 2, 'null': 1}\n")
    assert "None AssertionError (line 2 of the tests)\n" in printed
    assert "def double(n): return 2 * n passes\n" in printed
    assert "pass@1: 66.7 %" in printed


def tools_of_servers(names, printed):
    assert printed.endswith(
        "Ten tea for 25.00.\nThree cake for 12.00.\nprice failed: Error executing tool price\n"
    )


def chosen_tools(names, printed):
    assert names["result"].answer == "12"
    kinds = [line.split()[1] for line in printed.splitlines()[2:]]
    assert kinds == ["tool", "tool", "tool_error", "tool", "tool", "tool"]
    assert "item: Missing required argument" in printed


CHECKS = (
    typed_extraction,
    panel_vote,
    translate_and_join,
    fallback,
    everything,
    a_run_that_resumes,
    a_function,
    programs,
    tools_of_servers,
    chosen_tools,
)


def test_every_example_with_scripted_answers_is_checked():
    assert [check.__name__ for check in CHECKS] == list(answered_by("scripted answers"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_example_with_scripted_answers_shows_what_it_says(check):
    check(*answered_by("scripted answers")[check.__name__].run())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_hold_their_outputs(path):
    """tests/vllm/test_notebooks.py runs them; these are the outputs of one such run."""
    cells = notebook_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [one for one in outputs if one["output_type"] == "error"]
    assert not [one for one in outputs if one.get("name") == "stderr"]
    kinds = {kind for one in outputs for kind in one.get("data", {})}
    assert {"image/svg+xml", "text/html"} <= kinds
    assert "text/vnd.mermaid" not in kinds


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_pictures_of_notebooks_need_no_network(path):
    shown = [
        "".join(value)
        for cell in notebook_cells(path)
        for output in cell["outputs"]
        for value in output.get("data", {}).values()
    ]
    text = "\n".join(shown)
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "<script" not in text
    pictures = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert pictures
    assert [fault for picture in pictures for fault in faults(picture)] == []
