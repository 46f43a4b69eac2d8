"""A whole chain over a server that misbehaves: what comes out is what comes out over a good one."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.openai.engine import OpenAIEngine
from tests.engines.server import Answer, Body, Server, error, from_engine
from tests.engines.test_openai import Clock
from tests.laws import seeds

CHAIN = chain("(vote = 3:E:m:0.7 >> 2:J:m:0.3 >> M) & 2:E:m:1.0")
ROWS = [{"id": str(number), "query": f"question {number}."} for number in range(50)]
CONCURRENCY = 8
ATTEMPTS = 4
LATER = 7  # seconds that a 429 asks for
FAULTS = {
    "429": error(429, "slow down", {"Retry-After": str(LATER)}),
    "500": error(500, "later"),
    "half a JSON": Answer(b'{"choices": [{"mess'),
    "half a reply": Answer(b'{"choices": [{"mess' + b" " * 99, cut=12),
    "a connection cut": Answer(cut=0),
    "a gateway's page": Answer(b"<html>Bad gateway</html>", 502, type="text/html"),
    "a stall": Answer(stall=3600),
}
STALLS = 1  # of all questions: it costs `PATIENCE`, in real time
PATIENCE = 10.0  # seconds in which any other answer comes


@define
class Misbehaving:
    """Answers each question as it is told for that question, and then as an engine would.

    Its faults for a question are drawn from the question, so they are the same in every run.
    """

    number: int
    refused: str = ""
    """A part of the prompt of those that are always refused."""
    hopeless: str = ""
    """...and of those that are never answered."""
    asked: Counter[str] = field(factory=Counter)
    answered: Counter[str] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    lock: Any = field(factory=threading.Lock)

    def __call__(self, body: Body) -> Answer:
        question = json.dumps(body, sort_keys=True)
        prompt = body["messages"][-1]["content"]
        script = self.script(question)
        with self.lock:
            attempt = self.asked[question]
            self.asked[question] += 1
            if self.refused and self.refused in prompt:
                return error(400, "never")
            fault = script[attempt] if attempt < len(script) else None
            if self.hopeless and self.hopeless in prompt:
                fault = "500"
            if fault == "a stall" and self.faults[fault] == STALLS:
                fault = "a connection cut"
            if fault is not None:
                self.faults[fault] += 1
                return FAULTS[fault]
            self.answered[question] += 1
        return from_engine(FakeEngine())(body)

    def script(self, question: str) -> list[str]:
        """Return the faults that come before the answer to a question."""
        draws = random.Random(f"{self.number} {question}")
        return [draws.choice([*FAULTS]) for _ in range(draws.randrange(ATTEMPTS))]


def lines(run: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's results, in the order of the file."""
    text = (run / "flattened" / "000.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def run(answer: Callable[[Body], Answer], out: Path, clock: Clock) -> tuple[Any, Server]:
    retry = RetryPolicy(attempts=ATTEMPTS, clock=clock, sleep=clock.sleep, jitter=lambda most: most)
    with Server(answer) as server:
        engine = OpenAIEngine(
            base_url=server.url, max_concurrency=CONCURRENCY, read_timeout=PATIENCE, retry=retry
        )
        summary = CHAIN.run(ROWS, out, engine=engine, window=20)
        engine.close()
    return summary, server


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("runs") / "wanted"
    summary, _ = run(from_engine(FakeEngine()), out, Clock())
    return summary, lines(out)


@pytest.mark.slow
@seeds(1)
def test_no_row_is_lost_or_doubled_or_changed(
    seed: int, tmp_path: Path, wanted: tuple[Any, list[dict[str, Any]]]
) -> None:
    answer, clock = Misbehaving(1 + seed), Clock()
    summary, server = run(answer, tmp_path / "run", clock)
    assert lines(tmp_path / "run") == wanted[1]
    assert [row["id"] for row in lines(tmp_path / "run")] == [row["id"] for row in ROWS]
    assert (summary.rows, summary.failed) == (50, 0)
    # What was paid for: every question was answered once, and asked again after each fault alone.
    assert set(answer.answered.values()) == {1}
    assert answer.answered.keys() == answer.asked.keys()
    assert answer.asked == {one: 1 + len(answer.script(one)) for one in answer.answered}
    assert summary.usage.calls == wanted[0].usage.calls == 50 * (3 + 2 + 2)
    assert summary.usage.prompt_tokens == wanted[0].usage.prompt_tokens
    assert summary.usage.output_tokens == wanted[0].usage.output_tokens
    assert server.most_in_flight <= CONCURRENCY
    assert answer.faults.keys() == FAULTS.keys()
    assert clock.waits.count(LATER + 0.5) == answer.faults["429"]


@pytest.mark.slow
def test_rows_that_fail_for_good_fail_alone(
    tmp_path: Path, wanted: tuple[Any, list[dict[str, Any]]]
) -> None:
    answer = Misbehaving(2, refused="question 7.", hopeless="question 31.")
    summary, _ = run(answer, tmp_path / "run", Clock())
    found = lines(tmp_path / "run")
    assert [row["id"] for row in found] == [row["id"] for row in ROWS]
    for row, good in zip(found, wanted[1], strict=True):
        if row["id"] not in {"7", "31"}:
            assert row == good
    assert (summary.rows, summary.failed) == (50, 2)
    errors = (tmp_path / "run" / "errors.jsonl").read_text().splitlines()
    told = {one["id"]: one["message"] for one in map(json.loads, errors)}
    assert told.keys() == {"7", "31"}
    assert 'answered 400 (application/json): "never"' in told["7"]
    assert f'answered 500 (application/json): "later"; {ATTEMPTS} attempts' in told["31"]
