"""Five thousand names that lead elsewhere: as ids, columns, values and parts, none of them does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from chainlang import ChainlangError, chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from chainlang.ir.verify import is_name
from chainlang.semantics.origin import Origin
from chainlang.store import RunFolder
from tests.store.test_folder import ABOUT, FAILURE, flow

MANY, SHARE = 5_000, 500
UP = ("../", "..\\", "%2e%2e/", "..;/", "....//", "./../", "..//", "\u2025/", "..\u2215")
TARGETS = ("canary", "outside/canary", "etc/passwd", "run", "metadata.json", "journal.sqlite", "")
STARTS = (
    "",
    "/",
    "//",
    "~/",
    "~root/",
    "file://",
    "file:///",
    "C:\\",
    "\\\\host\\",
    "a/",
    "-",
    "|",
)
ENDS = (
    "", "/", "\0", "\0.jsonl", ".", "...", " ", "\n", "\r\n", "\t", "::$DATA", "\u202e", "\ud800",
    "~", ".tmp", "-wal", "$HOME", "{{ 7 * 7 }}", "%s", "'; DROP TABLE samples; --", "a" * 300,
)  # fmt: skip
DEVICES = ("CON", "NUL", "aux.txt", "COM1", "/dev/stdout", "/dev/null", "/proc/self/mem", "\u00e9")
OWN = ("flattened", "answers", "errors.jsonl", "graph.json", "journal.sqlite-shm", "000.jsonl")


def hostile(seed: int, count: int) -> list[str]:
    """Return names, none of them twice."""
    draws, found = random.Random(seed), dict[str, None]()
    while len(found) < count:
        core = draws.choice(TARGETS) if draws.random() < 0.8 else draws.choice((*DEVICES, *OWN))
        up = draws.choice(UP) * draws.randrange(5)
        name = f"{draws.choice(STARTS)}{up}{core}{draws.choice(ENDS)}"
        if draws.random() < 0.2:
            at = draws.randrange(len(name) + 1)
            name = name[:at] + chr(draws.choice([*range(0x30), 0x7F, 0x2028, 0xFF0F])) + name[at:]
        found[name] = None
    return list(found)


@contextmanager
def watched(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for a run; nothing beside it changes, or comes into being."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for place in (tmp_path, outside):
        (place / "canary").write_text("alive")

    def seen() -> dict[str, Any]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.read_bytes())
            for path in tmp_path.rglob("*")
            if path.is_file() and tmp_path / "run" not in path.parents
        }

    before = seen()
    yield tmp_path / "run"
    assert seen() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["canary", "outside", "run"]


def written(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MANY // SHARE))
def test_ids_columns_and_values_are_data(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")  # where a name that is a path would lead
    names = hostile(seed, SHARE)
    format = ("jsonl", "csv", "parquet")[seed % 3]  # noqa: A001
    with watched(tmp_path) as path:
        with RunFolder.create(path / "it", ABOUT, format=format, part_rows=200) as folder:
            for number, name in enumerate(names, 1):
                failure = FAILURE if number % 3 == 0 else None
                one = None if failure else flow(name)
                fields = {"id": name, name: name} if number % 50 == 0 else {"id": name}
                folder.write(Origin(number), name, fields, one, failure=failure)
            folder.finish()
        parts = [f"{table}/00{n}.{format}" for table in ("flattened", "answers") for n in range(3)]
        own = {"errors.jsonl", "graph.json", "journal.sqlite", "metadata.json", "plan.txt", *parts}
        assert written(path / "it") == own
    errors = (path / "it" / "errors.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in errors] == names[2::3]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + MANY // SHARE))
def test_parts_have_names_of_the_language_or_none(seed: int, tmp_path: Path) -> None:
    with watched(tmp_path) as path, RunFolder.create(path, ABOUT) as folder:
        for name in hostile(seed, SHARE):
            assert not is_name(name) or "/" not in name
            if is_name(name):
                continue
            with pytest.raises(SourceError, match="can't have a folder"):
                folder.output.write(Origin(1), "1", {}, flow(**{name: 1}), None, folder.before, ())
            if "/" in name or "\0" in name:
                for act in (folder.root.create, folder.root.read, folder.root.remove):
                    with pytest.raises(SourceError, match="can't be the name of a file"):
                        act(name)
        folders = {one.name for one in path.iterdir() if one.is_dir()}
        assert folders <= {"answers", "flattened"}


@pytest.mark.slow
def test_a_run_over_such_rows(tmp_path: Path) -> None:
    rows = [
        {"id": name, "query": name, f"c{number % 9}/../{name[:9]}": name}
        for number, name in enumerate(hostile(7, 200))
    ]
    with watched(tmp_path) as path:
        summary = chain("(vote = 2:E::0.7 >> M) >> J").run(rows, path, engine=FakeEngine())
        assert summary.rows == 200
        chain("(vote = 2:E::0.7 >> M) >> J").run(rows, path, engine=FakeEngine(), retry_failed=True)


JOURNAL = [f"journal.sqlite{ending}" for ending in ("", "-wal", "-shm", "-journal")]


@pytest.mark.parametrize("name", JOURNAL)
@pytest.mark.parametrize("target", ["canary", "outside/canary", "outside/new"])
def test_links_in_the_place_of_the_journal(tmp_path: Path, name: str, target: str) -> None:
    with watched(tmp_path) as path:
        chain("E").run(["a"], path, engine=FakeEngine())
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(tmp_path / target)
        with pytest.raises(ChainlangError):
            chain("E").run(["a", "b"], path, engine=FakeEngine())


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_links_planted_while_the_journal_is_opened(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last moment: whoever can write to the folder is quicker than all checks."""
    import sqlite3

    connect = sqlite3.connect

    def quicker(path: str, **more: Any) -> sqlite3.Connection:
        file = path.removeprefix("file://").partition("?")[0]
        link = Path(f"{file}{ending}")
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / "outside" / "canary")
        return connect(path, **more)

    with watched(tmp_path) as path:
        chain("E").run(["a"], path, engine=FakeEngine())
        monkeypatch.setattr(sqlite3, "connect", quicker)
        with suppress(ChainlangError):  # or it has gone on without: the canary is what counts
            chain("E").run(["a", "b"], path, engine=FakeEngine())
