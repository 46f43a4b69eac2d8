"""Measured figures of chains, with intervals: ``python -m benchmarks.curves``.

The tables go between the markers of ``docs/curves.md``, and the picture to ``docs/pictures``. The
questions for `tiny` are the 300 of ``examples/data``, which the model was not trained on; those for
SmolLM2 are sums of two digits and packaged questions. None of the chains was chosen by them.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "curves.md"
PICTURE = ROOT / "docs" / "pictures" / "curves.svg"
QUESTIONS = ROOT / "examples" / "data" / "questions.jsonl"
TARGET = "expected"
WIDTHS = "{1, 3, 5, 9, 17}:E:tiny:0.7 >> {M, J:tiny, S:tiny}"
OTHERS = (
    "E:tiny >> V:tiny",
    "3:E:tiny >> 3:E:tiny >> M",
    "9:E:tiny >> M >> V:tiny",
    'cascade(3:E:tiny >> M, 9:E:tiny >> J:tiny, accept="confidence >= 0.66")',
)
REAL_WIDTHS = r'{1, 3, 5, 9}:E::0.7(max_tokens=24, cut="keep") >> M(extract="-?\\d+")'
FAMILY = "{1, 3, 9}:E:tiny:0.7 >> {M, J:tiny}"


def share(one: Any) -> str:
    """Return an accuracy with its interval, in per cent."""
    low, high = one.interval
    return f"{100 * one.accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def widths(rows: list[dict[str, Any]], engine: Any) -> Iterator[str]:
    """Yield the table of votes, judges and selectors by width, and draw the picture."""
    from chainlang.evaluation import family, sweep

    found = sweep(family(WIDTHS), rows, "number", target=TARGET, engine=engine)
    axes = found.plot("E.count", by="choice")
    axes.set_xlabel("samples")
    axes.figure.savefig(PICTURE, metadata={"Date": None})
    yield "| samples | vote | judge | selector | tokens of the vote | of the judge |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for at in range(0, len(found.members), 3):
        vote, judge, select = (one.evaluation for one in found.members[at : at + 3])
        tokens = f"{vote.tokens / vote.rows:,.0f} | {judge.tokens / judge.rows:,.0f}"
        count = found.members[at].choices["E.count"]
        yield f"| {count} | {share(vote)} | {share(judge)} | {share(select)} | {tokens} |"


def others(rows: list[dict[str, Any]], engine: Any) -> Iterator[str]:
    """Yield the table of chains that do more than vote, each beside one sample."""
    from chainlang import chain
    from chainlang.evaluation import compare, evaluate

    one = evaluate(chain("E:tiny"), rows, "number", target=TARGET, engine=engine)
    yield "| chain | accuracy | over one sample | p | calls | tokens |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield f"| `E:tiny` | {share(one)} | | | 1.0 | {one.tokens / one.rows:,.0f} |"
    for text in OTHERS:
        made = evaluate(chain(text), rows, "number", target=TARGET, engine=engine)
        found = compare(one, made)
        low, high = found.interval
        gain = f"{100 * found.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        cost = f"{made.usage.calls / made.rows:.1f} | {made.tokens / made.rows:,.0f}"
        shown = text.replace("|", "\\|")
        yield f"| `{shown}` | {share(made)} | {gain} | {found.p_value:.2g} | {cost} |"


def stopping(rows: list[dict[str, Any]], engine: Any) -> Iterator[str]:
    """Yield the table of what a vote costs that ends once it is decided."""
    from chainlang import chain

    yield "| chain | all samples | until it is decided | answers that differ |"
    yield "|---|---:|---:|---:|"
    for width in (3, 9, 17):
        made = chain(f"{width}:E:tiny:0.7 >> M")
        whole = list(made.map(rows, engine=engine, passes=()))
        early = list(made.map(rows, engine=engine, outputs="answer"))
        differ = sum(a.answer != b.answer for a, b in zip(whole, early, strict=True))
        counts = [sum(one.usage.calls for one in several) / len(rows) for several in (whole, early)]
        yield f"| `{width}:E >> M` | {counts[0]:.2f} | {counts[1]:.2f} | {differ} |"


def mixed(rows: list[dict[str, Any]], engine: Any) -> Iterator[str]:
    """Yield the table of predicted votes on easy, hard and mixed rows."""
    from chainlang import chain
    from chainlang.evaluation import vote_curve

    made = chain("17:E:tiny:0.7")
    results = list(made.map(rows, engine=engine))
    # Other samples say which rows are hard; by the same ones a vote of all would be 0 and 100.
    is_easy = [_is_right(one) for one in made.map(rows, engine=engine, seed=1)]
    hard = [one for one, it_is in zip(results, is_easy, strict=True) if not it_is]
    easy = [one for one, it_is in zip(results, is_easy, strict=True) if it_is]
    half = easy[: 2 * len(hard)]
    yield "| votes | easy rows | hard rows | two easy for each hard |"
    yield "|---:|---:|---:|---:|"
    shown = (1, 3, 5, 9, 17, 51)
    curves = [
        vote_curve(one, shown, "number", target=TARGET) for one in (easy, hard, [*half, *hard])
    ]
    for at, width in enumerate(shown):
        cells = " | ".join(f"{100 * one.points[at].accuracy:.1f}" for one in curves)
        yield f"| {width} | {cells} |"
    yield ""
    yield (
        f"On {len(hard)} rows, the hard ones, the most frequent of 17 other samples is wrong; "
        f"{len(easy)} are easy."
    )


def _is_right(one: Any) -> bool:
    from chainlang.evaluation import number
    from chainlang.semantics.voting import vote

    return number()(vote(one.candidates).answer, one.fields[TARGET]).value == 1


def tuned(rows: list[dict[str, Any]], engine: Any) -> Iterator[str]:
    """Yield the page of a tuning."""
    from chainlang.evaluation import family, tune

    found = tune(family(FAMILY), rows, "number", target=TARGET, engine=engine)
    yield "```text"
    yield from str(found).splitlines()
    yield "```"


def real_sums(engine: Any) -> Iterator[str]:
    """Yield the table of votes of SmolLM2 on sums, with what no number could be read from."""
    from chainlang.evaluation import family, sweep

    drawn = random.Random(7)
    pairs = [(drawn.randrange(1, 10), drawn.randrange(1, 10)) for _ in range(100)]
    rows = [{"id": str(n), "query": f"What is {a} + {b}?", TARGET: a + b}
            for n, (a, b) in enumerate(pairs)]  # fmt: skip
    found = sweep(family(REAL_WIDTHS), rows, "number", target=TARGET, engine=engine)
    yield "| samples | vote | unread | tokens |"
    yield "|---:|---:|---:|---:|"
    for one in found.members:
        made = one.evaluation
        cells = f"{share(made)} | {made.counts['unread']} | {made.tokens / made.rows:,.0f}"
        yield f"| {one.choices['E.count']} | {cells} |"


def real_choices(engine: Any) -> Iterator[str]:
    """Yield the table of predicted votes of SmolLM2 on packaged questions, easy, hard and mixed."""
    from chainlang import load
    from chainlang.evaluation import vote_curve
    from examples.real_model import questions

    rows = [
        {
            "id": one["id"],
            "question": one["question"],
            "choices": one["choices"],
            TARGET: one["choices"][one["expected_index"]],
        }
        for one in questions("truthfulqa_mc1")[:100]
    ]
    text = (ROOT / "examples" / "multiple_choice.chain").read_text(encoding="utf-8")
    made = load(text=text.replace("main = pick", "main = 9:pick::0.7"))
    results = list(made.map(rows, engine=engine))
    # Other samples say which rows are hard, as on `tiny`.
    others = list(made.map(rows, engine=engine, seed=1))
    is_easy = [_most_frequent(one) == one.fields[TARGET] for one in others]
    easy = [one for one, it_is in zip(results, is_easy, strict=True) if it_is]
    hard = [one for one, it_is in zip(results, is_easy, strict=True) if not it_is]
    fewest = min(len(easy), len(hard))
    groups = (results, easy, hard, [*easy[:fewest], *hard[:fewest]])
    yield "| votes | all rows | easy rows | hard rows | as many of each |"
    yield "|---:|---:|---:|---:|---:|"
    shown = (1, 3, 5, 9, 27)
    curves = [vote_curve(one, shown, "exact", target=TARGET) for one in groups]
    for at, width in enumerate(shown):
        cells = " | ".join(f"{100 * one.points[at].accuracy:.1f}" for one in curves)
        yield f"| {width} | {cells} |"
    yield ""
    yield f"{len(easy)} of {len(rows)} rows are easy: a vote of 9 other samples is right."


def _most_frequent(one: Any) -> Any:
    from chainlang.semantics.voting import vote

    return vote(one.candidates).answer


TABLES: dict[str, Callable[[list[dict[str, Any]], Any], Iterator[str]]] = {
    "widths": widths,
    "others": others,
    "stopping": stopping,
    "mixed": mixed,
    "tuned": tuned,
}
REAL: dict[str, Callable[[Any], Iterator[str]]] = {
    "real_sums": real_sums,
    "real_choices": real_choices,
}
"""Tables of SmolLM2, whose package `make test-real` installs."""


def main(names: list[str]) -> None:
    """Measure the tables, or those named, and write them into the page."""
    from chainlang.engines.vllm.engine import VllmEngine
    from chainlang.evaluation import rows
    from chainlang.tiny import path
    from examples.real_model import real_model

    wanted = names or [*TABLES, *REAL]
    if any(name in TABLES for name in wanted):
        questions = list(rows(QUESTIONS))
        engine = VllmEngine(path())
        for name in (one for one in wanted if one in TABLES):
            keep(name, TABLES[name](questions, engine))
        engine.close()
    if any(name in REAL for name in wanted):
        engine = VllmEngine(real_model(), max_model_len=2048, max_num_seqs=32)
        for name in (one for one in wanted if one in REAL):
            keep(name, REAL[name](engine))
        engine.close()


def keep(name: str, lines: Iterable[str]) -> None:
    """Print a table, and write it into the page."""
    text = "\n".join(lines)
    print(f"## {name}\n\n{text}\n", flush=True)
    write(name, text)


def write(name: str, text: str) -> None:
    """Put a table into its place in the page."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    page = PAGE.read_text(encoding="utf-8")
    new, found = re.subn(
        f"{begin}.*{end}", lambda _: f"{begin}\n\n{text}\n\n{end}", page, flags=re.DOTALL
    )
    assert found == 1, f"{PAGE} has no place for {name}"
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
