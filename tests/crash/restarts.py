"""A run whose database is killed and started again and again: nothing is lost, nothing twice."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chainlang.engines.protocol import Engine
from chainlang.store import Journal
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, decoded
from tests.crash.reference import CHAIN, PART_ROWS, Counting
from tests.postgres_server import Server, running


def restarted(count: int, every: float) -> tuple[int, int, float]:
    """Run rows over a database that is killed every so many seconds.

    Return the number of restarts, of samples, and the seconds that the run has waited.
    """
    rows = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(count)]
    with running() as server, TemporaryDirectory() as path:
        plain, kept = Path(path) / "plain", Path(path) / "kept"
        calls = [0, 0]
        _run(rows, plain, calls, 0)
        over, restarts = threading.Event(), [0]
        killer = threading.Thread(target=_kills, args=(server, every, over, restarts))
        killer.start()
        try:
            summary = _run(rows, kept, calls, 1, store=server.url, patience=120)
        finally:
            over.set()
            killer.join()
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
        return restarts[0], len(found), summary.waited


def _run(rows: Any, out: Path, calls: list[int], index: int, **settings: Any) -> Any:
    def count(some: int) -> None:
        calls[index] += some

    engine: Engine = Counting(count)
    return CHAIN.run(rows, out, engine=engine, window=16, part_rows=PART_ROWS * 10, **settings)


def _kills(server: Server, every: float, over: threading.Event, restarts: list[int]) -> None:
    while not over.wait(every):
        server.restart()
        restarts[0] += 1


def _files(path: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and one.name.partition(".")[0] not in ("journal", "metadata")
    }


def _recorded(path: Path, keys: Any) -> dict[bytes, Drawn]:
    with closing(Folder.open(path)) as root, closing(Journal.open(root)) as journal:
        return journal.find(keys)
