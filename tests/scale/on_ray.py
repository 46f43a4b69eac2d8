"""Runs on a cluster of Ray on this machine: `python -m tests.scale.on_ray [COUNT]`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chainlang import load
from chainlang.scale import as_ray
from tests.postgres_server import running

TEXT = """
model m = fake("x")
op shout : map {{ model = "m"  user = "{{{{ candidate.answer }}}}!" }}
main = ({first}) >> shout
"""


def qa(first: str = "vote = 3:E:m:0.7 >> M") -> Any:
    return load(text=TEXT.format(first=first))


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(count)]


@contextmanager
def initialized() -> Iterator[Any]:
    """Start a cluster of two cores, which is gone at the end."""
    import ray

    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    try:
        yield ray
    finally:
        ray.shutdown()


def run_and_kill(count: int, path: Path) -> int:
    """Run rows in two actors, of which one is killed; compare with one process.

    Return the number of actors that were killed.
    """
    made, every = qa(), rows(count)
    made.run(every, path / "plain")
    killed: list[int] = []
    over = threading.Event()
    begun = partial(_has_samples, path / "ray")
    killer = threading.Thread(target=_kill_one, args=("ShardActor.run", begun, killed, over))
    killer.start()
    try:
        summary = made.run(every, path / "ray", on="ray", ray_actors=2)
    finally:
        over.set()
        killer.join()
    assert (summary.rows, summary.failed) == (count, 0)
    plain, found = files(path / "plain"), files(path / "ray")
    assert plain.keys() == found.keys()
    for name, data in plain.items():
        assert data == found[name], f"{name} is another file"
    return len(killed)


def files(path: Path) -> dict[str, bytes]:
    """Return the files of a run that are equal in equal runs."""
    every = {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}
    return {
        name: one.read_bytes()
        for name, one in every.items()
        if not name.startswith(("shard-", "journal.", "metadata."))
    }


def _kill_one(
    name: str, begun: Callable[[], bool], killed: list[int], over: threading.Event
) -> None:
    """Kill an actor once it has samples."""
    import psutil

    while not over.wait(0.01):
        if not begun():
            continue
        for one in psutil.process_iter(["cmdline"]):
            if (one.info["cmdline"] or [""])[0].startswith(f"ray::{name}"):
                one.send_signal(signal.SIGKILL)
                killed.append(one.pid)
                return


def _has_samples(folder: Path) -> bool:
    journal = folder / "shard-0001-of-0002" / "journal.sqlite-wal"
    return journal.exists() and journal.stat().st_size > 100_000


def batches(count: int, settings: Any = None, **options: Any) -> None:
    """Run rows through `map_batches` of two actors; compare with one process."""
    import ray.data

    made, every = qa(), rows(count)
    data = ray.data.from_items(every, override_num_blocks=4)
    worker = as_ray(made, seed=3, **(settings or {}))
    found = data.map_batches(worker, concurrency=2, max_concurrency=2, **options).take_all()
    plain = made.map(every, seed=3).to_dicts()

    def shown(table: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return sorted((one["id"], one["answer"], one["error"]) for one in table)

    assert shown(found) == shown(plain)


def batches_and_kill(count: int, **options: Any) -> int:
    """Run `batches` with a cache that the actors share, and kill one of them."""
    killed: list[int] = []
    over = threading.Event()
    with running() as server:

        def begun() -> bool:
            is_there = "SELECT to_regclass('chainlang_cache') IS NOT NULL"
            if server.execute(is_there) != [(True,)]:
                return False
            return bool(server.execute("SELECT count(*) FROM chainlang_cache")[0][0] > count // 2)

        killer = threading.Thread(target=_kill_one, args=("MapWorker", begun, killed, over))
        killer.start()
        try:
            batches(count, {"cache": "write", "store": server.url}, **options)
        finally:
            over.set()
            killer.join()
    return len(killed)


def main() -> None:
    """Run so many rows in both ways."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    started = time.monotonic()
    with initialized(), TemporaryDirectory() as path:
        killed = run_and_kill(count, Path(path))
        killed += batches_and_kill(count, batch_size=256)
    print(f"{count:,} rows twice in 2 actors, {killed} killed; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
