"""A kernel runs a notebook: what its messages hold, and what nbconvert makes of them offline."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from tests.display.geometry import faults
from tests.notebook.kernel import notebook

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook, with its outputs by the name of the cell."""
    folder = tmp_path_factory.mktemp("notebook")
    found = notebook()
    client = NotebookClient(
        found,
        timeout=600,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return found


def outputs(ran: Any, name: str) -> list[Any]:
    (cell,) = (one for one in ran.cells if one["id"] == name)
    return list(cell["outputs"])


def shown(ran: Any, name: str) -> dict[str, str]:
    return dict(outputs(ran, name)[-1]["data"])


@pytest.mark.parametrize("name", ["chain", "long"])
def test_a_chain_is_a_picture(ran: Any, name: str) -> None:
    bundle = shown(ran, name)
    assert bundle.keys() == {"text/plain", "image/svg+xml"}
    assert faults(bundle["image/svg+xml"]) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("result", "42"), ("results", "9 results, 1 failed"), ("explanation", "COST OF A ROW")],
)
def test_values_are_pages(ran: Any, name: str, said: str) -> None:
    bundle = shown(ran, name)
    assert said in bundle["text/html"]
    assert "<b>q3</b>" not in bundle["text/html"]


def test_progress_is_one_output_with_its_last_state(ran: Any) -> None:
    progress, value = outputs(ran, "progress")
    assert progress["output_type"] == "display_data"
    assert re.match(r"3 rows, 0 failed, [\d.]+ s", progress["data"]["text/plain"])
    assert value["data"]["text/plain"] == "3"
    assert len(outputs(ran, "result")) == 1, "what is quick shows none"


def test_rows_are_awaited_in_the_loop_of_the_kernel(ran: Any) -> None:
    assert shown(ran, "awaited")["text/plain"] == "[0, 1]"


def test_an_error_is_its_page(ran: Any) -> None:
    (error,) = outputs(ran, "error")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in error["traceback"]]
    assert lines[0] == "error[unknown-name]: unknown stage type 'EE'"
    assert len(lines) < 9


def test_an_interrupted_cell_keeps_what_was_done(ran: Any) -> None:
    (error,) = outputs(ran, "interrupted")
    assert error["traceback"][0] == "interrupted: 2 of 4 rows done"
    assert shown(ran, "kept")["text/plain"] == "['a', 'b']"


def test_nbconvert_has_every_picture_and_page(ran: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(nbformat.from_dict(ran))
    encoded = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)
    pictures = [base64.b64decode(one).decode().strip() for one in encoded]
    pictures = [one for one in pictures if 'class="chainlang"' in one]  # not the page's own icons
    assert pictures == [shown(ran, name)["image/svg+xml"].strip() for name in ("chain", "long")]
    assert re.search(r'<svg[^>]* class="chainlang"', page), "the explanation's"
    assert "9 results, 1 failed" in page
    assert 'class="jp-Mermaid' not in page
