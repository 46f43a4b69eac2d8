"""Answers of a question as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chainlang.cli.output import counted
from chainlang.diagnostics.render import render
from chainlang.protocol.price import dollars
from chainlang.semantics.record import below
from chainlang.session.result import Result


def shown_answers(result: Result) -> Iterator[str]:
    """Yield the lines of a result: its answer, its votes if it has some, or why it failed."""
    for name, one in leaves(result):
        if one.failure is not None:
            yield render(one.failure.error().diagnostics)
            continue
        yield f"{name}: {text_of(one.answer)}" if name else text_of(one.answer)
        fields = one.candidates[0].fields if one.candidates else {}
        if isinstance(votes := fields.get("votes"), dict):
            yield "votes: " + ", ".join(f"{answer} {count}" for answer, count in votes.items())


def describe_usage(result: Result, seconds: float) -> str:
    """Return the cost of a result in words."""
    usage = result.usage
    cost = "" if usage.cost is None else f"{dollars(usage.cost)}, "
    return (
        f"{counted(usage.calls, 'call')}, {counted(usage.prompt_tokens, 'prompt token')}, "
        f"{counted(usage.output_tokens, 'output token')}, {cost}{seconds:.1f} s"
    )


def leaves(result: Result, path: str = "") -> Iterator[tuple[str, Result]]:
    """Yield the results of all branches, failed or not, by their paths."""
    for name, branch in result.branches.items():
        yield from leaves(branch, below(path, name))
    if not result.branches:
        yield path, result


def text_of(answer: Any) -> str:
    """Return an answer as text: JSON, unless it is a text."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def plain_of(result: Result) -> dict[str, Any]:
    """Return a result as JSON values."""
    if result.branches:
        branches = {name: plain_of(branch) for name, branch in result.branches.items()}
        return {"branches": branches}
    if result.failure is not None:
        failure = result.failure
        why = {"stage": failure.stage, "cause": failure.cause, "message": failure.message}
        return {"failure": why}
    found = [
        {
            "answer": one.answer,
            "fields": dict(one.fields),
            "text": one.text,
            "reasoning": one.reasoning or None,
            "finish": one.finish,
            "logprob": one.logprob,
        }
        for one in result.candidates
    ]
    return {"answer": result.answer, "candidates": found, "usage": result.usage.as_json()}
