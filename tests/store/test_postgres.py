"""PostgreSQL as a home of journals: one owner, restarts that are waited for, errors that stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, models
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SettingError, SourceError
from chainlang.protocol.messages import Sample
from chainlang.protocol.secret import Secret
from chainlang.store.journal import Journal
from chainlang.store.journal_home import InPostgres
from chainlang.store.postgres import Postgres
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn
from tests.pooler import pooler
from tests.postgres_server import LONGEST, Server, running, shared
from tests.test_encoded_secrets import frames

ROWS = [{"id": str(number), "query": f"q{number}"} for number in range(20)]


@contextmanager
def journal(path: Path, server: Server | None = None, patience: float = 5) -> Iterator[Journal]:
    """Open the journal of a folder for a block."""
    url = Secret((server or shared()).url)
    with (
        closing(Folder.open(path)) as folder,
        closing(Postgres.open(url, patience=patience, if_failed="run it again")) as database,
    ):
        yield InPostgres.of(database, path).open(folder)


def drawn(number: int) -> Drawn:
    return Drawn(Sample(f"reply {number}", "stop", 3), 7)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that tests may kill."""
    with running() as server:
        yield server


def files(path: Path) -> dict[str, bytes]:
    """Return the files of a run that are equal in equal runs."""
    every = (one for one in path.rglob("*") if one.is_file())
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in every
        if one.name != "metadata.json" and not one.name.startswith("journal.sqlite")
    }


# ---------------------------------------------------------------- runs


def test_a_run_is_the_same_and_resumes_where_its_folder_is_lost(tmp_path: Path) -> None:
    qa, store = chain("(vote = 3:E:m:0.7 >> M) >> J:m"), shared().url
    qa.run(ROWS, tmp_path / "plain", engine=FakeEngine())
    qa.run(ROWS, tmp_path / "a", engine=FakeEngine(), store=store)
    assert files(tmp_path / "a") == files(tmp_path / "plain")
    assert not list((tmp_path / "a").glob("journal.*"))
    (tmp_path / "a").rename(tmp_path / "lost")
    engine = FakeEngine()
    summary = qa.run(ROWS, tmp_path / "a", engine=engine, store=store)
    assert (engine.submitted, summary.recorded) == (0, 80)
    assert files(tmp_path / "a") == files(tmp_path / "plain")


def test_a_folder_keeps_to_its_store(tmp_path: Path) -> None:
    qa, store = chain("2:E"), shared().url
    qa.run(ROWS, tmp_path / "a", engine=FakeEngine(), store=store)
    with pytest.raises(SourceError, match="contains a run, whose journal is not in it"):
        qa.run(ROWS, tmp_path / "a", engine=FakeEngine())
    qa.run(ROWS, tmp_path / "b", engine=FakeEngine())
    with pytest.raises(
        SourceError, match=r"in this folder is journal.sqlite(.|\n)*leave out store"
    ):
        qa.run(ROWS, tmp_path / "b", engine=FakeEngine(), store=store)
    with pytest.raises(SourceError, match="contains a different run: the chain differs"):
        chain("3:E").run(ROWS, tmp_path / "a", engine=FakeEngine(), store=store)
    engine = FakeEngine()
    qa.run(ROWS, tmp_path / "a", engine=engine, store=store, overwrite=True)
    assert engine.submitted == 20


def test_failed_rows_are_retried(tmp_path: Path) -> None:
    bad = ["no JSON"]
    settings: dict[str, Any] = {"store": shared().url}
    settings["engine"] = FakeEngine(answers=lambda request, index: bad[0] if bad else None)
    assert chain("E >> V").run(ROWS[:3], tmp_path / "a", **settings).failed == 3
    bad.clear()
    assert chain("E >> V").run(ROWS[:3], tmp_path / "a", **settings).failed == 3
    assert chain("E >> V").run(ROWS[:3], tmp_path / "a", retry_failed=True, **settings).failed == 0


def test_a_policy_learns_from_a_run_in_a_database(tmp_path: Path) -> None:
    each = {name: models.fake(f"model {name}") for name in ("a", "b")}
    store = shared().url
    with models.use(each, pick=models.ucb(list(each), reward="ok")):
        chain("E:@pick").run(ROWS, tmp_path / "out", store=store)
        again = chain("E:@pick").run(ROWS, tmp_path / "out", store=store)
        assert again.recorded == 20
    with models.use(each, frozen=models.ucb(list(each), learnt=str(tmp_path / "out"))):
        assert chain("E:@frozen")("q", store=store).ok
        with pytest.raises(SettingError, match="has no rewards to learn from"):
            chain("E:@frozen")("q")


def test_a_variable_has_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"engine": FakeEngine(), "store": 'env("OUR_DATABASE")'}
    with pytest.raises(SettingError, match=r"OUR_DATABASE of the environment(.|\n)*is not set"):
        chain("E").run(ROWS, tmp_path / "a", **settings)
    monkeypatch.setenv("OUR_DATABASE", shared().url)
    chain("E").run(ROWS, tmp_path / "a", **settings)
    assert shared().execute(
        "SELECT count(*) FROM chainlang_samples WHERE run = %s", [str(tmp_path / "a")]
    ) == [(20,)]


def test_the_environment_and_a_file_name_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded(name: str) -> int:
        chain("E").run(ROWS, tmp_path / name, engine=FakeEngine())
        question = "SELECT count(*) FROM chainlang_samples WHERE run = %s"
        return int(shared().execute(question, [str(tmp_path / name)])[0][0])

    monkeypatch.chdir(tmp_path)
    assert recorded("neither") == 0
    (tmp_path / "chainlang.toml").write_text("store = 'env(\"OUR_DATABASE\")'")
    monkeypatch.setenv("OUR_DATABASE", shared().url)
    assert recorded("file") == 20
    (tmp_path / "chainlang.toml").unlink()
    monkeypatch.setenv("CHAINLANG_STORE", shared().url)
    assert recorded("environment") == 20


# ---------------------------------------------------------------- owners

OWNER = """
import sys, time
from pathlib import Path
from chainlang.protocol.secret import Secret
from chainlang.store.journal_home import InPostgres
from chainlang.store.postgres import Postgres
from chainlang.store.safe_files import Folder
database = Postgres.open(Secret(sys.argv[1]), patience=5, if_failed="")
journal = InPostgres.of(database, sys.argv[2]).open(Folder.open(sys.argv[2]))
print("owned", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_second_owner_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, shared().url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        with pytest.raises(SourceError) as caught, journal(tmp_path):
            pass
        said = f"another process is writing to the run {tmp_path}: process {owner.pid} on "
        assert said in str(caught.value)
        with journal(tmp_path.parent) as other:  # another run has another owner
            other.save({"run": 1})
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    end = time.monotonic() + LONGEST  # until the server has noticed
    while True:
        try:
            with journal(tmp_path) as found:
                found.save({"run": 1})
            break
        except SourceError:
            assert time.monotonic() < end, "the lock of a process that is gone still holds"
            time.sleep(0.05)


def test_an_owner_that_lost_its_lock_records_nothing_more(tmp_path: Path) -> None:
    with journal(tmp_path) as first:
        first.record({b"a": drawn(1)})
        ended = """SELECT pg_terminate_backend(pid, 60000) FROM pg_locks
                   WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"""
        shared().execute(ended)
        with journal(tmp_path) as second:
            second.record({b"b": drawn(2)})
            with pytest.raises(SourceError, match="another process has taken over the run"):
                first.record({b"b": drawn(3)})
        with pytest.raises(SourceError, match="another process has taken over the run"):
            first.record({b"c": drawn(3)})
    with journal(tmp_path) as third:
        assert third.find([b"a", b"b", b"c"]) == {b"a": drawn(1), b"b": drawn(2)}


def test_another_sample_of_another_process_is_an_error(tmp_path: Path) -> None:
    with journal(tmp_path) as first:
        first.record({b"a": drawn(1)})
        first.record({b"a": drawn(2)})  # of this process: what is there stays, as in a file
        assert first.find([b"a"]) == {b"a": drawn(1)}
    with journal(tmp_path) as second:
        second.record({b"a": drawn(1), b"b": drawn(2)})
        with pytest.raises(SourceError, match="another process has recorded another sample 61"):
            second.record({b"a": drawn(2), b"c": drawn(3)})
        assert second.find([b"a", b"b", b"c"]) == {b"a": drawn(1), b"b": drawn(2)}


def test_a_pooler_in_transaction_mode_is_refused(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"engine": FakeEngine()}
    refused = pytest.raises(SourceError, match=r"a pooler in transaction mode(.|\n)*session mode")
    with pooler(shared().folder, by_transaction=True) as url, refused:
        chain("E").run(ROWS, tmp_path / "a", store=url, **settings)
    with pooler(shared().folder, by_transaction=False) as url:
        assert chain("E").run(ROWS, tmp_path / "a", store=url, **settings).rows == 20


# ---------------------------------------------------------------- faults


@pytest.mark.slow
def test_a_restart_is_waited_for(tmp_path: Path, mortal: Server) -> None:
    with journal(tmp_path, mortal, patience=60) as opened:
        opened.record({b"a": drawn(1)})
        mortal.kill()
        starting = threading.Timer(0.3, mortal.start)
        starting.start()
        opened.record({b"b": drawn(2)})
        starting.join()
        mortal.restart()
        assert opened.find([b"a", b"b"]) == {b"a": drawn(1), b"b": drawn(2)}
        assert isinstance(opened.store.database.waits, int)
        assert opened.store.database.waits == 2


@pytest.mark.slow
def test_a_database_that_stays_away_stops_the_run(tmp_path: Path, mortal: Server) -> None:
    def stops(outcome: Any, _: float | None) -> None:
        if outcome.index == 3:
            mortal.kill()

    settings: dict[str, Any] = {"store": mortal.url, "patience": 0.3, "window": 2}
    with pytest.raises(SourceError) as caught:
        chain("E").run(ROWS, tmp_path / "a", engine=FakeEngine(), on_row=stops, **settings)
    assert "it was away for 0.3 s" in str(caught.value)
    assert "re-run the same command to resume" in str(caught.value)
    with pytest.raises(SourceError, match=r"No such file(.|\n)*check that the server is running"):
        chain("E").run(ROWS, tmp_path / "a", engine=FakeEngine(), **settings)
    mortal.start()
    engine = FakeEngine()
    assert chain("E").run(ROWS, tmp_path / "a", engine=engine, **settings).rows == 20
    assert engine.submitted < 20
    assert len((tmp_path / "a" / "flattened" / "000.jsonl").read_text().splitlines()) == 20


@pytest.mark.slow
def test_what_does_not_pass_stops_at_once(tmp_path: Path) -> None:
    with running() as server, journal(tmp_path, server) as opened:
        opened.record({b"a": drawn(1)})
        server.execute("DROP TABLE chainlang_samples")
        with pytest.raises(SourceError, match=r'relation "chainlang_samples" .* \(42P01\)'):
            opened.find([b"a"])
        server.execute("UPDATE chainlang_format SET version = 99")
        with pytest.raises(SourceError, match="have format 99, and this version reads 1"):
            Postgres.open(Secret(server.url), patience=1, if_failed="")
        nobody = Secret(server.url.replace("//me@", "//someone:s3cret-canary@"))
        with pytest.raises(SourceError, match='role "someone" does not exist') as caught:
            Postgres.open(nobody, patience=1, if_failed="")
        assert "canary" not in frames(caught.value)


URLS = (
    "postgresql://me:pa/ss-canary@127.0.0.1:1/d",
    "postgresql://me:pa#ss-canary@127.0.0.1:1/d",
    "postgresql://me:ss-canary@127.0.0.1:port/d",
    "postgresql://me:ss-canary@127.0.0.1:1/d",
    "postgresql://127.0.0.1:1/d?password=ss-canary",
    "postgresql://127.0.0.1:1/d?passwort=ss-canary",
    "postgres+x://me:ss-canary@127.0.0.1:1/d",
    "postgresql+psycopg://me:ss-canary@127.0.0.1:1/d",
)


@pytest.mark.parametrize("url", URLS)
def test_the_password_is_shown_nowhere(url: str, tmp_path: Path) -> None:
    with pytest.raises((SourceError, SettingError)) as caught:
        chain("E").run(ROWS, tmp_path / "a", engine=FakeEngine(), store=url)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(SourceError) as caught:
        Postgres.open(Secret(url), patience=1, if_failed="")
    assert "canary" not in frames(caught.value).replace(repr(url), "")
    assert "127.0.0.1" in str(caught.value) or "not an address" in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourceError, match=r"pip install 'chainlang\[postgres\]'"):
        Postgres.open(Secret("postgresql://127.0.0.1:1/d"), patience=1, if_failed="")


@pytest.mark.slow
def test_ctrl_c_ends_the_wait(tmp_path: Path, mortal: Server) -> None:
    def stops(outcome: Any, _: float | None) -> None:
        if outcome.index == 3:
            mortal.kill()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    settings: dict[str, Any] = {"store": mortal.url, "patience": 60, "window": 2}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            chain("E").run(ROWS, tmp_path / "a", engine=FakeEngine(), on_row=stops, **settings)
    finally:
        signal.signal(signal.SIGINT, before)
        mortal.start()
    assert chain("E").run(ROWS, tmp_path / "a", engine=FakeEngine(), **settings).rows == 20
