"""A run folder that is gone on with: its files are those of a run that never ended early."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang.protocol.messages import Usage
from chainlang.protocol.usages import Usages
from chainlang.semantics.events import Event
from chainlang.semantics.origin import Origin
from chainlang.store import RunFolder, Source
from chainlang.store.output import read
from chainlang.store.passed import NOTHING, Passed
from chainlang.store.run_folder import About
from tests.laws import seeds
from tests.store.test_folder import ABOUT, FAILURE, files, flow

ROWS = 11
USAGES = Usages({("E", "tiny"): Usage(1, 2, 0, 3)})


@pytest.fixture(autouse=True)
def _noted_after_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainlang.store.run_folder.NOTE_SECONDS", 0.0)


def inputs(count: int, _: Passed = NOTHING) -> str:
    found = ""
    for number in range(1, count + 1):
        found = read(found, number, {"id": number})
    return found


def opened(path: Path, about: About = ABOUT, **settings: Any) -> RunFolder:
    return RunFolder.create(path, about, source=Source(skip=inputs), **settings)


def write(folder: RunFolder, last: int) -> None:
    """Write the rows that are missing, up to one."""
    for number in range(folder.output.rows + 1, last + 1):
        told = {f"p{number % 3}": number * 1.5} if number % 4 else {"late": None}
        found, again = flow(**told), [Event("retry", ("1",), "again")] * (number % 2)
        failure = FAILURE if number % 5 == 0 else None
        folder.write(
            Origin(number), str(number), {"id": number}, None if failure else found,
            failure=failure, usages=USAGES, events=again,
        )  # fmt: skip


def kill(folder: RunFolder) -> None:
    """Close what the system closes."""
    folder.journal.close()
    folder.root.close()


def end(folder: RunFolder, how: str) -> None:
    if how == "killed":
        kill(folder)
    else:
        with folder:
            if how == "complete":
                folder.finish()


def facts(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((path / "metadata.json").read_text())
    return {name: it for name, it in told.items() if name not in ("started", "ended", "seconds")}


def plain(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(path).items() if name != "metadata.json"}


@pytest.fixture(scope="module", params=["jsonl", "csv", "parquet"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, Any]]]:
    path = tmp_path_factory.mktemp("whole")
    settings = {"format": request.param, "part_rows": 4}
    with opened(path, **settings) as folder:
        write(folder, ROWS)
        folder.finish()
    return path, settings


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "interrupted", "complete"])
def test_it_goes_on_behind_any_row(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, how: str
) -> None:
    expected, settings = whole
    for first in range(ROWS + 1):
        path = tmp_path / str(first)
        folder = opened(path, **settings)
        write(folder, first)
        end(folder, how)
        folder = opened(path, **settings)
        # The rows of a part that was made CSV or Parquet are gone when the run was complete.
        is_part = how == "complete" and settings["format"] != "jsonl"
        assert folder.output.rows == (first - first % 4 if is_part else first)
        with folder:
            write(folder, ROWS)
            folder.finish()
        assert plain(path) == plain(expected)
        assert facts(path) == facts(expected)


@seeds(12)
def test_it_goes_on_again_and_again(
    whole: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    expected, settings = whole
    draws = random.Random(seed)
    for _ in range(5):
        monkeypatch.setattr("chainlang.store.run_folder.NOTE_SECONDS", draws.choice([0.0, 9e9]))
        folder = opened(tmp_path, **settings)
        write(folder, draws.randint(folder.output.rows, ROWS))
        end(folder, draws.choice(["killed", "interrupted", "complete"]))
    with opened(tmp_path, **settings) as folder:
        write(folder, ROWS)
        folder.finish()
    assert plain(tmp_path) == plain(expected)
    assert facts(tmp_path) == facts(expected)


def lost(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def other(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"42", b"43"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("flattened/000.jsonl", {lost: 0, cut: 0, longer: 0}),
        ("answers/001.jsonl", {lost: 0, cut: 0, longer: 8}),
        ("flattened/002.rows.tmp", {lost: 8, cut: 8, other: 8, longer: 11}),
        ("errors.rows.tmp", {lost: 0, cut: 8, longer: 11}),
    ],
)
def test_what_is_not_as_it_was_left_is_written_anew(
    tmp_path: Path, name: str, found: dict[Callable[[Path], None], int]
) -> None:
    """From where the last part was full, if that is as it was; else from the beginning."""
    settings = {"part_rows": 4}
    folder = opened(tmp_path / "whole", **settings)
    with folder:
        write(folder, ROWS)
        folder.finish()
    for number, change in enumerate(found):
        path = tmp_path / str(number)
        folder = opened(path, **settings)
        write(folder, ROWS)
        kill(folder)
        change(path / name)
        with opened(path, **settings) as folder:
            assert folder.output.rows == found[change]
            write(folder, ROWS)
            folder.finish()
        assert plain(path) == plain(tmp_path / "whole")


@pytest.mark.parametrize(
    "settings", [{"format": "csv"}, {"part_rows": 5}, {"changed": True}, {"overwrite": True}]
)
def test_what_is_written_otherwise_is_written_anew(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    first = opened(tmp_path)
    write(first, ROWS)
    end(first, "interrupted")
    folder = opened(tmp_path, **settings)
    assert folder.output.rows == 0
    left = {name for name in files(tmp_path) if not name.startswith("journal")}
    assert left == {"graph.json", "plan.txt"}
    kill(folder)
    folder = opened(tmp_path, **settings)  # and what it began from is forgotten
    assert folder.output.rows == 0
    kill(folder)


def test_what_reads_no_input_begins_anew(tmp_path: Path) -> None:
    first = opened(tmp_path)
    write(first, ROWS)
    end(first, "interrupted")
    with RunFolder.create(tmp_path, ABOUT) as folder:
        assert folder.output.rows == 0
