"""The notebooks run from top to bottom, in a running event loop, as they do in Jupyter."""

from __future__ import annotations

import ast
import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.project.examples import NOTEBOOKS, notebook_cells


async def run(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return the names that a notebook makes, and the value that each cell ends with."""
    session: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in notebook_cells(path):
        tree = ast.parse("".join(cell["source"]))
        if isinstance(tree.body[-1], ast.Expr):
            tree.body[-1] = ast.Assign([ast.Name("_", ast.Store())], tree.body[-1].value)
        where = f"{path.name}:{cell['id']}"
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        session["_"] = None
        found = eval(compile(ast.fix_missing_locations(tree), where, "exec", flags), session)
        if inspect.isawaitable(found):
            await found
        shown.append(session["_"])
    return session, shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(path.parent)
    session, shown = asyncio.run(run(path))
    assert capsys.readouterr().err == ""
    assert True in shown  # the chain as text and as Python
    assert [one.ok for one in session["results"]] == [True, True, False]
    assert len(session["answers"]) == 5
    assert session["stream"].result.answer
    assert (session["summary"].rows, session["summary"].failed) == (3, 1)
