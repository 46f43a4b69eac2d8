"""The notebooks run from top to bottom in IPython, in a running event loop, as in Jupyter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.project.examples import NOTEBOOKS, notebook_cells


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


async def run(shell: InteractiveShell, path: Path) -> list[Any]:
    """Return the value that each cell of a notebook ends with."""
    shown = []
    for cell in notebook_cells(path):
        found = await shell.run_cell_async(
            "".join(cell["source"]), transformed_cell=shell.transform_cell("".join(cell["source"]))
        )
        found.raise_error()
        shown.append(found.result)
    return shown


def first_steps(names: dict[str, Any], shown: list[Any]) -> None:
    assert True in shown  # the chain as text and as Python
    assert [one.ok for one in names["results"]] == [True, True, False]
    assert len(names["answers"]) == 5
    assert names["stream"].result.answer
    assert (names["summary"].rows, names["summary"].failed) == (3, 1)


def scaling_curves(names: dict[str, Any], shown: list[Any]) -> None:
    assert all(0 <= share <= 1 for share in names["accuracy"].values())
    assert names["table"]["samples"][1] == 40
    assert names["table"]["tokens"].is_monotonic_increasing
    narrow, wide = names["curves"][1], names["curves"][9]
    for one, nine in zip(narrow, wide, strict=True):
        assert one.answer in nine.votes, "the sample of a narrow vote is the first of a wide one"


def failures_and_resume(names: dict[str, Any], shown: list[Any]) -> None:
    assert names["first"].rows < 25
    assert names["summary"].rows == 25
    assert names["summary"].recorded > 0
    assert "none" in {one["id"] for one in names["errors"]}
    assert len(names["results"].failed) == names["summary"].failed


CHECKS: tuple[Callable[[dict[str, Any], list[Any]], None], ...] = (
    first_steps,
    scaling_curves,
    failures_and_resume,
)


def test_every_notebook_is_checked() -> None:
    assert [path.stem[3:] for path in NOTEBOOKS] == [check.__name__ for check in CHECKS]


@pytest.mark.parametrize(
    ("path", "check"),
    list(zip(NOTEBOOKS, CHECKS, strict=True)),
    ids=lambda one: one.name if isinstance(one, Path) else "",
)
def test_a_notebook_runs(
    path: Path,
    check: Callable[[dict[str, Any], list[Any]], None],
    shell: InteractiveShell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(path.parent)
    shown = asyncio.run(run(shell, path))
    assert capsys.readouterr().err == ""
    check(shell.user_ns, shown)
