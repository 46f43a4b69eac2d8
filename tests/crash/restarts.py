"""A run whose database is killed and started again and again: nothing is lost, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chainlang.engines.protocol import Engine
from chainlang.store import Journal
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, decoded
from tests.crash.reference import CHAIN, PART_ROWS, Counting
from tests.postgres_server import LONGEST, Server, running


class Killer:
    """Kills a database and starts it again: every so many seconds, or when samples are drawn.

    With `times`, the samples are cut into `times + 1` equal shares. At the end of each but the
    last, drawing waits for the kill; it goes on while the database starts.
    """

    def __init__(self, server: Server, every: float, times: int) -> None:
        self.server, self.every, self.times = server, every, times
        self.restarts = self.asked = 0
        self.over, self.due, self.killed = (threading.Event() for _ in range(3))
        self.thread = threading.Thread(target=self._by_shares if times else self._by_seconds)

    def _by_seconds(self) -> None:
        while not self.over.wait(self.every):
            self._restart()

    def _by_shares(self) -> None:
        while self.due.wait() and not self.over.is_set():
            self.due.clear()
            self._restart()

    def _restart(self) -> None:
        self.server.kill()
        self.killed.set()
        self.server.start()
        self.restarts += 1

    def drawn(self, samples: int, total: int) -> None:
        """Wait for a kill if the samples so far end a share."""
        if self.asked < self.times and samples * (self.times + 1) >= total * (self.asked + 1):
            self.asked += 1
            self.killed.clear()
            self.due.set()
            assert self.killed.wait(LONGEST), "the database was not killed"

    def end(self) -> None:
        """Wait until the database runs and is killed no more."""
        self.over.set()
        self.due.set()
        self.thread.join()


def restarted(count: int, every: float, times: int = 0) -> tuple[int, int, float]:
    """Run rows over a database that is killed every so many seconds, or so many times in all.

    Return the number of restarts, of samples, and the seconds that the run has waited.
    """
    rows = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(count)]
    with running() as server, TemporaryDirectory() as path:
        plain, kept = Path(path) / "plain", Path(path) / "kept"
        calls = [0, 0]

        def count_plain(some: int) -> None:
            calls[0] += some

        def count_kept(some: int) -> None:
            calls[1] += some
            killer.drawn(calls[1], calls[0])

        _run(rows, plain, count_plain)
        killer = Killer(server, every, times)
        killer.thread.start()
        try:
            summary = _run(rows, kept, count_kept, store=server.url, patience=120)
        finally:
            killer.end()
        assert summary.rows == count
        assert calls[0] == calls[1], f"{calls[1]} samples were drawn, and {calls[0]} without kills"
        files, others = (_files(one) for one in (plain, kept))
        assert files.keys() == others.keys()
        for name, data in files.items():
            assert data == others[name], f"{name} is another file"
        entries = server.execute("SELECT key, entry FROM chainlang_samples")
        found = {key: decoded(entry).sample for key, entry in entries}
        assert len(found) == len(entries)
        assert found == {key: one.sample for key, one in _recorded(plain, found).items()}
        with closing(Folder.open(plain)) as root, closing(Journal.open(root)) as journal:
            assert len(journal) == len(found), "samples were lost"
        return killer.restarts, len(found), summary.waited


def _run(rows: Any, out: Path, count: Callable[[int], None], **settings: Any) -> Any:
    engine: Engine = Counting(count)
    return CHAIN.run(rows, out, engine=engine, window=16, part_rows=PART_ROWS * 10, **settings)


def _files(path: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and one.name.partition(".")[0] not in ("journal", "metadata")
    }


def _recorded(path: Path, keys: Any) -> dict[bytes, Drawn]:
    with closing(Folder.open(path)) as root, closing(Journal.open(root)) as journal:
        return journal.find(keys)
