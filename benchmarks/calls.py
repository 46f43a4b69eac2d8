"""What a call of a model costs besides the model: here, by hand, in LCEL and in DSPy."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, TypeVar

from benchmarks.programs.fake import reply
from benchmarks.turns import OURS, THEIRS, Report, in_turns, least
from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.ir.nodes import Stage
from chainlang.ir.visit import walk
from chainlang.protocol.messages import Completion, Request
from chainlang.runtime.ports.port import new_id
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.seeds import seed
from chainlang.semantics.stage_prompts import messages
from chainlang.semantics.stage_replies import candidate_of, schema
from chainlang.semantics.stages import Meaning, meaning, readings

CLAIM = 50
CHAINS = {"judge": ("3:E >> J", 4), "verify": ("3:E >> V >> J", 7)}
"""The text of each chain, and the samples that it draws for a row."""
BASE = "chainlang"
PROGRAMS = {
    BASE: (OURS, "ours.py"),
    "chainlang, row by row": (OURS, "ours.py", "row by row"),
    "by hand, without a library": (OURS, "by_hand.py"),
    "LCEL, samples one by one": (THEIRS, "lcel.py"),
    "LCEL, `RunnableParallel`": (THEIRS, "lcel.py", "parallel"),
    "LCEL, `RunnableParallel`, `batch`": (THEIRS, "lcel.py", "parallel", "batch"),
    "DSPy": (THEIRS, "dspy_predict.py"),
}
T = TypeVar("T")


def questions(count: int, first: int = 0) -> list[str]:
    """Return sums, each another."""
    return [f"What is {at} + {at * 7 % 90}?" for at in range(first, first + count)]


def table(*, quick: bool = False) -> str:
    rows, rounds = (5, 2) if quick else (500, 5)
    programs = {name: one for name, one in PROGRAMS.items() if one[0].exists()}
    lines = [
        (
            "Microseconds of CPU for each call of a model that answers at once, prompts, checking "
            f"of replies and results included. {rows} rows, the least of {rounds} rounds in turns: "
            "what else the machine does can only add to it."
        ),
    ]
    for name, (text, calls) in CHAINS.items():
        jobs = [
            {"chain_name": name, "rows": questions(rows, at * rows)} for at in range(rounds + 1)
        ]
        found = in_turns(programs, jobs)
        lines += ["", f"| `{text}`, {calls} calls a row | µs per call | beside chainlang |"]
        lines += ["|---|---:|---:|", *compared(found, rows * calls)]
    lines += ["", missing(programs), *left(rows, rounds)]
    return "\n".join(lines)


def compared(found: dict[str, list[Report]], calls: int) -> list[str]:
    base = least(found[BASE], "cpu")
    lines = []
    for name, reports in found.items():
        took = least(reports, "cpu")
        lines.append(f"| {name} | {took / calls * 1e6:,.1f} | {took / base:.2f} |")
    return lines


def missing(programs: dict[str, Any]) -> str:
    """Say what was not measured, and how what was is meant."""
    if len(programs) < len(PROGRAMS):
        return "LCEL and DSPy were not measured: `make bench` sets them up.\n"
    return (
        "All draw the same samples, with the same prompts but for DSPy, whose form is its own. "
        "DSPy asks for three samples at once, as chainlang does, and its history is off.\n"
    )


# ---------------------------------------------------------------- what is left


def left(rows: int, rounds: int) -> list[str]:
    """Say where the time of the longer chain goes, part by part."""
    text, calls = CHAINS["verify"]
    best: dict[str, float] = {}
    whole = float("inf")
    for number in range(rounds):
        asked = questions(rows, number * rows)
        engine = FakeEngine(answers=lambda request, _: reply(request.messages[-1].text))
        started = time.process_time()
        for _ in chain(text).map(asked, engine=engine):
            pass
        whole = min(whole, time.process_time() - started)
        for name, took in parts(text, asked, engine).items():
            best[name] = min(best.get(name, took), took)
    best["the loop, its generators, and the rest"] = whole - sum(best.values())
    each = 1e6 / (rows * calls)
    lines = [
        (
            f"What is left of it in `{text}`, each part alone, stage by stage for all rows "
            f"(claim: at most {CLAIM} µs per call in all):"
        ),
        "",
        "| | µs per call |",
        "|---|---:|",
    ]
    lines += [f"| {name} | {took * each:.1f} |" for name, took in best.items()]
    return [*lines, f"| together | {whole * each:.1f} |"]


def parts(text: str, rows: list[str], engine: FakeEngine) -> dict[str, float]:
    """Run a sequence of stages without the runtime; return the seconds of each part."""
    taken = {"rows to records": -time.process_time()}
    records = [record_of({"query": row}) for row in rows]
    taken["rows to records"] += time.process_time()
    for node in walk(chain(text).body):
        if isinstance(node, Stage):
            found = meaning(node)
            assert isinstance(found, Meaning)
            records = staged(found, records, engine, taken)
    return taken


def staged(
    stage: Meaning, records: list[Record], engine: FakeEngine, taken: dict[str, float]
) -> list[Record]:
    """Take all records through a stage, part by part."""

    def timed(part: str, calls: Iterable[T]) -> list[T]:
        started = time.process_time()
        found = list(calls)
        taken[part] = taken.get(part, 0.0) + time.process_time() - started
        return found

    place = ("0",)
    read = [(record, one) for record in records for one in readings(stage, record)]
    prompts = timed("prompts", (messages(stage, *one) for one in read))
    seeds = timed("seeds", (seed(0, record.id, place) for record, _ in read))
    wanted = timed("schemas", (schema(stage, record) for record, _ in read))
    about = zip(prompts, seeds, wanted, strict=True)
    asked = timed("requests", (request(stage, *one) for one in about))
    replies = timed("the fake engine", (engine.complete(one) for one in asked))
    samples = [
        (*one, sample)
        for one, reply in zip(read, replies, strict=True)
        if isinstance(reply, Completion)
        for sample in reply.samples
    ]
    made = timed("replies to candidates", (candidate_of(stage, *one, place) for one in samples))
    width = len(made) // len(records)
    groups = [tuple(made[at : at + width]) for at in range(0, len(made), width)]
    both = zip(records, groups, strict=True)
    return timed("records", (record.after(stage.name, place, group) for record, group in both))


def request(stage: Meaning, prompt: Any, first: int, wanted: str | None) -> Request:
    return Request(
        id=new_id(),
        model=stage.model,
        messages=prompt,
        sampling=stage.sampling,
        seed=first,
        count=stage.count,
        schema=wanted,
    )
