"""Errors of models in a kernel of Jupyter: the page, and no wall of frames."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
CELLS = {
    "hub": 'from chainlang import chain\nchain("E:Qwen/No-such-model-0.1B")("hi")',
    "map": 'list(chain("E:Qwen/No-such-model-0.1B").map(["hi"]))',
    "path": 'chain("E:./no-such-folder")("hi")',
}


@pytest.fixture(scope="module")
def tracebacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    book = nbformat.v4.new_notebook()
    for source in CELLS.values():
        book.cells.append(
            nbformat.v4.new_code_cell(source, metadata={"tags": ["raises-exception"]})
        )
    folder = tmp_path_factory.mktemp("kernel")
    client = NotebookClient(
        book,
        timeout=600,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"})
    return {name: error_of(cell) for name, cell in zip(CELLS, book.cells, strict=True)}


def error_of(cell: Any) -> list[str]:
    (error,) = (one for one in cell.outputs if one.output_type == "error")
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    return text.splitlines()


@pytest.mark.parametrize("name", CELLS)
def test_a_model_that_is_not_there_is_a_page(tracebacks: dict[str, list[str]], name: str) -> None:
    lines = tracebacks[name]
    assert lines[0].startswith("error[engine]: "), lines
    assert len(lines) < 12, lines
    assert any("^" in one for one in lines)
