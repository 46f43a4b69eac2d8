"""Runs on real vLLM that are killed between two steps of the engine, and gone on with.

`python -m tests.crash.on_vllm FOLDER KILLS SEED` is such a run.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from chainlang import chain
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.silence import quiet
from chainlang.runtime.ports.port import Reply
from chainlang.session.summary import Summary
from tests.crash.kill import ended, forked

CHAIN = "2:E:tiny:0.9 >> J:tiny"
ROWS = [{"id": f"r{number}", "query": f"What is {number} + 2?"} for number in range(16)]
LONGEST = 40  # steps until a process is killed; all rows take several hundred


def run(path: Path) -> Summary:
    """Run the chain into a folder, on the bundled model."""
    return chain(CHAIN).run(ROWS, path, window=2)


def killed(path: Path, draws: random.Random, kills: int) -> None:
    """Kill a run so many times, and let it end; each process is a fork that loads the model."""
    for number in range(kills + 1):
        heard, said = os.pipe()
        pid = forked(lambda said=said: _telling(path, said))
        os.close(said)
        if number < kills:
            for _ in range(draws.randint(1, LONGEST)):
                assert os.read(heard, 1), "it ended before it was killed"
            os.kill(pid, signal.SIGKILL)
        while os.read(heard, 100):
            pass
        os.close(heard)
        assert ended(pid) == (-signal.SIGKILL if number < kills else 0)


def _telling(path: Path, said: int) -> None:
    """Go on with the run in a folder, and tell of each step of the engine."""
    step = VllmEngine.step

    def telling(engine: VllmEngine) -> Sequence[Reply]:
        os.write(said, b".")
        return step(engine)

    VllmEngine.step = telling
    run(path)


def tokens(path: Path) -> dict[bytes, bytes]:
    """Return all samples of a run, each with the ids of its tokens, by their keys."""
    with sqlite3.connect(path / "journal.sqlite") as database:
        found = dict(database.execute("SELECT key, entry FROM samples"))
    database.close()
    return found


def main() -> None:
    """Kill a run so often, and let it end."""
    folder, kills, seed = sys.argv[1:]
    with quiet():  # once, for all that are forked
        importlib.import_module("vllm.v1.engine.llm_engine")
    killed(Path(folder), random.Random(seed), int(kills))
    print(f"{kills} kills")


if __name__ == "__main__":
    main()
