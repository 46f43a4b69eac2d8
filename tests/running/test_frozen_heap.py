"""The heap while a run writes a folder: what exists is not collected, and is again afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.session.frozen_heap import frozen_heap

Heap = tuple[bool, int]


def heap() -> Heap:
    """Return whether the heap is frozen, and the objects from one collection to the next."""
    return gc.get_freeze_count() > 0, gc.get_threshold()[0]


@pytest.fixture(autouse=True)
def _usual(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("chainlang.session.frozen_heap._is_of_program", False)
    (is_frozen, _), before = heap(), gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)
    (gc.freeze if is_frozen else gc.unfreeze)()


def heaps(out: Path, fails: bool = False) -> list[Heap]:
    """Return the heap in a run, and after it."""
    found: list[Heap] = []

    def on_row(*_: object) -> None:
        found.append(heap())
        if fails:
            raise OSError

    try:
        chain("E").run(["q"], out, engine=FakeEngine(), on_row=on_row)
    except OSError:
        assert fails
    return [*found, heap()]


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_frozen_in_a_run_alone(fails: bool, tmp_path: Path) -> None:
    assert heaps(tmp_path, fails) == [(True, 20_000), (False, 700)]


def test_a_program_that_has_frozen_it_keeps_it_so(tmp_path: Path) -> None:
    gc.freeze()
    assert heaps(tmp_path) == [(True, 20_000), (True, 700)]


@pytest.mark.parametrize("young", [0, 50_000])
def test_a_program_that_collects_never_or_seldom_goes_on_so(young: int, tmp_path: Path) -> None:
    gc.set_threshold(young, 10, 10)
    assert heaps(tmp_path) == [(True, young), (False, young)]


def test_it_is_as_before_once_the_last_of_several_runs_has_ended() -> None:
    one, other = frozen_heap(), frozen_heap()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert heap() == (True, 20_000)
    other.__exit__(None, None, None)
    assert heap() == (False, 700)
