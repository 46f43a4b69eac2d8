"""How the cost of a chain grows with its length: what does twice the chain cost."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from chainlang import E, V, chain
from chainlang.analysis.resolve import resolve
from chainlang.notation import unparse
from chainlang.notation.grammar import grammar
from chainlang.notation.parse import parse

SIZES = tuple(10 * 2**power for power in range(11))  # 10 to 10,240
SHOWN = (10, 160, 1_280, 10_240)
QUICK = (10, 20, 40)
ROUNDS = 3
CLAIM = 2.5


def text_of(size: int) -> str:
    """A chain of stages with fields, options and a join here and there."""
    stages = ["E:tiny", "V:small:0.2", "(E:a & E:b:0.7)", "V(max_tokens=64)", "E"]
    written, count = [], 0
    while count < size:
        stage = stages[len(written) % 5]
        count += 2 if "&" in stage else 1
        written.append(stage)
    return " >> ".join(written)


def operations(size: int) -> dict[str, Callable[[], object]]:
    text = text_of(size)
    whole = chain(text)
    body, twin = whole.body, chain(text).body

    def operators() -> object:
        part = E("tiny")
        for _ in range(size - 1):
            part = part >> V("small", 1, 0.2)
        return part

    return {
        "lark alone": lambda: grammar().parse(text, start="expression"),
        "parse": lambda: parse(text),
        "resolve": lambda: resolve(body),
        "`chain(text)`, all of it": lambda: chain(text),
        "format": lambda: unparse(body),
        "compare (==)": lambda: body == twin,
        "hash": lambda: hash(body),
        "build, one `>>` after another": operators,
    }


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of one call; short ones are called often, so that the clock can see them."""
    started = time.process_time()
    call()
    once = time.process_time() - started
    times = max(1, min(1_000, int(0.005 / max(once, 1e-6))))
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times


def measure(sizes: tuple[int, ...], rounds: int) -> dict[str, dict[int, float]]:
    """Return the best of some rounds for each operation and size; the sizes take turns."""
    found: dict[str, dict[int, float]] = {}
    prepared = {size: operations(size) for size in sizes}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for size, calls in prepared.items():
                for name, call in calls.items():
                    took = seconds(call)
                    row = found.setdefault(name, {})
                    row[size] = min(row.get(size, took), took)
                    gc.collect()
    finally:
        gc.enable()
    return found


def table(*, quick: bool = False) -> str:
    sizes, shown = (QUICK, QUICK) if quick else (SIZES, SHOWN)
    found = measure(sizes, 1 if quick else ROUNDS)
    head = " | ".join(f"{size:,} stages" for size in shown)
    lines = [
        (
            f"Microseconds of CPU per stage, and what twice the stages cost (claim: {CLAIM} times "
            "at most). The garbage collector is off."
        ),
        "",
        f"| | {head} | a doubling, on average | the worst one, from 160 stages |",
        "|---|" + "---:|" * (len(shown) + 2),
    ]
    for name, row in found.items():
        cells = [f"{row[size] / size * 1e6:,.2f}" for size in shown]
        average = (row[sizes[-1]] / row[sizes[0]]) ** (1 / (len(sizes) - 1))
        worst = max(row[2 * size] / row[size] for size in sizes[:-1] if quick or size >= 160)
        lines.append(f"| {name} | {' | '.join(cells)} | {average:.2f} | {worst:.2f} |")
    share = found["`chain(text)`, all of it"][sizes[-1]] / found["lark alone"][sizes[-1]]
    lines += ["", f"Reading {sizes[-1]:,} stages costs {share:.2f} times what lark alone costs."]
    return "\n".join(lines)
