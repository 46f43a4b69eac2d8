"""Critical path of a row, from the chain as it is written and the latency of each model.

It shares nothing with the plan: what a stage reads is what the strategy wrote into its template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never

from attrs import evolve, frozen

from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.visit import walk
from tests.strategies import Written

Ops = Mapping[str, Written]


@frozen
class At:
    """Times at a point of a chain."""

    start: float
    """Start of the combinator around it, or of the row."""
    candidates: float
    """Time from which the candidates before it are there."""
    parts: Mapping[str, float]
    """Time from which each named part is there."""
    done: float
    """End of all that stands before it."""
    one_by_one: bool = False
    """Whether each step begins at the end of the one before it."""
    is_open: bool = True
    """Whether the candidates before it may have fields of any name."""


@frozen
class Reads:
    """Parts and candidates that a part of a chain reads, and whether it calls a function."""

    parts: frozenset[str] = frozenset()
    candidates: bool = False
    calls: bool = False

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.parts | other.parts,
            self.candidates or other.candidates,
            self.calls or other.calls,
        )


def seconds(node: Expr, ops: Ops) -> float:
    """Return when a row ends that starts at 0."""
    return _run(node, At(0.0, 0.0, {}, 0.0), ops).done


def latency(model: str | None) -> float:
    """Return the latency of a model, which is in its name."""
    return float(re.findall(r"\d+", model or "0")[0])


def _run(node: Expr, at: At, ops: Ops) -> At:
    """Return the times after a part."""
    return evolve(_timed(node, at, ops), is_open=opens(node, at.is_open))


def _timed(node: Expr, at: At, ops: Ops) -> At:
    match node:
        case Stage(name, model=model):
            end = _begin(node, at, ops) + (0.0 if name == "M" else latency(model))
            parts = {**at.parts, name: end} if name in ops else at.parts
            return evolve(at, candidates=end, parts=parts, done=max(at.done, end))
        case Function():
            end = _begin(node, at, ops)
            return evolve(at, candidates=end, done=max(at.done, end))
        case Then(several):
            for one in several:
                at = _run(one, at, ops)
            return at
        case Join(several) | Branch(several):
            ends = [_run(one, at, ops) for one in several]
            parts = {name: time for one in ends for name, time in one.parts.items()}
            last = max(one.candidates for one in ends)
            return evolve(at, candidates=last, parts=parts, done=max(one.done for one in ends))
        case Repeat(_, one):
            return _run(one, at, ops)
        case Named(name, one):
            end = _run(one, at, ops)
            return evolve(end, parts={**end.parts, name: end.candidates})
        case Fallback() | Retry() | Timeout() | Route() | Loop() | Each():
            return _combinator(node, at, ops)
        case Cascade() | WithFields():
            return _combinator(node, at, ops)
        case Ref() | Combine():
            raise TypeError(f"{node} is not written by the strategy")
    assert_never(node)


def _combinator(
    node: Fallback | Retry | Timeout | Route | Loop | Each | Cascade | WithFields,
    at: At,
    ops: Ops,
) -> At:
    """Return the times after a combinator: its inside begins when all that it reads is there."""
    begin = _begin(node, at, ops)
    inside = At(begin, begin, dict.fromkeys(at.parts, begin), begin, at.one_by_one)
    match node:
        case Fallback((first, second)):
            inside = evolve(inside, one_by_one=True)
            if isinstance(first, Stage) and (first.model or "").startswith("x"):
                inside = evolve(inside, done=begin + latency(first.model))
                first = second
            end = _run(first, inside, ops)
        case Retry(Stage() as one):  # its samples are retried
            end = _run(one, inside, ops)
        case Retry(one):
            end = _run(one, evolve(inside, one_by_one=True), ops)
        case Timeout(one) | WithFields(one):
            end = _run(one, inside, ops)
        case Cascade((first, second), accept=accept):
            end = _run(first, inside, ops)
            if accept == "answer == 'no such'":
                times = dict.fromkeys(end.parts, end.done)
                end = _run(second, At(end.done, end.done, times, end.done, at.one_by_one), ops)
        case Route(arms, by, default):
            assert default is not None
            end = _run(arms[0].body if by == "topic" else default, inside, ops)
        case Loop(one, until=until):
            end = inside
            for _ in range(1 + int(str(until)[-1])):
                times = dict.fromkeys(end.parts, end.done)
                end = At(end.done, end.done, times, end.done, at.one_by_one)
                end = _run(one, end, ops)
        case Each(one):
            end = _run(one, inside, ops)
        case _:
            raise TypeError(f"{node} is not written by the strategy")
    made = {} if isinstance(node, Each) else dict.fromkeys(end.parts, end.done)
    return evolve(at, candidates=end.done, parts={**made, **at.parts}, done=max(at.done, end.done))


def _begin(node: Expr, at: At, ops: Ops) -> float:
    """Return when a stage or a combinator begins."""
    reads = reads_of(node, ops, at.is_open)
    times = [at.parts[name] for name in reads.parts if name in at.parts]
    times += [at.candidates] * reads.candidates
    times += [at.done] * (reads.calls or at.one_by_one)
    return max(times, default=at.start)


def reads_of(node: Expr, ops: Ops, is_open: bool) -> Reads:  # a match
    """Return what a part reads of what is before it.

    `is_open`: whether the candidates there may have fields of any name.
    """
    match node:
        case Stage(name):
            options = {one.name: one.value for one in node.options}
            of = options.get("of")
            if name in ops:
                return Reads(frozenset(ops[name].names), ops[name].candidates)
            if of:
                return Reads(frozenset([of] if isinstance(of, str) else of))
            return Reads(candidates=not options.get("fresh"))
        case Function():
            return Reads(candidates=True, calls=True)
        case Then((first, *later)):
            found = reads_of(first, ops, is_open)
            for one in later:
                found |= evolve(reads_of(one, ops, True), candidates=False)
            return found
        case Each(body, over=over):
            found = evolve(reads_of(body, ops, False), candidates=False)
            return found | _judged(over, is_open)
        case Route(by=by):
            found = _judged(str(by), is_open)
        case WithFields(_, fields):
            found = _judged(str(fields[0].value), False)
        case _:  # a round has candidates of its own, and so has the condition of a cascade
            found = Reads()
    for one in _inside(node):
        found |= reads_of(one, ops, is_open)
    return found


def _judged(text: str, is_open: bool) -> Reads:
    """Return what an expression or a template reads."""
    names = set(re.findall(r"[a-z]\w*", text)) - {"is", "defined", "length"}
    parts = frozenset(re.findall(r"(\w+)\.answer", text))
    reads = bool(names & {"candidates"}) or re.search(r"(?<!\.)\banswer\b", text) is not None
    return Reads(parts, reads or (is_open and bool(names)))


def opens(node: Expr, before: bool) -> bool:
    """Return whether candidates after a part may have fields of any name."""
    match node:
        case Stage(name):
            of = any(one.name == "of" for one in node.options)
            return (of or before) if name in ("M", "S") else False
        case Function():
            return True
        case Then(several):
            for one in several:
                before = opens(one, before)
            return before
        case Loop(body):
            return opens(body, opens(body, before)) or opens(body, before)
        case Each(body):
            return opens(body, False)
        case _:
            return any(opens(one, before) for one in _inside(node))


def _inside(node: Expr) -> list[Expr]:
    match node:
        case Join(parts) | Branch(parts) | Fallback(parts) | Cascade(parts):
            return list(parts)
        case Route(arms, _, default):
            return [*(arm.body for arm in arms), *([default] if default else [])]
        case Repeat(_, one) | Named(_, one) | Retry(one) | Timeout(one):
            return [one]
        case Loop(one) | WithFields(one):
            return [one]
    raise TypeError(f"{node} is not written by the strategy")


def stages(node: Expr) -> int:
    """Return the number of stages of a chain."""
    return sum(isinstance(one, Stage) for one in walk(node))
