"""Replies that end: a judge, a verifier and a selector over rows, on a real model and on `tiny`.

`python -m tests.real.replies_end J 200` runs the chain of `J` over so many rows, with default
settings, and counts what was closed at its budget and what was cut. `E` has no budget: a free text
that goes on until `max_tokens` is cut, and its row fails; so the questions ask for one word. The
status is 1 if a row failed in another stage than `E`, or a reply of `tiny` was closed.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang import chain, tiny
from chainlang.engines.protocol import Engine

CHAINS = {"J": "3:E >> J", "V": "E >> V", "S": "S"}
ASKED = "Answer in one word."
SUMS = Path(__file__).parents[2] / "examples" / "data" / "questions.jsonl"
Row = dict[str, Any]


@frozen
class Counted:
    """Counts of the replies of a chain over rows."""

    closed: int
    """Fields of typed replies that were closed at their budget."""
    cut: Counter[str]
    """Rows that failed since a reply was cut, by the stage."""
    failed: int

    @property
    def shown(self) -> str:
        """The counts on one line."""
        cut = " and ".join(f"{count} of {stage}" for stage, count in self.cut.items()) or "0"
        others = self.failed - self.cut.total()
        return f"{self.closed} closed and {cut} cut" + (f" and {others} failed" if others else "")


def real_rows(stage: str, count: int) -> list[Row]:
    """Return rows for the chain of a stage: for `S` with four choices."""
    from examples.real_model import questions

    truthful, stories = questions("truthfulqa_mc1"), questions("hellaswag")
    if stage == "S":
        found = [{"query": one["question"], "responses": one["choices"][:4]} for one in truthful]
        found += [{"query": one["ctx"], "responses": one["endings"]} for one in stories]
    else:
        found = [{"query": f"{one['question']} {ASKED}"} for one in truthful]
        found += [{"query": f"{one['ctx']}\nWhat is this about? {ASKED}"} for one in stories]
    return found[:count]


def tiny_rows(stage: str, count: int) -> list[Row]:
    """Return rows of the questions that `tiny` knows, for `S` with four numbers."""
    found = [json.loads(line) for line in SUMS.read_text(encoding="utf-8").splitlines()[:count]]
    if stage != "S":
        return [{"query": one["query"]} for one in found]
    draw = random.Random(0)
    return [{"query": one["query"], "responses": four(one["expected"], draw)} for one in found]


def four(right: str, draw: random.Random) -> list[str]:
    """Return four numbers in any order, one of which is right."""
    others = draw.sample([one for one in range(2, 199) if str(one) != right], 3)
    return draw.sample([right, *map(str, others)], 4)


def counted(text: str, rows: list[Row], engine: Engine) -> Counted:
    """Run a chain over rows and count."""
    results = list(chain(text).map(rows, engine=engine, on_error="collect"))
    failures = [one.failure for one in results if one.failure is not None]
    return Counted(
        closed=sum(event.kind == "closed" for one in results for event in one.events),
        cut=Counter(str(one.stage) for one in failures if one.cause == "cut"),
        failed=len(failures),
    )


def main() -> int:
    """Run the chain of a stage on both models, and print the counts on the last line."""
    from chainlang.engines.vllm.engine import VllmEngine
    from examples.real_model import real_model

    stage, count = sys.argv[1], int(sys.argv[2])
    models = {
        "SmolLM2": (real_model(), real_rows(stage, count)),
        "tiny": (tiny.path(), tiny_rows(stage, count)),
    }
    told, good = [], True
    for name, (folder, rows) in models.items():
        engine = VllmEngine(folder, max_num_seqs=64)
        found = counted(CHAINS[stage], rows, engine)
        engine.close()
        good &= found.failed == found.cut["E"] and not (name == "tiny" and found.closed)
        told.append(f"on {name} {found.shown}")
        print(told[-1], flush=True)
    print(f"`{CHAINS[stage]}` over {count} rows: {', '.join(told)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
