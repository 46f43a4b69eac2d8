"""States of warm models: their processes, who may read them, and what is left in the end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from chainlang.store import warm_models as states
from chainlang.store.warm_models import (
    WarmModel,
    born,
    files_of,
    find,
    log_of,
    name_of,
    warm_models,
)

Start = Callable[..., WarmModel]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a program as the server of a model, in a session of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    begun: list[subprocess.Popen[bytes]] = []

    def started(program: str = "sleep 60 & sleep 60", model: str = "m") -> WarmModel:
        process = subprocess.Popen(["sh", "-c", program], start_new_session=True)
        begun.append(process)
        name = name_of(model, "{}")
        state = WarmModel(
            name=name, model=model, shown=model, settings="{}", url="http://127.0.0.1:9/v1",
            key="k-1", pid=process.pid, born=born(process.pid), started="2026-11-30T12:00:00",
            fingerprint={"context": 100}, batch_invariant=True, files="", log=str(log_of(name)),
        )  # fmt: skip
        Path(state.log).write_text("said")
        state.write()
        return state

    yield started
    for one in begun:
        one.kill()
        one.wait()


def test_a_state_is_read_as_it_was_written(start: Start) -> None:
    state = start()
    assert find("m", "{}") == state
    assert list(warm_models()) == [state]
    assert "k-1" not in repr(state)
    path = next(Path(state.log).parent.glob("*.json"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_all_processes_end_and_no_file_is_left(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "_FAREWELL", 2.0)  # they ignore the first signal
    state = start("trap '' TERM; sleep 60 & sleep 60 & wait")
    while len(state.processes) < 3:
        time.sleep(0.01)
    children = state.processes
    assert state.is_running
    assert state.end() == 3
    assert not state.is_running
    assert not [one for one in children if Path(f"/proc/{one}/cmdline").exists()
                and Path(f"/proc/{one}/cmdline").read_bytes()]  # fmt: skip
    assert find("m", "{}") is None
    assert [one.name for one in Path(state.log).parent.iterdir()] == []


def test_children_of_a_server_that_has_crashed_end_too(start: Start) -> None:
    state = start("sleep 60 & sleep 60 & sleep 0.3; exit 1")
    while state.is_running:
        time.sleep(0.01)
    assert len(state.processes) == 2
    assert state.end() == 2


def test_another_process_with_the_same_id_is_left_alone(start: Start) -> None:
    state = evolve(start(), born=1)
    assert not state.is_running
    assert state.end() == 0
    os.kill(state.pid, 0)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606])
def test_a_state_that_others_can_read_or_write_is_ignored(start: Start, mode: int) -> None:
    path = Path(start().log).with_suffix(".json")
    path.chmod(mode)
    assert find("m", "{}") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1, "more": 2}', "\\u0000"])
def test_a_damaged_state_is_ignored(start: Start, text: str) -> None:
    path = Path(start().log).with_suffix(".json")
    path.write_text(text)
    assert find("m", "{}") is None
    assert list(warm_models()) == []


def test_files_that_change_have_another_digest(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "weights"
    weights.write_text("1")
    before = files_of(tmp_path / "model")
    assert before == files_of(tmp_path / "model")
    weights.write_text("22")
    assert before != files_of(tmp_path / "model")
    assert not files_of(tmp_path / "none")
