"""Replies that end: a judge, a verifier and a selector over rows, on a real model and on `tiny`.

`python -m tests.real.replies_end J 200` runs the chain of `J` over so many rows, with default
settings, and counts what was closed at its budget and what was cut. The status is 1 if a row failed
by a cut, or a reply of `tiny` was closed.

`E` has no budget: a free text that goes on until `max_tokens` is cut, and its row fails. How often
depends on what is asked, so the rows of `J` and `V` are all of one kind, sums that ask for a
number, and `python -m tests.real.replies_end E 100` counts the cut replies of each kind.
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
ONE_WORD = "Answer in one word."
NUMBER = "Answer with the number only."
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


def sums() -> list[Row]:
    """Return the packaged questions with their answers: sums, and two numbers to compare."""
    return [json.loads(line) for line in SUMS.read_text(encoding="utf-8").splitlines()]


def kinds() -> dict[str, list[str]]:
    """Return questions for `E`, by what they ask."""
    from examples.real_model import questions

    truthful, stories = questions("truthfulqa_mc1"), questions("hellaswag")
    return {
        "sums that ask for a number": [f"{one['query']} {NUMBER}" for one in sums()],
        "sums": [one["query"] for one in sums()],
        "facts that ask for one word": [f"{one['question']} {ONE_WORD}" for one in truthful],
        "stories that ask for one word": [
            f"{one['ctx']}\nWhat is this about? {ONE_WORD}" for one in stories
        ],
        "word problems": [one["prompt"] for one in questions("gsm8k")],
        "open questions": [one["question"] for one in truthful],
    }


def real_rows(stage: str, count: int) -> list[Row]:
    """Return rows for the chain of a stage: for `S` with four choices."""
    from examples.real_model import questions

    if stage != "S":
        return [{"query": f"{one['query']} {NUMBER}"} for one in sums()[:count]]
    found = [
        {"query": one["question"], "responses": one["choices"][:4]}
        for one in questions("truthfulqa_mc1")
    ]
    found += [{"query": one["ctx"], "responses": one["endings"]} for one in questions("hellaswag")]
    return found[:count]


def tiny_rows(stage: str, count: int) -> list[Row]:
    """Return rows of the questions that `tiny` knows, for `S` with four numbers."""
    found = sums()[:count]
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


def free_texts(count: int) -> bool:
    """Print how many replies of `E` are cut, of each kind of question; return whether all ran."""
    from chainlang.engines.vllm.engine import VllmEngine
    from examples.real_model import real_model

    engine = VllmEngine(real_model(), max_num_seqs=64)
    told, failed = [], 0
    for kind, asked in kinds().items():
        found = counted("E", [{"query": one} for one in asked[:count]], engine)
        failed += found.failed - found.cut["E"]
        told.append(f"{found.cut['E']} of {len(asked[:count])} {kind}")
        print(told[-1], flush=True)
    engine.close()
    print(f"replies of `E` on SmolLM2 that were cut: {', '.join(told)}")
    return not failed


def main() -> int:
    """Run the chain of a stage on both models, and print the counts on the last line."""
    from chainlang.engines.vllm.engine import VllmEngine
    from examples.real_model import real_model

    stage, count = sys.argv[1], int(sys.argv[2])
    if stage == "E":
        return int(not free_texts(count))
    models = {
        "SmolLM2": (real_model(), real_rows(stage, count)),
        "tiny": (tiny.path(), tiny_rows(stage, count)),
    }
    told, good = [], True
    for name, (folder, rows) in models.items():
        engine = VllmEngine(folder, max_num_seqs=64)
        found = counted(CHAINS[stage], rows, engine)
        engine.close()
        good &= not found.failed and not (name == "tiny" and found.closed)
        told.append(f"on {name} {found.shown}")
        print(told[-1], flush=True)
    print(f"`{CHAINS[stage]}` over {count} rows: {', '.join(told)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
