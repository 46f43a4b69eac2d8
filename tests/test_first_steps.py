"""First steps: the path of the README, and what those who began here once stumbled over."""

from __future__ import annotations

import csv
import pydoc
import re
import shlex
from pathlib import Path

import pytest

from chainlang import E, J, M, S, V
from chainlang.cli import execute
from chainlang.models.open_engines import close_engines
from tests.engines.server import Server, good

ROOT = Path(__file__).parents[1]
TWO_SCREENS = 100
"""Lines."""
MOST = 5
"""Lines to type, from a checkout to results over rows of one's own."""

STUMBLES = {
    "a header without a declared column failed every row": (
        "running/test_columns.py",
        "test_a_fault_that_the_header_shows_stops_before_the_first_row",
        "test_a_column_with_a_blank_is_renamed_as_a_shell_reads_it",
    ),
    "a refused row had no id and no columns": (
        "running/test_bad_rows.py",
        "test_a_bad_row_has_its_id_in_a_call_and_in_map",
    ),
    "Ctrl-C while vLLM was imported broke every later call": (
        "vllm/test_interrupts.py",
        "test_one_while_vllm_is_imported_or_loaded_leaves_nothing_half_done",
    ),
    "an option of a stage was ignored in a call": (
        "test_typed_calls.py",
        "test_each_wrong_line_is_an_error_and_runs_nothing",
    ),
    "no prompt could be seen": ("fixtures/cli/shell.cases", "the prompts of all stages"),
    "`|` for `>>` had no warning": (
        "fixtures/expressions/lints/all.cases",
        "nothing feeds the later ones",
    ),
    "no progress in a notebook, or while a model loads": (
        "cli/test_progress.py",
        "test_a_notebook_updates_one_output",
        "test_it_moves_while_something_loads",
    ),
    "an interrupted `map` had nothing": (
        "notebook/test_kernel.py",
        "test_an_interrupted_cell_keeps_what_was_done",
    ),
    "an error in a notebook was a wall of frames": (
        "notebook/test_extension.py",
        "test_an_error_is_its_page_without_frames",
    ),
    "a hub name that can't be had was 289 lines": (
        "vllm/test_kernel.py",
        "test_a_model_that_is_not_there_is_a_page",
    ),
    "`map` was a generator without `len` or tables": (
        "display/test_results.py",
        "test_results_are_a_sequence",
        "test_results_are_tables",
        "test_a_vote_is_found_by_the_answer",
    ),
    "pictures lost labels, crossed frames and shrank": (
        "display/test_pictures.py",
        "test_every_name_is_there",
        "test_nothing_stands_out_or_overlaps",
        "test_a_long_chain_goes_on_below",
        "test_definitions_are_expanded_where_they_are_used",
    ),
    "streams mingled samples, and `for` did not work": (
        "display/test_results.py",
        "test_samples_are_never_mingled_without_names",
        "test_a_stream_is_read_with_for",
    ),
    "`openai:gpt-4o` fitted no engine": ("models/test_by_name.py", "openai:gpt"),
    "`ask` took one text": (
        "cli/test_shell.py",
        "test_a_dash_is_stdin",
        "test_results_on_stdout_are_those_of_the_folder",
    ),
    "an address without /v1 was a bare 404": (
        "engines/test_addresses.py",
        "test_an_address_without_its_version_is_refused_with_the_right_one",
    ),
    "lines wrapped in a narrow terminal": (
        "cli/test_progress.py",
        "test_no_line_is_wider_than_the_terminal",
        "test_a_run_tells_how_many_rows_there_will_be",
    ),
    "hints misled": (
        "fixtures/expressions/invalid/habits.cases",
        "an option with a colon",
        "a word that is no text",
        "the temperature by name",
        "a count behind",
        "names spelt out",
        "the name of a file",
        "a prompt in front",
    ),
    "a changed chain was shown cut before the difference": (
        "running/test_changed.py",
        "test_the_difference_of_the_chains_is_shown",
    ),
    "no completion, no examples, no suggestion for a command": (
        "cli/test_shell.py",
        "test_completion_scripts_name_commands_and_flags",
        "test_every_command_has_examples_or_no_choice",
        "test_help_fits_its_terminal",
    ),
    "nothing was typed": (
        "test_typed_calls.py",
        "test_a_type_checker_refuses_the_lines_that_a_type_can_refuse_and_no_other",
    ),
    "`help(E)` was `help(J)`": (
        "test_first_steps.py",
        "test_each_type_of_stage_has_words_of_its_own",
    ),
    "a server could not be found in the README": (
        "project/test_questions.py",
        "how do I use my server",
    ),
    "extras were missing": ("cli/test_shell.py", "test_doctor_names_extras_that_there_are"),
    "`3:E:0.7:m` became a model without a word": (
        "fixtures/strict/stages.cases",
        "is read as the name of a model",
    ),
    "a changed format and a smaller limit shortened results": (
        "running/test_not_shortened.py",
        "test_a_limit_below_what_is_there_is_refused",
    ),
}
"""What happened once, and the tests that hold what happens now."""


@pytest.mark.parametrize("stumble", STUMBLES)
def test_a_stumble_has_a_test(stumble: str) -> None:
    name, *held = STUMBLES[stumble]
    text = (ROOT / "tests" / name).read_text(encoding="utf-8")
    assert [one for one in held if one not in text] == []


def test_each_type_of_stage_has_words_of_its_own() -> None:
    shown = [pydoc.render_doc(one, renderer=pydoc.plaintext) for one in (E, J, M, S, V)]
    assert len({page.split("|", 1)[1].split("Method", 1)[0] for page in shown}) == 5
    assert "a final answer" in shown[1]


def first_screens() -> str:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    return "\n".join(lines[:TWO_SCREENS])


def test_the_first_answer_is_one_command() -> None:
    assert "\nmake demo\n" in first_screens()


def test_a_chain_over_own_rows_with_a_server_is_five_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = first_screens()
    written = re.search(r"^```chain file\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    typed = re.search(r"^```sh\n(pip .*?)^```", text, re.MULTILINE | re.DOTALL)
    assert written
    assert typed
    commands = typed[1].splitlines()
    assert len(written[1].splitlines()) + len(commands) <= MOST
    monkeypatch.chdir(tmp_path)
    with Server(lambda body: good(body["messages"][-1]["content"].upper())) as server:
        chain = written[1].replace("localhost:8000", f"127.0.0.1:{server.port}")
        Path("qa.chain").write_text(chain, encoding="utf-8")
        Path("questions.csv").write_text("Question\nwhy?\nhow?\n", encoding="utf-8")
        (command,) = (one for one in commands if one.startswith("chainlang "))
        assert execute([*shlex.split(command)[1:], "--format", "csv"]) == 0
        close_engines()
    (table,) = Path("runs/qa/flattened").glob("*.csv")
    with table.open(newline="", encoding="utf-8") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == ["WHY?", "HOW?"]
