"""Measure the bundled model on vLLM, on questions it was not trained on, and write the tables.

    python examples/measure_tiny.py

Chains do the asking, so this is also what chains do with a small model. The tables go between the
markers of the model's README, and the first 300 questions to data/questions.jsonl. Every draw is
seeded: the same versions on the same machine measure the same.
"""

# ruff: noqa: S311  # seeded draws are what is wanted here

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from attrs import frozen
from tiny_task import questions

from chainlang import chain
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.semantics.voting import vote
from chainlang.session.result import Result
from chainlang.tiny import path

HERE = Path(__file__).parent
QUESTIONS = HERE / "data" / "questions.jsonl"
ASKED, PUBLISHED = 500, 300
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

CHAINS = (
    "E",
    "E >> V",
    "3:E >> M",
    "3:E >> E",
    "3:E >> E >> M",
    "3:E >> 3:E >> M",
    "3:E >> S",
    "3:E >> J",
    "3:E >> J >> V",
    "5:E >> M",
    "5:E >> J",
    "5:E >> M >> V",
    "(E & (5:E >> M)) >> S",
    "(E & (5:E >> M)) >> S >> V",  # as in the demo
)
BUDGETS = (1, 4, 7, 10, 13, 16)
"""Tokens of a thought; a sum takes up to 17."""

Row = dict[str, Any]


@frozen
class Share:
    """How often something was so, with a 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: Iterable[float]) -> Share:
        """Return the mean over questions of a score from 0 to 1, with Wilson's interval.

        A score that is itself a mean of draws varies less than a yes or no; the variance says how
        many questions of one draw it is worth.
        """
        values = list(scores)
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        worth = len(values) * (mean * (1 - mean) / variance if variance else 1)
        z = 1.96
        middle = (mean + z * z / (2 * worth)) / (1 + z * z / worth)
        spread = math.sqrt(mean * (1 - mean) / worth + (z / (2 * worth)) ** 2)
        spread *= z / (1 + z * z / worth)
        return cls(mean, middle - spread, middle + spread)

    def __str__(self) -> str:
        low, high = max(0.0, self.low), min(1.0, self.high)
        return f"{100 * self.mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def held_out(count: int) -> list[Row]:
    """Return rows of the held-out part, each pair of numbers once."""
    found: dict[tuple[int, ...], Row] = {}
    for question in questions(Random(20), "held-out"):
        key = tuple(sorted(question.numbers))
        row = {"id": f"q{len(found):03}", "query": question.text, "expected": question.answer}
        found.setdefault(key, row)
        if len(found) == count:
            break
    return list(found.values())


def right(results: Sequence[Result], rows: Sequence[Row]) -> list[bool]:
    """Return for each row whether its result answers right; a failed row does not."""
    return [
        one.ok and one.answer == row["expected"] for one, row in zip(results, rows, strict=True)
    ]


def votes_table(engine: VllmEngine, rows: Sequence[Row]) -> list[str]:
    """Return the table of one sample and of votes, by temperature, as lines of markdown."""
    lines = ["| | temperature 0 | temperature 0.7 | temperature 1 |", "|---|---|---|---|"]
    drawn = [
        [one.candidates for one in chain(text).map(rows, engine=engine, on_error="raise")]
        for text in ("E::0", "9:E::0.7", "9:E::1.0")
    ]
    for count in (1, 3, 5, 9):
        shares = []
        for sets in drawn:
            scores = []
            for row, candidates in zip(rows, sets, strict=True):
                if count == 1:  # all that were drawn, each by itself
                    hits = [one.answer == row["expected"] for one in candidates]
                    scores.append(sum(hits) / len(hits))
                else:
                    scores.append(float(vote(candidates[:count]).answer == row["expected"]))
            shares.append(str(Share.of(scores)))
        name = "one sample, `E`" if count == 1 else f"a vote, `{count}:E >> M`"
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return lines


def chains_table(engine: VllmEngine, rows: Sequence[Row]) -> list[str]:
    """Return the table of what chains answer, as lines of markdown."""
    lines = ["| chain | answers right |", "|---|---|"]
    for text in CHAINS:
        results = list(chain(text).map(rows, engine=engine))
        failed = sum(not one.ok for one in results)
        note = f", {failed} rows failed" if failed else ""
        lines.append(f"| `{text}` | {Share.of(right(results, rows))}{note} |")
    return lines


def verdicts_table(engine: VllmEngine, rows: Sequence[Row]) -> list[str]:
    """Return the table of how verdicts fare, as lines of markdown."""
    lines = [
        "| verdicts of `V` after | right | wrong answers caught | right answers doubted |",
        "|---|---|---|---|",
    ]
    for text in ("E", "3:E >> J"):
        said: list[tuple[bool, bool]] = []  # was it right, was it called correct
        results = chain(f"(given = {text}) >> V").map(rows, engine=engine)
        for one, row in zip(results, rows, strict=True):
            if one.ok:
                was_right = one.history["given"].answer == row["expected"]
                said.append((was_right, one["verdict"] == "correct"))
        fair = Share.of(float(was == called) for was, called in said)
        caught = Share.of(float(not called) for was, called in said if not was)
        doubted = Share.of(float(not called) for was, called in said if was)
        lines.append(f"| `{text}` | {fair} | {caught} | {doubted} |")
    return lines


def thinking_table(engine: VllmEngine, rows: Sequence[Row]) -> list[str]:
    """Return the table of answers after thoughts, with their price, as lines of markdown."""
    lines = ["| tokens of thinking | answers right | tokens of a reply |", "|---|---|---|"]
    on = 'template_args={"enable_thinking": true}'
    options = {
        "none": "",
        **{f"at most {most}": f"{on}, thinking_tokens={most}" for most in BUDGETS},
    }
    options["as many as it takes"] = on
    for name, said in options.items():
        results = list(chain(f"E({said})" if said else "E").map(rows, engine=engine))
        tokens = sum(one.usage.output_tokens for one in results) / len(rows)
        lines.append(f"| {name} | {Share.of(right(results, rows))} | {tokens:.1f} |")
    return lines


def main() -> None:
    """Measure, write the questions and the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=path())
    folder: Path = parser.parse_args().folder

    rows = held_out(ASKED)
    QUESTIONS.parent.mkdir(exist_ok=True)
    QUESTIONS.write_text("".join(json.dumps(row) + "\n" for row in rows[:PUBLISHED]))

    engine = VllmEngine(folder)
    started = time.monotonic()
    lines = [f"Right answers to {len(rows)} held-out questions, with 95 % intervals:", ""]
    for table in (votes_table, chains_table, verdicts_table):
        lines += [*table(engine, rows), ""]
    engine.close()
    thinks = VllmEngine(folder, reasoning="qwen3")
    lines += [*thinking_table(thinks, rows), ""]
    print(*lines, sep="\n")
    print(f"measured in {time.monotonic() - started:.0f} s")

    readme = folder / "README.md"
    if readme.exists():
        before, _, rest = readme.read_text().partition(BEGIN)
        middle = "\n".join(("", *lines))
        readme.write_text(f"{before}{BEGIN}{middle}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
