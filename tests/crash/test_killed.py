"""Killed at boundaries and at random, on disks that fail: a run goes on as if nothing were.

Each of these is a process of its own, which forks. The first of each kind of boundary and call is
there, and some of the others; `make soak` has all, and more kills.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chainlang.store import Journal, RunFolder
from tests.store.test_going_on import opened, write

ROOT = Path(__file__).parents[2]


def told(*arguments: str) -> str:
    """Return what `python -m tests.crash` says."""
    command = [sys.executable, "-m", "tests.crash", *arguments]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr[-4000:]}"
    return found.stdout


STEPS = ("commit", "create", "fsync", "half a write", "mkdir", "rename", "write")


@pytest.mark.slow
def test_killed_at_every_kind_of_boundary() -> None:
    hit = told("boundaries", "--step", "12")
    for step in (*STEPS, "ftruncate, going on", "commit, going on", "rename, going on"):
        assert f"'{step}':" in hit
    assert int(re.search(r"(\d+) boundaries", hit)[1]) > 30


@pytest.mark.slow
def test_killed_where_parts_become_csv() -> None:
    hit = told("boundaries", "--format", "csv", "--step", "40")
    assert "'unlink':" in hit


@pytest.mark.slow
def test_killed_at_random() -> None:
    found = re.search(r"(\d+) kills, (\d+) of them during recovery", told("kills", "50"))
    assert found is not None
    assert int(found[1]) >= 50
    assert int(found[2]) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full from then on", "broken"])
def test_each_kind_of_call_of_a_disk_fails(mode: str) -> None:
    told("faults", "--mode", mode, "--rows", "2", "--part-rows", "1", "--step", "6")


@pytest.mark.slow
def test_a_disk_writes_less_than_it_was_told_to() -> None:
    assert "went on" in told("faults", "--mode", "short", "--rows", "2", "--part-rows", "1")


@pytest.mark.slow
def test_damage_is_refused_or_recovered_from() -> None:
    ends = told("damage", "200")
    for end in ("bits of journal.sqlite: recovered", "swapped of journal.sqlite: refused"):
        assert f"'{end}'" in ends


@pytest.mark.slow
def test_killed_at_half_it_asks_again_for_what_was_in_flight() -> None:
    found = re.search(r"(\d+,\d+) calls for 10,000 rows", told("half", "10000", "--window", "64"))
    assert found is not None
    assert 10_000 <= int(found[1].replace(",", "")) <= 10_064


@pytest.mark.slow
def test_killed_while_the_journal_is_in_a_database() -> None:
    hit = told("boundaries", "--home", "postgres", "--step", "200")
    for step in ("commit", "commit, going on", "ftruncate, going on", "unlink, going on"):
        assert f"'{step}':" in hit
    assert re.search(r"\d+ kills, \d+ of them", told("kills", "5", "--home", "postgres"))


@pytest.mark.slow
def test_a_database_is_killed_again_and_again() -> None:
    assert " 4 restarts, 0 lost, 0 twice" in told("restarts", "300", "--times", "4")


def test_a_note_names_only_what_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill can't show it; a loss of power would."""
    monkeypatch.setattr("chainlang.store.run_folder.NOTE_SECONDS", 0.0)
    unsynced: set[int] = set()
    notes = 0
    fsync, opening, rename, mkdir, save = os.fsync, os.open, os.rename, os.mkdir, Journal.save

    def opens(path: str, flags: int, *args: int, **settings: int) -> int:
        fd = opening(path, flags, *args, **settings)
        if flags & (os.O_WRONLY | os.O_RDWR):
            unsynced.add(os.fstat(fd).st_ino)
        if flags & os.O_CREAT and "dir_fd" in settings:
            unsynced.add(os.fstat(settings["dir_fd"]).st_ino)
        return fd

    def renames(*names: str, **settings: int) -> None:
        rename(*names, **settings)
        unsynced.add(os.fstat(settings["dst_dir_fd"]).st_ino)

    def makes(name: str, mode: int = 0o777, **settings: int) -> None:
        mkdir(name, mode, **settings)
        if "dir_fd" in settings:
            unsynced.add(os.fstat(settings["dir_fd"]).st_ino)

    def syncs(fd: int) -> None:
        fsync(fd)
        unsynced.discard(os.fstat(fd).st_ino)

    def saves(journal: Journal, note: dict[str, object]) -> None:
        nonlocal notes
        if note.get("output") is not None:
            notes += 1
            assert not unsynced
        save(journal, note)
        if note.get("output") is None:
            unsynced.clear()  # SQLite's own file, made and synced by SQLite

    for name, patched in {"fsync": syncs, "open": opens, "rename": renames, "mkdir": makes}.items():
        monkeypatch.setattr(os, name, patched)
    monkeypatch.setattr(Journal, "save", saves)
    folder: RunFolder = opened(tmp_path, part_rows=4)
    with folder:
        write(folder, 11)
        folder.finish()
    assert notes == 12
