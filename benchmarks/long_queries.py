"""Prompt tokens that are computed where stages of a row read the same long query: no times."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from benchmarks.chains import REAL_WORKLOADS, held, model
from benchmarks.one_call import BEFORE, unpacked
from benchmarks.servers import serving
from benchmarks.turns import HERE, OURS, THEIRS, Program, Report, started
from chainlang.engines.grammar.json_schema import enforceable, grammar

WANTED = 1500
"""Tokens of a query."""
CLAIM = 1.15
CONTEXT = 4096
SETTINGS = {"max_model_len": CONTEXT, "max_num_seqs": 8, "gpu_memory_utilization": 0.1}
TEXT = {"type": "string", "maxLength": 80}
DRAFTS = 'main = 3:E::0.7(max_tokens=32, cut="keep")'
JUDGED = f"{DRAFTS} >> J(max_tokens=64) >> V(max_tokens=64)"
DIALOGUE = """
op on : map { continues = true user = "And then?" temperature = 0.7 max_tokens = 32 cut = "keep" }
main = E::0.7(max_tokens=32, cut="keep") >> on >> on >> on
"""
OLD_JUDGED = '''
op judge : fold -> { reasoning: str(..80), final_answer: str(..40) } {
  answer = "final_answer"  temperature = 0
  user = """Question: {{ query }}
{% for candidate in candidates %}Answer {{ loop.index }}: {{ candidate.answer }}
{% endfor %}Judge these answers: reason, then give the final answer."""
}
op verify : map -> {
  explanation: str(..80), verdict: "correct" | "incorrect", revised_answer: str(..40)?
} {
  answer = "candidate.answer"  temperature = 0
  user = """Question: {{ query }}
Answer: {{ candidate.answer }}
Verify this answer: explain, give a verdict, and revise it if it is incorrect."""
}
main = 3:E::0.7(max_tokens=32) >> judge >> verify
'''
"""`3:E >> J >> V` as that commit has it, but for bounds of what is replied: none failed a row."""
ALONE, WHOLE = "`3:E`", "`3:E >> J >> V`"
SERVED = {"LCEL": "long_lcel.py", "DSPy": "long_dspy.py"}


@frozen
class Line:
    """A line of the table: the work, the program that does it, and what that counted."""

    work: str
    program: str
    report: Report


def table(*, quick: bool = False) -> str:
    """Return the table of all programs on both models."""
    from examples.real_model import real_model

    count = 1 if quick else 2
    lines = []
    with TemporaryDirectory() as temporary:
        made = model(Path(temporary), CONTEXT)
        for name, folder in (("tiny", made), ("SmolLM2", real_model())):
            found = list(measured(folder, queries(folder, count)))
            alone = found[0].report["computed"]
            lines += [cells(name, one, alone) for one in found]
    head = ("model", "work", "", "prompt tokens", "computed", f"beside {ALONE}", "new")
    return "\n".join(
        [
            (
                f"{count} rows with queries of {WANTED:,} tokens, each another: the prompt tokens "
                f"that the engine had to read (claim: at most {CLAIM} of {ALONE} in chainlang). "
                "*New* are those that stand in no earlier prompt of the row at the same place. "
                f"LCEL, DSPy, the script and {BEFORE} have prompts of their own. The engine keeps "
                "blocks of 32 tokens."
            ),
            "",
            f"| {' | '.join(head)} |",
            "|---|---|---|---:|---:|---:|---:|",
            *lines,
        ]
    )


def queries(folder: Path, count: int) -> list[str]:
    """Return texts of the wanted number of tokens, each another."""
    from tokenizers import Tokenizer

    read, draw = Tokenizer.from_file(str(folder / "tokenizer.json")), random.Random(0)
    found = []
    for _ in range(count):
        words = ["Which of these is the largest?"]
        while len(read.encode(" ".join(words)).ids) < WANTED:
            words += [str(draw.randrange(100, 1000)) for _ in range(10)]
        found.append(" ".join(words))
    return found


def measured(folder: Path, rows: list[str]) -> Iterator[Line]:
    """Yield what each program counts on a model; the first is an ensemble alone, in chainlang."""
    settings, job = (str(folder), json.dumps(SETTINGS)), {"rows": rows, "held": grammars()}
    with started("chainlang", OURS, "long_chain.py", str(HERE.parent), *settings) as ours:
        for work, text in (
            (ALONE, DRAFTS),
            (WHOLE, JUDGED),
            ("a dialogue of four turns", DIALOGUE),
        ):
            asked = {"rows": rows, "text": text, "bounds": True}
            yield Line(work, "chainlang", ours.run(asked))
    with TemporaryDirectory() as before:
        if unpacked(Path(before)):
            with started(BEFORE, OURS, "long_chain.py", before, *settings) as old:
                asked = {"rows": rows, "text": OLD_JUDGED, "bounds": False}
                yield Line(WHOLE, BEFORE, old.run(asked))
    with started("script", OURS, "long_script.py", *settings) as script:
        yield Line(WHOLE, "a script", script.run(job))
    if THEIRS.exists():
        yield from served(folder, job)


def grammars() -> dict[str, str]:
    """Return the grammars of replies: without one, a model may go on with blanks."""
    (judged,) = (one for one in REAL_WORKLOADS if one.program == "verified")
    draft = {"type": "object", "properties": {"answer": TEXT}, "required": ["answer"]}
    return {**held(judged), "Draft": grammar(enforceable(json.dumps(draft)))}


def served(folder: Path, job: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what the programs count that ask a server."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, SETTINGS))
        for name, file in SERVED.items():
            program: Program = stack.enter_context(started(name, THEIRS, file, server.url))
            server.forget()
            before = server.counts()
            report = program.run(job)
            after = server.counts()
            counted = {key: after[key] - before[key] for key in after}
            yield Line(WHOLE, name, {**report, **counted})


def cells(name: str, line: Line, alone: int) -> str:
    """Return the line of the table; a program some of whose rows failed says so."""
    report = line.report
    failed = f", {report['failed']} rows failed" if report["failed"] else ""
    new = f"{report['new']:,}" if "new" in report else ""
    share = f"{report['computed'] / alone:.2f}"
    figures = (f"{report['prompt']:,}", f"{report['computed']:,}", share, new)
    return f"| {' | '.join((name, line.work, line.program + failed, *figures))} |"
