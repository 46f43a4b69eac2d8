"""A row that has begun waits for no other: the first result comes early, whatever the chain."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chainlang import load
from chainlang.protocol.messages import Request
from tests.running.batches import BatchedEngine

SHARE = 0.15
"""Of the whole time, for the first of 300 rows."""
READ = """\
type X { score: int(1..5), note: str }
op read : generate -> X { user = "Read: {{ query }}" }
"""
CHAINS = {
    "sequence": "3:E::0.7 >> J",
    "loop": "E >> loop(V, until=\"verdict == 'correct'\", max=2)",
    "a longer loop": "loop(E >> V, until=\"verdict == 'correct'\", max=2)",
    "a stage again": "retry(2:read::0.7, times=3)",
    "a part again": "retry(E >> read::0.7, times=3)",
    "each": 'each(E >> V, over="documents", item="document") >> J',
    "route": 'route(by="length", arms={"long": E >> E, "short": E})',
    "fallback": "fallback(read::0.7, E) >> J",
    "branch": "E >> (V | J | M)",
    "join": "(E & 3:E::0.7) >> S",
    "vote": "5:E::0.7 >> M",
    "no need to wait": "E >> E(fresh=true) >> J",
}
NAMES = re.compile(r"question (\d+) is")


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows; the first one has the longest way."""
    return [
        {
            "id": str(number),
            "query": f"question {number} is asked here",
            "length": "short" if number % 3 else "long",
            "documents": [f"document {one}" for one in range(2 if number % 4 else 4)],
        }
        for number in range(count)
    ]


def answer(request: Request, number: int) -> str:
    """Return a reply of 20 to 27 tokens. Those of the first row are wrong for a while."""
    asked = " ".join(message.text for message in request.messages)
    row = int(found[1]) if (found := NAMES.search(asked)) else 0
    draw = (request.seed + number) % 8
    if request.schema is None:
        return "word" * (20 + draw)
    if '"score"' in request.schema:
        is_bad = request.seed % 8 if row == 0 else row % 5 == 0 and draw < 4
        return "word" * 20 if is_bad else json.dumps({"score": 1, "note": "word" * 15})
    fields = json.loads(request.schema)["properties"]
    found_right = row % 4 != 0
    own = {"verdict": "correct" if found_right else "incorrect", "choice": 1, "score": 1}
    return json.dumps({name: own.get(name, "word" * (20 // len(fields))) for name in fields})


def first(text: str, engine: BatchedEngine, count: int, window: int) -> tuple[int, float]:
    """Return the steps before the first result, and its share of the whole time."""
    came = [
        (engine.steps, engine.now)
        for _ in load(text=f"{READ}main = {text}").map(
            rows(count), engine=engine, window=window, on_error="collect"
        )
    ]
    return came[0][0], came[0][1] / came[-1][1]


@pytest.mark.quick(4)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
@pytest.mark.parametrize("name", CHAINS)
def test_a_row_does_not_wait_for_those_behind_it(name: str) -> None:
    alone, _ = first(CHAINS[name], BatchedEngine(answer, seats=8), 1, 1)
    among, _ = first(CHAINS[name], BatchedEngine(answer, seats=8), 64, 64)
    assert among <= 1.5 * alone, (name, among, alone)


@pytest.mark.quick(2)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
@pytest.mark.parametrize("name", [*CHAINS][1:8])
def test_where_a_batch_costs_time_the_first_has_a_small_one(name: str) -> None:
    _, share = first(CHAINS[name], BatchedEngine(answer, seats=256, serial=True), 300, 256)
    assert share <= SHARE, (name, share)


@pytest.mark.quick(2)
@pytest.mark.parametrize(("window", "count"), [(3, 280), (24, 280)])
@pytest.mark.parametrize("name", ["sequence", "loop", "each"])
def test_the_smaller_the_window_the_earlier_the_first(name: str, window: int, count: int) -> None:
    engine = BatchedEngine(answer, seats=256, serial=True)
    _, share = first(CHAINS[name], engine, count, window)
    assert share <= 1.5 * window / count, (name, share)
