"""Runs on a cluster of Ray on this machine: `python -m tests.scale.on_ray [COUNT]`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chainlang import function, load
from chainlang.scale import as_ray
from tests.postgres_server import running
from tests.scale.mortal import mortal

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
    # Seconds until a machine and its processes have to be up: long, for a machine that is busy.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "300")
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


def dying(count: int, mark: Path) -> tuple[Any, list[dict[str, Any]]]:
    """Return a chain and rows that kill an actor in its hundredth row, if there is a file."""
    made = (qa() >> function("mortal", mortal)).bind()
    return made, [{**row, "mark": str(mark)} for row in rows(count)]


def run_and_kill(count: int, path: Path) -> None:
    """Run rows in two actors, of which one is killed; compare with one process."""
    mark = path / "mark"
    made, every = dying(count, mark)
    made.run(every, path / "plain")
    mark.touch()
    summary = made.run(every, path / "ray", on="ray", ray_actors=2)
    assert not mark.exists(), "no actor was killed"
    assert (summary.rows, summary.failed) == (count, 0)
    plain, found = files(path / "plain"), files(path / "ray")
    assert plain.keys() == found.keys()
    for name, data in plain.items():
        assert data == found[name], f"{name} is another file"


def files(path: Path) -> dict[str, bytes]:
    """Return the files of a run that are equal in equal runs."""
    every = {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}
    return {
        name: one.read_bytes()
        for name, one in every.items()
        if not name.startswith(("shard-", "journal.", "metadata."))
    }


def batches(made: Any, every: list[dict[str, Any]], settings: Any = None, **options: Any) -> None:
    """Run rows through `map_batches` of two actors; compare with one process."""
    import ray.data

    plain = made.map(every, seed=3).to_dicts()
    data = ray.data.from_items(every, override_num_blocks=4)
    worker = as_ray(made, seed=3, **(settings or {}))
    found = data.map_batches(worker, concurrency=2, max_concurrency=2, **options).take_all()

    def shown(table: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return sorted((one["id"], one["answer"], one["error"]) for one in table)

    assert shown(found) == shown(plain)


def batches_and_kill(count: int, path: Path, **options: Any) -> None:
    """Run `batches` with a cache that the actors share, and kill one of them."""
    mark = path / "mark"
    mark.touch()
    with running() as server:
        settings = {"cache": "write", "store": server.url}
        batches(*dying(count, mark), settings, **options)
    assert not mark.exists(), "no actor was killed"


def main() -> None:
    """Run so many rows in both ways."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    started = time.monotonic()
    with initialized(), TemporaryDirectory() as path:
        run_and_kill(count, Path(path))
        batches_and_kill(count, Path(path), batch_size=256)
    print(f"{count:,} rows twice in 2 actors, 2 killed; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
