"""One address of three that dies and comes back at random: ``python -m tests.engines.dying 2000``.

Times are counts of requests, so a seed repeats a run.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http import addresses
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.openai.engine import OpenAIEngine
from tests.engines.server import Answer, Body, Server, from_engine


class Fleet:
    """Three servers of one model; at most one of them is dead, and breaks its connections."""

    def __init__(self, rows: int, seed: str) -> None:
        draws, at = random.Random(seed), 0
        self.plan: list[tuple[int, int | None]] = []
        while at < rows // 2:
            for dead in (draws.randrange(3), None):
                at += draws.randint(rows // 20, rows // 8)
                self.plan.append((at, dead))
        self.dead: int | None = None
        self.deaths = 0
        self.since: Counter[int] = Counter()
        """Requests that each has answered since all are there again."""
        self.answered: Counter[str] = Counter()
        self._count, self._lock = 0, threading.Lock()
        self._model = from_engine(FakeEngine())

    def answer(self, number: int, body: Body) -> Answer:
        with self._lock:
            self._count += 1
            while self.plan and self.plan[0][0] <= self._count:
                _, self.dead = self.plan.pop(0)
                self.deaths += self.dead is not None
                self.since.clear()
            if self.dead == number:
                return Answer(cut=0)
            self.since[number] += 1
            self.answered[f"{body['messages'][-1]['content']} {body['seed']}"] += 1
        return self._model(body)


def survived(rows: int, seed: str, home: Path) -> tuple[int, int]:
    """Run rows over the servers; return the deaths, and the requests that went elsewhere."""
    fleet = Fleet(rows, seed)
    qa = chain("E:m:0.7 >> M")
    source = [{"id": str(number), "query": f"question {number}"} for number in range(rows)]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Server(lambda body, number=number: fleet.answer(number, body)))
            for number in range(3)
        ]
        engine = OpenAIEngine("m", base_url=[one.url for one in servers], retry=RetryPolicy())
        stack.callback(engine.close)
        first = (addresses.FIRST_TRIAL, addresses.LAST_TRIAL)
        addresses.FIRST_TRIAL = addresses.LAST_TRIAL = 0.0  # with the next request
        stack.callback(lambda: vars(addresses).update(FIRST_TRIAL=first[0], LAST_TRIAL=first[1]))
        summary = qa.run(source, home / "run", engine=engine, window=32)
        states = engine.addresses
    qa.run(source, home / "one", engine=FakeEngine())
    assert (summary.rows, summary.failed, summary.usage.calls) == (rows, 0, rows)
    lines = (home / "run" / "flattened" / "000.jsonl").read_bytes()
    assert lines == (home / "one" / "flattened" / "000.jsonl").read_bytes()
    assert len(fleet.answered) == rows, "a sample was lost"
    assert set(fleet.answered.values()) == {1}, "a sample was generated twice"
    assert fleet.dead is None, "the run ended while one was dead"
    least, most = min(fleet.since[one] for one in range(3)), max(fleet.since.values())
    assert least > most / 4, f"the load has not gone back: {fleet.since}"
    assert not any(one.is_open for one in states)
    ids = [json.loads(line)["id"] for line in lines.splitlines()]
    assert ids == [row["id"] for row in source]
    return fleet.deaths, sum(one.failed for one in states)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.engines.dying")
    parser.add_argument("rows", type=int)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        deaths, moved = survived(options.rows, options.seed, Path(home))
    print(
        f"{options.rows:,} rows over three addresses, {deaths} deaths, {moved} requests went "
        "elsewhere: none lost, none twice, the load went back"
    )


if __name__ == "__main__":
    main()
