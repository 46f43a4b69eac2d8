"""The numbered examples and the notebooks: which there are, who answers, how a test runs one."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import runpy
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 60


@frozen
class Example:
    """A program of the examples."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def shows(self) -> str:
        """The first line of its words."""
        words = ast.get_docstring(ast.parse(self.text)) or ""
        return words.partition("\n")[0]

    @property
    def answered_by(self) -> str:
        return "scripted answers" if "FakeEngine" in self.text else "`tiny`"

    def run(self) -> tuple[dict[str, Any], str]:
        """Return the names it made, and what it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            names = runpy.run_path(str(self.path), run_name="__main__")
        return names, printed.getvalue()


NUMBERED = [Example(path) for path in sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))]


def answered_by(who: str) -> dict[str, Example]:
    """Return the examples that somebody answers in, by their names without the number."""
    return {one.name[3:]: one for one in NUMBERED if one.answered_by == who}


def notebook_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook that hold code."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert found, path
    return found
