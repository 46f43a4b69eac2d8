"""The levels of the cache: each keeps what it is given, up to its size, and says what is wrong."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangWarning, SourceError
from chainlang.protocol.messages import Sample
from chainlang.protocol.secret import Secret
from chainlang.session.sample_cache import close_caches
from chainlang.store.cache import FILE, InMemory, Levels, open_on_disk
from chainlang.store.postgres_cache import InPostgres
from chainlang.store.protocol import Level
from chainlang.store.redis_cache import InRedis
from chainlang.store.sample_codec import Drawn, encoded
from chainlang.store.sample_table import EVICTING
from tests.laws import law
from tests.postgres_server import running as postgres_running
from tests.postgres_server import shared
from tests.redis_server import running
from tests.store.test_journal import ENTRIES

MEGABYTE = 1 << 20


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def drawn(number: int, size: int = 10) -> Drawn:
    return Drawn(Sample(f"{number} " * size, "stop", 3, (1, 2), logprobs=(-0.5, float("-inf"))), 7)


# ---------------------------------------------------------------- a real Redis


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Redis of its own, gone at the end."""
    with running() as address:
        yield address


@pytest.fixture(params=["memory", "disk", "redis", "postgres", "all of them"])
def level(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Level]]:
    """What opens a level, again and again the same one, as far as it can be."""
    memory, opened = InMemory(), list[Level]()

    def opening() -> Level:
        made: Level
        if request.param == "memory":
            made = memory
        elif request.param == "disk":
            made = open_on_disk(tmp_path, MEGABYTE)
        elif request.param == "redis":
            made = InRedis.open(request.getfixturevalue("redis"))
        elif request.param == "postgres":
            made = InPostgres.open(Secret(shared().url))
        else:
            others = (
                InRedis.open(request.getfixturevalue("redis")),
                InPostgres.open(Secret(shared().url)),
            )
            made = Levels((InMemory(most=3000), open_on_disk(tmp_path, MEGABYTE), *others))
        opened.append(made)
        return made

    yield opening
    for one in opened:
        one.close()


def test_what_was_recorded_is_there_and_a_later_one_takes_its_place(
    level: Callable[[], Level],
) -> None:
    entries = {key(number): drawn(number) for number in range(1200)}
    level().record(entries)
    level().record({})
    again = level()
    assert again.find(entries) == entries
    assert again.find([b"nothing"]) == {}
    assert again.find([]) == {}
    again.record({key(7): drawn(8)})
    assert level().find([key(7), key(8)]) == {key(7): drawn(8), key(8): drawn(8)}


@law(ENTRIES, ENTRIES, share=10)
def test_whatever_a_sample_says_comes_back(
    entries: dict[bytes, Drawn], more: dict[bytes, Drawn]
) -> None:
    with TemporaryDirectory() as path:
        for _ in range(2):
            disk = open_on_disk(Path(path), MEGABYTE)
            disk.record(entries)
            disk.record(more)
            assert disk.find([*entries, *more]) == {**entries, **more}
            disk.close()


OPENED = {
    "disk": lambda path, redis, seconds: open_on_disk(path, MEGABYTE, seconds),
    "redis": lambda path, redis, seconds: InRedis.open(redis, MEGABYTE, seconds),
    "postgres": lambda path, redis, seconds: InPostgres.open(
        Secret(shared().url), MEGABYTE, seconds
    ),
}
"""Shared levels of at most a megabyte, with an age."""


@pytest.fixture(params=OPENED)
def bounded(
    request: pytest.FixtureRequest, tmp_path: Path, redis: str
) -> Iterator[Callable[[float | None], Level]]:
    """What opens an empty level of at most a megabyte, with an age."""
    opened = list[Level]()
    if request.param == "postgres":
        InPostgres.open(Secret(shared().url)).close()
        shared().execute("DELETE FROM chainlang_cache")

    def opening(seconds: float | None = None) -> Level:
        opened.append(OPENED[request.param](tmp_path, redis, seconds))
        return opened[-1]

    first = opening()
    if isinstance(first, InRedis):
        first._client.flushall()
    yield opening
    for one in opened:
        one.close()


@pytest.mark.slow
def test_a_level_stays_within_its_size(
    bounded: Callable[[float | None], Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    level, count = bounded(None), 120
    for number in range(count):
        level.record({key(number): drawn(number, size=5000)})
    found = level.find([key(number) for number in range(count)])
    assert sum(len(encoded(one)) for one in found.values()) <= MEGABYTE
    assert len(found) > 20
    assert key(count - 1) in found
    again = {key(count - 1): drawn(1, size=5)}  # a smaller one in the place of a larger one
    level.record(again)
    assert level.find(again) == again


def test_a_sample_of_an_age_is_not_used_any_more(
    bounded: Callable[[float | None], Level], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time() - 100]
    monkeypatch.setattr("chainlang.store.cache.time.time", lambda: now[0])
    Levels((bounded(None),)).record({key(1): drawn(1)})
    now[0] += 50
    Levels((bounded(None),)).record({key(2): drawn(2)})
    now[0] += 50
    both = {key(1): drawn(1), key(2): drawn(2)}
    assert Levels((bounded(None),)).find(both) == both
    assert Levels((InMemory(), bounded(60)), 60).find(both) == {key(2): drawn(2)}
    assert Levels((bounded(30),), 30).find(both) == {}
    bounded(30).record(both)  # without a time: of an earlier version
    assert Levels((bounded(30),), 30).find(both) == {}
    assert Levels((bounded(None),)).find(both) == both


def test_what_is_too_old_is_removed(redis: str, tmp_path: Path) -> None:
    old = open_on_disk(tmp_path, MEGABYTE)
    old.record({key(1): drawn(1)})
    old.database.connection.execute("UPDATE samples SET used = used - 1000")
    old.record({key(2): drawn(2)})
    old.close()
    again = open_on_disk(tmp_path, MEGABYTE, 500)
    assert len(again) == 1
    again.close()
    for most in (None, MEGABYTE):
        level = InRedis.open(redis, most, 500)
        level.record({key(3): drawn(3), key(4): drawn(4)})
        assert 400 < level._client.ttl(b"chainlang:1:" + key(3)) <= 500
        level.close()
    level = InPostgres.open(Secret(shared().url), seconds=500)
    level.record({key(1): drawn(1)})
    shared().execute("UPDATE chainlang_cache SET used = used - interval '1000 seconds'")
    level.close()
    level = InPostgres.open(Secret(shared().url), seconds=500)
    level.record({key(2): drawn(2)})
    assert shared().execute("SELECT key FROM chainlang_cache") == [(key(2),)]
    level.close()


def test_a_redis_keeps_what_was_used_last(redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("chainlang.store.redis_cache.time.time", lambda: now[0])
    level = InRedis.open(redis, MEGABYTE)
    level._client.flushall()
    for number in range(60):
        now[0] += 1
        level.record({key(number): drawn(number, size=10_000)})
        assert level.find([key(0)])
    assert level.find([key(1)]) == {}
    total = int(level._client.get(b"chainlang:cache:total"))
    sizes = level._client.hvals(b"chainlang:cache:sizes")
    assert total == sum(map(int, sizes)) <= MEGABYTE
    level.close()


def test_levels_tell_those_before_them(tmp_path: Path) -> None:
    first, second = InMemory(), open_on_disk(tmp_path, MEGABYTE)
    second.record({key(1): drawn(1)})
    levels = Levels((first, second))
    assert first.find([key(1)]) == {}
    assert levels.find([key(1), key(2)]) == {key(1): drawn(1)}
    assert first.find([key(1)]) == {key(1): drawn(1)}
    levels.record({key(2): drawn(2)})
    assert first.find([key(2)]) == second.find([key(2)]) == {key(2): drawn(2)}
    levels.close()


# ---------------------------------------------------------------- the file


@pytest.mark.slow
def test_the_file_stays_within_its_size_and_keeps_what_was_used_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("chainlang.store.sample_table.time.time", lambda: now[0])
    disk = open_on_disk(tmp_path, MEGABYTE)
    for number in range(400):
        now[0] += 7200
        disk.record({key(number): drawn(number, size=2000)})
        assert disk.find([key(0)])  # used again and again
        assert disk.size() <= MEGABYTE
    assert 20 < len(disk) < 400
    assert disk.find([key(399)])
    assert disk.find([key(1)]) == {}
    assert (tmp_path / FILE).stat().st_size < 2 * MEGABYTE
    disk.close()


def test_one_sample_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    disk = open_on_disk(tmp_path, 100_000)
    disk.record({key(1): drawn(1, size=100_000)})
    assert disk.find([key(1)]) == {}
    disk.record({key(2): drawn(2)})
    assert disk.find([key(2)])
    disk.close()


def test_a_damaged_entry_is_taken_out_and_drawn_again(tmp_path: Path) -> None:
    disk = open_on_disk(tmp_path, MEGABYTE)
    disk.record({key(1): drawn(1), key(2): drawn(2)})
    disk.close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE samples SET entry = 'x' || entry WHERE key = ?", [key(1)])
    database.close()
    disk = open_on_disk(tmp_path, MEGABYTE)
    assert disk.find([key(1), key(2)]) == {key(2): drawn(2)}
    assert len(disk) == 1
    disk.close()


def test_files_that_are_no_cache(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE).write_bytes(b"no database, and long enough to be seen as none" * 99)
    with pytest.raises(SourceError, match=r"the cache is damaged(.|\n)*remove it"):
        open_on_disk(tmp_path / "a", MEGABYTE)
    (tmp_path / "b").mkdir()
    with sqlite3.connect(tmp_path / "b" / FILE) as database:
        database.execute("CREATE TABLE samples (key, entry, sum)")
    database.close()
    with pytest.raises(SourceError, match="this database is not a cache"):
        open_on_disk(tmp_path / "b", MEGABYTE)
    open_on_disk(tmp_path / "c", MEGABYTE).close()
    with sqlite3.connect(tmp_path / "c" / FILE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SourceError, match="format 99, and this version reads 1"):
        open_on_disk(tmp_path / "c", MEGABYTE)
    (tmp_path / "d").touch()
    with pytest.raises(SourceError, match=r"can't create the cache(.|\n)*cache_folder"):
        open_on_disk(tmp_path / "d", MEGABYTE)


WRITER = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from chainlang.store.cache import open_on_disk
from tests.store.test_cache import drawn, key
disk = open_on_disk(Path(sys.argv[1]), 1 << 26)
for number in range(int(sys.argv[2]), 2000, 2):
    disk.record({key(number): drawn(number)})
"""


def test_a_file_that_another_process_is_creating_is_no_foreign_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one commits its tables between two looks at the file, if the file lets it."""
    plain, tried = sqlite3.connect, list[str]()

    class Looking(sqlite3.Connection):
        def execute(self, text: str, *more: Any) -> sqlite3.Cursor:
            if text == "PRAGMA user_version" and not tried:
                tried.append(text)
                other = plain(tmp_path / "cache.sqlite", timeout=0)
                with contextlib.suppress(sqlite3.OperationalError), other:
                    other.executescript(
                        f"BEGIN; {EVICTING}; PRAGMA application_id = {0x63616368}; "
                        "PRAGMA user_version = 1; COMMIT"
                    )
                other.close()
            return super().execute(text, *more)

    monkeypatch.setattr(sqlite3, "connect", partial(plain, factory=Looking))
    open_on_disk(tmp_path, 1 << 20).close()
    assert tried


@pytest.mark.slow
def test_several_processes_use_one_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(first)]) for first in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    disk = open_on_disk(tmp_path, 1 << 26)
    assert len(disk) == 2000
    disk.close()


# ---------------------------------------------------------------- Redis


def test_a_redis_that_several_share(redis: str, tmp_path: Path) -> None:
    settings = {"cache": "write", "cache_redis": redis}
    first = chain("3:E")("q", engine=FakeEngine(), cache_folder=tmp_path / "a", **settings)
    close_caches()
    engine = FakeEngine()
    other = chain("3:E")("q", engine=engine, cache_folder=tmp_path / "b", **settings)
    close_caches()
    assert other["responses"] == first["responses"]
    assert engine.submitted == 0  # another machine, as far as files go


def test_an_entry_of_redis_that_is_damaged_counts_as_missing(redis: str) -> None:
    level = InRedis.open(redis)
    level.record({key(90): drawn(90), key(91): drawn(91)})
    level._client.set(b"chainlang:1:" + key(90), b"nonsense")
    assert level.find([key(90), key(91)]) == {key(91): drawn(91)}
    level.close()


def test_a_redis_that_is_not_there_is_an_error_without_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        InRedis.open("redis://me:s3cret-word@127.0.0.1:1/0")
    assert "the cache at redis://127.0.0.1:1 failed: ConnectionError" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(SourceError, match="not an address of Redis"):
        InRedis.open("http://127.0.0.1:1")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SourceError, match=r"pip install 'chainlang\[redis\]'"):
        InRedis.open("redis://127.0.0.1:1")


# ---------------------------------------------------------------- PostgreSQL


def test_a_database_that_several_share(tmp_path: Path) -> None:
    settings = {"cache": "write", "store": shared().url}
    first = chain("3:E")("shared?", engine=FakeEngine(), cache_folder=tmp_path / "a", **settings)
    close_caches()
    engine = FakeEngine()
    other = chain("3:E")("shared?", engine=engine, cache_folder=tmp_path / "b", **settings)
    close_caches()
    assert other["responses"] == first["responses"]
    assert engine.submitted == 0


def test_an_entry_of_a_database_that_is_damaged_counts_as_missing() -> None:
    level = InPostgres.open(Secret(shared().url))
    level.record({key(90): drawn(90), key(91): drawn(91)})
    shared().execute("UPDATE chainlang_cache SET sum = %s WHERE key = %s", [b"", key(90)])
    assert level.find([key(90), key(91)]) == {key(91): drawn(91)}
    level.close()


@pytest.mark.slow
def test_a_run_goes_on_without_its_cache_in_a_database(tmp_path: Path) -> None:
    with postgres_running() as server:
        chain("E")("q", engine=FakeEngine(), cache="write", store=server.url)
        server.kill()
        with pytest.warns(ChainlangWarning, match="continues without this cache"):
            assert chain("E")("r", engine=FakeEngine(), cache="write", store=server.url).ok
        close_caches()
