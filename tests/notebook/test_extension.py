"""The IPython extension in a shell of its own: magics, completion, errors, displays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from chainlang import ChainlangError, chain, load, op
from chainlang.notebook.completion import completions


@pytest.fixture(scope="module")
def loaded() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    shell.colors = "nocolor"
    shell.run_line_magic("load_ext", "chainlang")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(loaded: InteractiveShell) -> InteractiveShell:
    loaded.run_line_magic("reset_selective", "-f .")
    return loaded


def run(shell: InteractiveShell, cell: str) -> tuple[Any, str]:
    """Return the value of a cell, and what it printed."""
    with capture_output() as printed:
        found = shell.run_cell(cell)
    return found.result, printed.stdout + printed.stderr


def test_a_cell_becomes_a_chain(shell: InteractiveShell) -> None:
    made, _ = run(shell, "%%chain qa\n3:E:tiny:0.7 >> M\n")
    assert made == shell.user_ns["qa"] == chain("3:E:tiny:0.7 >> M")
    assert run(shell, "%chain 2:E >> M")[0] == chain("2:E >> M")


def test_a_cell_may_be_a_file(shell: InteractiveShell) -> None:
    made, _ = run(shell, "%%chain\npanel = 3:E\nmain = $panel >> M\n")
    assert made == load(text="panel = 3:E\nmain = $panel >> M")


def test_a_cell_has_the_functions_and_ops_of_the_notebook(shell: InteractiveShell) -> None:
    shell.push({"clean": str.strip, "mood": op("mood", user="{{ query }}", returns=str)})
    made, _ = run(shell, "%%chain qa\nmood >> @clean")
    assert "clean" in made.bound.functions
    assert made.items


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%chain 3x\nE", "'3x' can't be a name"),
        ("%chain", "%chain has no chain"),
        ("%%chain qa\n3:EE", "unknown stage type 'EE'"),
        ("from chainlang import chain\nchain('3:EE')", "unknown stage type 'EE'"),
    ],
)
def test_an_error_is_its_page_without_frames(shell: InteractiveShell, cell: str, said: str) -> None:
    _, printed = run(shell, cell)
    assert said in printed
    assert "Traceback" not in printed
    assert "File " not in printed
    assert len(printed.splitlines()) < 9


def test_frames_are_shown_if_they_are_asked_for(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChainlangError, "full_traceback", True)
    _, printed = run(shell, "%chain 3:EE")
    assert "Traceback" in printed
    assert "File " in printed


def test_an_error_of_a_function_shows_the_line_that_raised(shell: InteractiveShell) -> None:
    cell = """
from chainlang import load
def check(*, query):
    raise ValueError("a bad one")
load(text="main = @check", functions={"check": check})("q")
"""
    _, printed = run(shell, cell)
    assert "a bad one" in printed
    assert 'raise ValueError("a bad one")' in printed
    assert "scheduler" not in printed


def test_an_interrupted_map_keeps_what_was_done(shell: InteractiveShell) -> None:
    cell = """
from chainlang import load
def check(*, query):
    if query == "c":
        raise KeyboardInterrupt
    return query
results = load(text="main = @check", functions={"check": check}).map(["a", "b", "c", "d"])
list(results)
"""
    _, printed = run(shell, cell)
    assert printed.startswith("interrupted: 2 of 4 rows done\n")
    assert len(printed.strip().splitlines()) == 2
    assert run(shell, "[one.answer for one in results]")[0] == ["a", "b"]
    unnamed = "import sys\n[one.answer for one in sys.last_value.results]"
    assert run(shell, unnamed)[0] == ["a", "b"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%chain 3:E >> fallb", ["fallback"]),
        ("%%chain qa\nE(min_", ["min_p", "min_tokens"]),
        ("chain('3:E >> rou", ["route"]),
        ('load(text="""\nmain = E >> loo', ["loop"]),
        ('E >> "tim', ["timeout"]),
        ("%chain mo", ["model", "mood"]),
        ("%chain E >> @cle", ["@clean"]),
        ("print('3:E >> rou", None),
        ("chain('E') + rou", None),
    ],
)
def test_chains_are_completed(cell: str, expected: list[str] | None) -> None:
    names = {"mood": op("mood", user="{{ query }}"), "clean": str.strip}
    found = completions(cell, len(cell), names)
    assert (found and [text for text, _ in found[1]]) == expected


def test_the_shell_completes_chains(shell: InteractiveShell) -> None:
    cell = "%%chain qa\n3:E >> fallb"
    with provisionalcompleter():
        found = list(shell.Completer.completions(cell, len(cell)))
    assert [(one.text, one.start, one.end) for one in found] == [("fallback", 18, 23)]
    shell.run_line_magic("reload_ext", "chainlang")
    ours = [one for one in shell.Completer.custom_matchers if hasattr(one, "is_of_chainlang")]
    assert len(ours) == 1


def test_the_keys_of_a_result_are_completed(shell: InteractiveShell) -> None:
    cell = """
from chainlang import chain
from chainlang.engines.fake import FakeEngine
result = chain("3:E >> M")("q", engine=FakeEngine())
"""
    run(shell, cell)
    with provisionalcompleter():
        found = [one.text for one in shell.Completer.completions('result["con', 11)]
    assert any("confidence" in one for one in found)
