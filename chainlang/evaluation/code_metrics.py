"""Metrics of programs: whether an answer passes tests, and pass@k of several answers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.evaluation.marks import Mark, Metric
from chainlang.sandboxes.available import sandbox as opened
from chainlang.sandboxes.program import MEMORY, SECONDS, Program, Sandbox
from chainlang.semantics.programs import source_in

PASSED = "passed"
"""Reading of a program that passes; that of another one is its error."""


def code_metric(
    *, sandbox: str = "monty", seconds: float = SECONDS, memory: int = MEMORY
) -> Metric:
    """Return the metric of programs that pass the tests in the target.

    The program is the last fenced block of the answer, or the whole answer. The target is source
    that runs after it, in its namespace, or a list of such sources. An answer that is the result of
    a `code` stage counts by its `ok`; another one that is no text is not read. Raises `EngineError`
    for a sandbox that can't run here.

    >>> double = code_metric()
    >>> double("def double(n): return n + n", "assert double(2) == 4").value
    1.0
    >>> double("def double(n): return n * n", ["assert double(2) == 4", "assert double(3) == 6"])
    Mark(value=0.0, read='AssertionError (line 2 of the tests)')
    """
    box = opened(sandbox)

    def mark(answer: Any, target: Any, _: Mapping[str, Any]) -> Mark:
        return _mark(box, answer, source_of(target), seconds, memory)

    return Metric(_named("code", sandbox), mark, lambda target, _: source_of(target))


def pass_at(
    k: int, *, sandbox: str = "monty", seconds: float = SECONDS, memory: int = MEMORY
) -> Metric:
    """Return the metric pass@k: how likely one of k of the answers to a row passes its tests.

    It marks the answers of all candidates, each as `code_metric` does; one that can't be read does
    not pass. Raises `OperandError` for a k below 1, and for fewer than k candidates.

    >>> round(pass_at(2)(["1 / 0", "x = 1", "y = 1"], "assert x == 1").value, 3)
    0.667
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise error_of("operand", f"pass@{shown(k)} is no metric", "write pass@1, or a larger k")
    box = opened(sandbox)

    def mark(answers: Any, target: Any, _: Mapping[str, Any]) -> Mark:
        several = answers if isinstance(answers, list | tuple) else (answers,)
        tests = source_of(target)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            marks = list(pool.map(lambda one: _mark(box, one, tests, seconds, memory), several))
        passed = sum(one.value == 1 for one in marks)
        value = estimated(len(several), passed, k)
        return Mark(value, f"{passed} of {len(several)} pass")

    name = _named(f"pass@{k}", sandbox)
    return Metric(name, mark, lambda target, _: source_of(target), output="candidates")


def estimated(samples: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of pass@k from `samples` of which some have passed.

    That is 1 - C(n - c, k) / C(n, k): the share of the sets of k samples in which one passes.

    >>> estimated(10, 3, 1), estimated(4, 1, 2), estimated(5, 5, 5), estimated(5, 0, 5)
    (0.3, 0.5, 1.0, 0.0)
    """
    if samples < k:
        hint = f"raise the count of the stage that writes them: {k}:E"
        raise error_of("operand", f"pass@{k} needs {k} candidates, and there are {samples}", hint)
    sets = math.comb(samples, k)
    return (sets - math.comb(samples - passed, k)) / sets


def source_of(target: object) -> str:
    """Return the source of the tests in a target. Raises `RowError` for what has none."""
    several = target if isinstance(target, list | tuple) else (target,)
    if not several or not all(isinstance(one, str) and one.strip() for one in several):
        raise error_of("row", f"the target {shown(target)} is no source of tests")
    return "\n".join(several)


def parsed(name: str) -> Metric | None:
    """Return the metric of a name: ``code``, ``code:bwrap``, ``pass@5``, ``pass@5:bwrap``.

    None for any other name.
    """
    kind, _, sandbox = name.partition(":")
    more: dict[str, Any] = {"sandbox": sandbox} if sandbox else {}
    if kind == "code":
        return code_metric(**more)
    at, _, k = kind.partition("@")
    return pass_at(int(k), **more) if at == "pass" and k.isdecimal() else None


def _mark(box: Sandbox, answer: object, tests: str, seconds: float, memory: int) -> Mark:
    if isinstance(answer, Mapping) and isinstance(answer.get("ok"), bool):
        return Mark(float(answer["ok"]), answer.get("error") or PASSED)
    if not isinstance(answer, str):
        return Mark(None)
    run = box.run(Program(source=source_in(answer), tests=tests, seconds=seconds, memory=memory))
    return Mark(float(run.ok), PASSED if run.ok else run.error)


def _named(name: str, sandbox: str) -> str:
    return name if sandbox == "monty" else f"{name}:{sandbox}"
