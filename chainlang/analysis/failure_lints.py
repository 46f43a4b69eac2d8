"""Warnings about failures that can't occur: parts of a `fallback`, causes of a `retry`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from chainlang.analysis.effect_lints import no_effect
from chainlang.analysis.failure_causes import FailureCauses
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.ir.nodes import Expr, Fallback, Retry
from chainlang.ir.visit import walk
from chainlang.semantics.combinators import causes as named_causes
from chainlang.semantics.combinators import retry_policy


def failure_lints(node: Expr, causes: FailureCauses) -> Iterator[Diagnostic]:
    """Yield a warning for each part that is there for a failure that can't occur.

    >>> from chainlang.ir.builtins import STAGE_TYPES
    >>> from chainlang.notation import parse
    >>> node = parse("retry(E, on='function')").node
    >>> [one.message for one in failure_lints(node, FailureCauses(STAGE_TYPES, {}))]
    ['nothing in this part fails with "function"']
    """
    for one in walk(node):
        if isinstance(one, Fallback):
            yield from _fallback(one, causes)
        elif isinstance(one, Retry):
            yield from _retry(one, causes)


def _fallback(node: Fallback, causes: FailureCauses) -> Iterator[Diagnostic]:
    possible = frozenset().union(*map(causes.of, node.parts[:-1]))
    yield from _impossible(node, possible)
    for before, part in pairwise(node.parts):
        if not causes.of(before):
            message = "this part never runs: the part before it can't fail"
            hint = "leave it out, or write it first"
            yield Diagnostic("unreachable", message, part.span, hint)
            return


def _retry(node: Retry, causes: FailureCauses) -> Iterator[Diagnostic]:
    possible, policy = causes.of(node.body), retry_policy(node)
    if node.on is None and possible.isdisjoint(policy.on):
        hint = "write it without retry()"
        yield no_effect("nothing in this part can fail", node.span, hint)
    yield from _impossible(node, possible)


def _impossible(node: Fallback | Retry, possible: frozenset[str]) -> Iterator[Diagnostic]:
    """Yield a warning for each cause that is named and can't occur."""
    where = part_span(node.span, "on")
    for cause in sorted((named_causes(node.on) or frozenset()) - possible):
        message = f'nothing in this part fails with "{cause}"'
        yield no_effect(message, where, _CURES.get(cause, "leave it out"), "on")


_CURES = {
    "cut": 'cut replies are kept: leave cut="keep" out, or leave the cause out',
    "constraint": "no stage here has a type: leave it out",
    "function": "no function runs here: leave it out",
    "reply": "no stage here has a type that a reply has to fit: leave it out",
    "timeout": "no timeout() stands in it: write retry(timeout(a, seconds=30))",
}
