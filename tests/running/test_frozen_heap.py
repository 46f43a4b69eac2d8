"""The heap while a run writes a folder: what exists is not collected, and is again afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    gc.unfreeze()
    if was_frozen:  # as it is for all tests: see `tests/conftest.py`
        gc.freeze()


def test_how_often_it_is_collected_is_as_before(tmp_path: Path) -> None:
    before = gc.get_threshold()
    seen: list[int] = []
    chain("E").run(
        ["q"],
        tmp_path,
        engine=FakeEngine(),
        on_row=lambda *_: seen.append(gc.get_threshold()[0]),
    )
    assert gc.get_threshold() == before
    assert seen[0] > before[0]


def counts(out: Path, fails: bool = False) -> list[bool]:
    """Return whether the heap is frozen in a run, and after it."""
    found: list[bool] = []

    def on_row(*_: object) -> None:
        found.append(gc.get_freeze_count() > 0)
        if fails:
            raise OSError

    try:
        chain("E").run(["q"], out, engine=FakeEngine(), on_row=on_row)
    except OSError:
        assert fails
    return [*found, gc.get_freeze_count() > 0]


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_frozen_in_a_run_alone(fails: bool, tmp_path: Path) -> None:
    assert counts(tmp_path, fails) == [True, False]


def test_a_program_that_has_frozen_it_keeps_it_so(tmp_path: Path) -> None:
    gc.freeze()
    assert counts(tmp_path) == [True, True]
