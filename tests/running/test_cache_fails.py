"""A cache that fails is a warning: the run goes on without it, and its results are the same."""

from __future__ import annotations

import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangWarning, SourceError
from chainlang.session.sample_cache import close_caches
from chainlang.settings import MapSettings
from chainlang.store import cache
from chainlang.store.cache import FILE

ROWS = [{"id": str(number), "query": f"q{number} {'x' * 500}"} for number in range(40)]
WANTED = [one.answer for one in chain("3:E >> M").map(ROWS, engine=FakeEngine())]


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cache, "_PATIENCE", 0.1)
    yield
    close_caches()


def answers(folder: Path, text: str = "3:E >> M") -> list[str]:
    given = {"cache": "write", "cache_folder": folder}
    return [one.answer for one in chain(text).map(ROWS, engine=FakeEngine(), **given)]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a cache as another process would."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let no file of this process grow above a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_lock_that_another_process_holds_is_a_warning(tmp_path: Path) -> None:
    answers(tmp_path / "before")  # the file is there
    close_caches()
    with locked(tmp_path / "before" / FILE), pytest.warns(ChainlangWarning) as caught:
        found = answers(tmp_path / "before", "4:E >> M")
    assert found == answers(tmp_path / "after", "4:E >> M")
    (one,) = caught
    assert isinstance(one.message, ChainlangWarning)
    assert "warning[cache]: " in str(one.message)
    assert "database is locked; the run continues without this cache" in str(one.message)


def test_a_lock_while_it_is_opened_is_one_too(tmp_path: Path) -> None:
    tmp_path.joinpath(FILE).touch()
    with locked(tmp_path / FILE), pytest.warns(ChainlangWarning, match="continues without"):
        assert answers(tmp_path) == WANTED
    assert answers(tmp_path) == WANTED  # the next run opens it again
    assert (tmp_path / FILE).stat().st_size > 0


def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    with full_disk(40_000), pytest.warns(ChainlangWarning, match="continues without") as caught:
        assert answers(tmp_path) == WANTED
    assert len(caught) == 1


def test_a_disk_that_is_full_when_it_is_opened_is_one_too(tmp_path: Path) -> None:
    with full_disk(1000), pytest.warns(ChainlangWarning, match="continues without"):
        assert answers(tmp_path) == WANTED


def test_a_file_that_is_no_cache_is_an_error_before_the_run(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nonsense" * 9999)
    with pytest.raises(SourceError, match="the cache is damaged"):
        answers(tmp_path)


def test_the_command_shows_the_warning_and_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.chain").write_text('model m = fake("x")\nmain = E:m\n')
    Path("rows.jsonl").write_text('{"query": "q"}\n')
    Path(FILE).touch()
    with locked(tmp_path / FILE):
        command = f"run a.chain -i rows.jsonl -o out --cache write --cache-folder {tmp_path}"
        assert execute(command.split()) == 0
    err = capsys.readouterr().err
    assert err.count("warning[cache]: ") == 1
    assert "the run continues without this cache" in err


def test_the_scheduler_of_several_threads_warns_once(tmp_path: Path) -> None:
    answers(tmp_path)
    close_caches()
    found: list[list[str]] = []
    with locked(tmp_path / FILE):
        threads = [
            threading.Thread(target=lambda: found.append(answers(tmp_path))) for _ in range(2)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert found == [WANTED, WANTED]


@pytest.mark.parametrize("name", ["~/cache", "~"])
def test_a_tilde_is_the_home_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert MapSettings.of({"cache_folder": name}).cache_folder == Path(name).expanduser()
    monkeypatch.setenv("CHAINLANG_CACHE_FOLDER", name)
    found = MapSettings.of({}).cache_folder
    assert found is not None
    assert found.is_relative_to(tmp_path)
