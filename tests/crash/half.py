"""Killed in the middle: what is asked in all is what a whole run asks, and what was in flight."""

from __future__ import annotations

import os
import signal

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Delta, Failure
from tests.crash.kill import ended, forked, place


class Killed(FakeEngine):
    """Counts calls in an open file, and dies at one of them, before anybody hears of it."""

    def __init__(self, calls: int, last: int | None) -> None:
        super().__init__(latency=lambda request: 1.0 + request.seed % 5)
        self.calls, self.left = calls, last

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        found = super().step(until)
        asked = sum(one.usage.calls for one in found if isinstance(one, Completion))
        os.write(self.calls, b"." * asked)
        if self.left is not None:
            self.left -= asked
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return found


def calls(rows: int, window: int) -> int:
    """Return how many calls a run takes in all that is killed when half of them are drawn."""
    with place() as root:
        source = [{"id": number, "query": f"What is {number} + 1?"} for number in range(rows)]
        told = os.open(root / "calls", os.O_CREAT | os.O_WRONLY)

        def run(last: int | None) -> None:
            engine = Killed(told, last)
            chain("E").run(source, root / "run", engine=engine, window=window)

        assert ended(forked(lambda: run(rows // 2))) == -signal.SIGKILL
        assert ended(forked(lambda: run(None))) == 0
        parts = (root / "run" / "flattened").iterdir()
        assert sum(len(part.read_bytes().splitlines()) for part in parts) == rows
        return (root / "calls").stat().st_size
