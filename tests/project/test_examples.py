"""Everything in examples/ and notebooks/ runs, is checked and is laid out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chainlang import Chain, load
from chainlang.notation.files import read_source
from chainlang.notation.format import format_text
from chainlang.ops.programs import examine

ROOT = Path(__file__).parents[2]
CHAINS = sorted((ROOT / "examples").glob("*.chain"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


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


def test_the_demo_shows_what_works():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "first_chain.py"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PATH": ""},
    )
    assert done.stderr == ""
    assert "Operators build an equal value: True" in done.stdout
    assert "└─ main = then" in done.stdout
    assert "error[temperature]" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run_and_hold_no_outputs(path, monkeypatch, capsys):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.chdir(path.parent)
    session = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells
    for cell in cells:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        exec(compile("".join(cell["source"]), f"{path.name}:{cell['id']}", "exec"), session)
    assert capsys.readouterr().err == ""
