"""Replies that end: a judge, a verifier and a selector over rows, on a real model and on `tiny`.

`python -m tests.real.replies_end ROWS` runs each chain over so many rows, with default settings,
and counts what was closed at its budget and what was cut. The questions ask for one sentence, since
`E` has no budget: a free text that goes on until `max_tokens` is cut, and its row fails. The status
is 1 if a row failed, or a reply of `tiny` was closed.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang import chain, tiny
from chainlang.engines.protocol import Engine

CHAINS = ("3:E >> J", "E >> V", "S")
WAYS = ("Answer in one short sentence.", "Answer briefly, in one sentence.")
SUMS = Path(__file__).parents[2] / "examples" / "data" / "questions.jsonl"
Row = dict[str, Any]


@frozen
class Counted:
    """What became of the replies of a chain over rows."""

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
        return f"{self.closed} closed, {cut} cut" + (f", {others} failed" if others else "")


def real_rows(count: int) -> dict[str, list[Row]]:
    """Return rows for each chain: questions of TruthfulQA, for `S` with choices, and HellaSwag."""
    from examples.real_model import questions

    asked = [one["question"] for one in questions("truthfulqa_mc1")]
    open_rows = [{"query": f"{one} {way}"} for way in WAYS for one in asked]
    choices: list[Row] = [
        *({"query": one["ctx"], "responses": one["endings"]} for one in questions("hellaswag")),
        *(
            {"query": one["question"], "responses": one["choices"][:4]}
            for one in questions("truthfulqa_mc1")
        ),
    ]
    return {text: (choices if text == "S" else open_rows)[:count] for text in CHAINS}


def tiny_rows(count: int) -> dict[str, list[Row]]:
    """Return rows for each chain of the questions that `tiny` knows, for `S` with four numbers."""
    found = [json.loads(line) for line in SUMS.read_text(encoding="utf-8").splitlines()[:count]]
    open_rows = [{"query": one["query"]} for one in found]
    draw = random.Random(0)
    choices = [{"query": one["query"], "responses": four(one["expected"], draw)} for one in found]
    return {text: choices if text == "S" else open_rows for text in CHAINS}


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
    """Run all chains on both models, and print the counts on the last line."""
    from chainlang.engines.vllm.engine import VllmEngine
    from examples.real_model import real_model

    count = int(sys.argv[1])
    models: Mapping[str, tuple[Path, dict[str, list[Row]]]] = {
        "SmolLM2": (real_model(), real_rows(count)),
        "tiny": (tiny.path(), tiny_rows(count)),
    }
    told, good = [], True
    for name, (folder, rows) in models.items():
        engine = VllmEngine(folder, max_num_seqs=64)
        for text in CHAINS:
            found = counted(text, rows[text], engine)
            good &= not found.failed and not (name == "tiny" and found.closed)
            told.append(f"`{text}` on {name} {found.shown}")
            print(told[-1], flush=True)
        engine.close()
    print(f"{count} rows each: {'; '.join(told)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
