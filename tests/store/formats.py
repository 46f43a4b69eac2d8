"""The run folders and the cache in `tests/fixtures/formats`: their chain, rows and engine.

`python tests/store/formats.py FOLDER` writes such files with the code that is importable. Those of
format 1 were written by commit 400e2b0, those of format 2 by 4998a17, and are never written again:

    git worktree add /tmp/before 400e2b0
    cd /tmp && PYTHONPATH=/tmp/before python .../tests/store/formats.py .../tests/fixtures/formats/1
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import StopError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "formats"
ROWS = [
    {"question": "What is 1 + 1?", "steps": []},
    {"id": "two", "question": "What is 2 + 1?", "steps": ["read", "add"]},
    {"id": 3, "question": "What is 3 + 1?", "steps": ["guess"]},
    {"id": "spoilt", "question": "What is 4 + 1?", "steps": []},
    {"id": "five", "question": "What is 5 + 1?", "steps": ["read", "add", "check"]},
    {"question": "What is sechs + 1? ☃", "steps": []},
]
SETTINGS: dict[str, Any] = {"seed": 7, "window": 2}
MOST = 30
"""Calls of the run that is stopped half way."""
KILLED = 9


class Engine(FakeEngine):
    """An engine that is the same in every release, and counts the samples that it draws."""

    def __init__(self, last: int | None = None) -> None:
        super().__init__(answers=answers, latency=lambda request: 1.0 + request.seed % 5)
        self.last, self.steps, self.drawn = last, 0, 0
        self.requests: list[Any] = []

    @property
    def fingerprint(self) -> Mapping[str, str | int | None]:
        return {"engine": "fake", "version": "of the fixtures"}

    def submit(self, requests: Any) -> None:
        requests = list(requests)
        self.requests += requests
        self.drawn += sum(one.drawn for one in requests)
        super().submit(requests)

    def step(self, until: float | None = None) -> Any:
        self.steps += 1
        if self.last is not None and self.steps > self.last:
            os._exit(KILLED)
        return super().step(until)


def answers(request: Any, index: int) -> str | None:
    """Return what does not fit: now and then for one row, always for another."""
    if not request.schema:
        return None
    if "4 + 1" in request.messages[-1].text:
        return "no JSON"
    number = hashlib.blake2b(f"{request.seed + index}".encode(), digest_size=1).digest()[0]
    return "no JSON either" if number % 3 == 0 else None


VERIFIER = '''
op V : map -> { explanation: str, verdict: "correct" | "incorrect", revised_answer: str? } {
  temperature = 0
  user = """Question: {{ query }}
Answer: {{ candidate.answer }}
Verify this answer: explain, give a verdict, and revise it if it is incorrect."""
  answer = """revised_answer if verdict == 'incorrect' and revised_answer is not none
    else candidate.answer"""
}'''
"""`V` as the releases had it that wrote the files: a prompt that changes changes keys."""


def shout(answer: str) -> str:
    """Return an answer, louder."""
    return f"{answer}!"


def panel() -> Any:
    """Return the chain."""
    return load(FIXTURES / "panel.chain").bind(shout=shout)


def run(path: Path, engine: Engine, **settings: Any) -> Any:
    """Run the chain into a folder."""
    return panel().run(ROWS, path, engine=engine, **SETTINGS, **settings)


def write(folder: Path) -> None:
    """Write a run that is done, one that was stopped, one that was killed, and a cache."""
    whole = Engine()
    run(folder / "done", whole)
    with suppress(StopError):
        run(folder / "stopped", Engine(), run_calls=MOST)
    cache: dict[str, Any] = {"cache": "write", "cache_folder": folder / "cache"}
    list(panel().map(ROWS, engine=Engine(), **SETTINGS, **cache))
    run(folder / "killed", Engine(last=whole.steps // 2))


def shrink(path: Path) -> None:
    """Make a database one file: what the log has goes into it, and unused pages out."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA page_size = 512")
    database.execute("VACUUM")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    child = os.fork()
    if not child:
        write(target)
        os._exit(1)  # its engine was to end it
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    for one in target.glob("*/*.sqlite"):
        shrink(one)
