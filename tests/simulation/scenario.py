"""One seed: a run over a bad server, gone on with until no row is left that failed."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field

from chainlang import chain
from chainlang.errors import StopError
from tests.running.test_resume import plain
from tests.simulation.world import CONCURRENCY, World

CHAIN = chain("((vote = 3:E:m:0.7 >> 2:J:m:0.3 >> M) & 2:E:n:1.0) >> V:m:0.2")
ROWS = [{"id": f"r{number}", "query": f"question {number}."} for number in range(4)]
MEMORY = Path("/dev/shm")  # this is about servers, and not about disks
MOST = 12  # times that a run is gone on with; the outages are over long before


@define
class Told:
    """What a seed came to."""

    world: World
    ends: Counter[str] = field(factory=Counter)
    """How the runs of it ended."""


@cache
def wanted() -> dict[str, bytes]:
    """Return the files of a run over a server that never fails."""
    with TemporaryDirectory() as folder:
        out, world = Path(folder) / "run", World(0, good=True)
        with closing(world.loop), closing(world.engine()) as engine:
            assert CHAIN.run(ROWS, out, engine=engine).failed == 0
        return plain(out)


def simulate(seed: int) -> Told:
    """Run a seed. Raises `AssertionError` where a row is not right, or was paid for twice."""
    told = Told(World(seed))
    with closing(told.world.loop):
        _go_on_until_done(seed, told)
    return told


def _go_on_until_done(seed: int, told: Told) -> None:
    draws, world = random.Random(f"run {seed}"), told.world
    settings: dict[str, Any] = {
        "window": draws.choice([1, 2, 6]),
        "patience": draws.choice([0.0, 30.0, 600.0]),
        "call_seconds": draws.choice([None, 45.0]),
        "run_calls": draws.choice([None, None, 30]),
    }
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        out, retry = Path(folder) / "run", False
        for _ in range(MOST):
            engine = world.engine()
            try:
                failed = CHAIN.run(ROWS, out, engine=engine, retry_failed=retry, **settings).failed
            except StopError as stop:
                is_down = "is unavailable" in stop.diagnostics[0].message
                told.ends["model down" if is_down else "budget used up"] += 1
                failed, retry = 1, False
            else:
                retry = failed > 0
                told.ends["rows failed" if failed else "done"] += 1
            finally:
                engine.close()
            if not failed:
                break
        assert not failed, f"rows fail for good: {told.ends}"
        found = plain(out)
        for name in {*wanted(), *found}:
            assert found.get(name) == wanted().get(name), name
    assert world.most_in_flight <= CONCURRENCY
    # What is being answered when a run stops because its model is down is asked for again.
    lost = CONCURRENCY * told.ends["model down"]
    twice = sum(world.answered.values()) - len(world.answered)
    assert twice <= lost, f"{twice} questions were paid for twice"
