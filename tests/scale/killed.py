"""Killed shards, and the memory of a large merge: `python -m tests.scale.killed ROWS LARGE`.

Shards of ROWS rows are killed at random rows, resumed and merged, and compared with one run. Then
LARGE rows are merged in a process of its own, which may take `MOST` megabytes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainlang import Chain, chain
from tests.scale.shards import BRANCHED, assert_equal, engine, merged, rows, shards, written

MOST = 500
_MERGE = """
import sys
from chainlang.scale import merge
from tests.memory import peak
print(merge(sys.argv[1]).rows)
print(peak() >> 20)
"""


def killed(chain: Chain, source: Path, home: Path, shard: tuple[int, int], row: int) -> None:
    """Run a shard in a process that is killed once it has written some rows."""
    pid = os.fork()
    if not pid:
        left = iter(range(row - 1))

        def stop(*_: Any) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        chain.run(source, home, shard=shard, engine=engine(), on_row=stop, window=16)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the shard had ended"


def split(source: Path, whole: Path, home: Path, count: int, total: int, seed: str) -> None:
    """Kill up to two of all shards, resume them, merge, and compare with one run."""
    draws = random.Random(f"{seed} {count}")
    for number in draws.sample(range(1, count + 1), min(2, count)):
        killed(BRANCHED, source, home, (number, count), draws.randrange(1, total // count))
    assert_equal(merged(shards(BRANCHED, source, home, count)), whole, was_killed=True)


def of_memory(home: Path, total: int) -> int:
    """Return the megabytes that a process takes to merge a number of rows, in two shards."""

    def source() -> Iterator[dict[str, Any]]:
        return ({"id": str(number), "query": f"question {number}"} for number in range(total))

    for number in (1, 2):
        qa = chain("E")
        qa.run(source(), home, shard=(number, 2), engine=engine(), part_rows=100_000)
    command = [sys.executable, "-c", _MERGE, str(home)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == total
    return megabytes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scale.killed")
    parser.add_argument("rows", type=int)
    parser.add_argument("large", type=int)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="chainlang-shards-"))
    try:
        source = written(home / "rows.jsonl", rows(options.rows))
        BRANCHED.run(source, home / "one", engine=engine())
        for count in (1, 2, 7):
            split(source, home / "one", home / str(count), count, options.rows, options.seed)
        megabytes = of_memory(home / "large", options.large)
    finally:
        shutil.rmtree(home)
    assert megabytes < MOST, f"{megabytes} MB to merge {options.large:,} rows"
    print(
        f"{options.rows:,} rows in 1, 2 and 7 shards, 5 of them killed: equal to one run; "
        f"{options.large:,} rows merged in {megabytes} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
