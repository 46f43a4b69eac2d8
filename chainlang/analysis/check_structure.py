"""Structural checks of a chain: misplaced branches, ``|`` used as a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from chainlang.analysis.effect_lints import effect_lints, no_effect
from chainlang.analysis.sampling_lints import sampling_lints
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.ir.builtins import StageType
from chainlang.ir.calls import name_of
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combinator,
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
from chainlang.ir.row_settings import temperature_of
from chainlang.ir.visit import parts_of
from chainlang.ir.wiring import parts_read
from chainlang.semantics.combinators import retry_policy


def is_branched(node: Expr) -> bool:
    """Return whether an expression has several results. A join merges them.

    >>> from chainlang.notation import parse
    >>> [is_branched(parse(text).node) for text in ("a | b", "(a | b) >> c", "(a | b) & c")]
    [True, True, False]
    """
    match node:
        case Branch():
            return True
        case Then(parts):
            return any(map(is_branched, parts))
        case Named(_, body):
            return is_branched(body)
        case Stage() | Join() | Repeat() | Ref() | Function():
            return False
        case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
            return False
        case WithFields() | Combine():
            return False
    assert_never(node)


def misplaced_branches(node: Expr) -> list[Diagnostic]:
    """Return a diagnostic for each branch with a label or in a call: those need a single result."""
    found: list[Diagnostic] = []

    def visit(node: Expr, gathered: bool) -> None:
        inner = isinstance(node, Named) and not isinstance(node.body, Named)
        if isinstance(node, Named) and inner and not gathered and is_branched(node.body):
            found.append(
                Diagnostic(
                    "branch",
                    f"'{node.name}' would name a branch, whose results have names of their own",
                    node.span,
                    "label the parts of the branch, or write & to join them",
                )
            )
        for part in parts_of(node):
            if isinstance(node, Combinator | Combine) and is_branched(part):
                message = f"unexpected branch inside {name_of(node)}()"
                hint = "write & to join the parts"
                found.append(Diagnostic("branch", message, part.span, hint))
            visit(part, isinstance(node, Join | Repeat))

    visit(node, gathered=False)
    return found


def structure_lints(
    node: Expr, types: Mapping[str, StageType], bodies: Mapping[str, Expr]
) -> list[Diagnostic]:
    """Return the warnings about how the parts of a chain are put together.

    `bodies`: definitions that references stand for; they have no cycle.
    """
    return [
        *branches_like_pipes(node, types, bodies),
        *retries_at_zero(node, types),
        *sampling_lints(node, types, bodies),
        *effect_lints(node, types, bodies),
    ]


def branches_like_pipes(
    node: Expr, types: Mapping[str, StageType], bodies: Mapping[str, Expr]
) -> list[Diagnostic]:
    """Return a warning for each ``a | b | c`` that looks like a pipe: only the first generates."""
    found: list[Diagnostic] = []

    def visit(node: Expr, fed: bool) -> None:
        if isinstance(node, Branch) and not fed:
            kinds = [_first_kind(part, types, bodies) for part in node.parts]
            if kinds[0] == "generate" and all(kind in ("fold", "map") for kind in kinds[1:]):
                message = (
                    "'|' branches: these parts run side by side, and nothing feeds the later ones"
                )
                hint = "to send the output of one into the next, write >>"
                found.append(Diagnostic("branch-like-pipe", message, node.span, hint))
        for index, part in enumerate(parts_of(node)):
            visit(part, fed or (isinstance(node, Then) and index > 0))

    visit(node, fed=False)
    return found


def nothing_before(
    main: Expr, types: Mapping[str, StageType], bodies: Mapping[str, Expr], *, has_responses: bool
) -> Iterator[Diagnostic]:
    """Yield a warning for each stage that reads, or ignores, candidates where none can be.

    `has_responses`: whether a row may bring candidates of its own.
    """
    for stage in dict.fromkeys(_unfed(main, bodies, set(), is_fed=has_responses)):
        if stage.name in types and types[stage.name].kind != "generate":
            message = f"{stage.name} reads candidates, and nothing comes before it"
            yield Diagnostic("nothing-before", message, stage.span, f"write E >> {stage.name}")
        for one in stage.options:
            if one.name == "fresh" and one.value is True:
                message = "fresh=true ignores the candidates before, and nothing comes before it"
                yield no_effect(message, one.span, "leave it out", "fresh")


def _unfed(
    node: Expr, bodies: Mapping[str, Expr], seen: set[tuple[str, bool]], *, is_fed: bool
) -> Iterator[Stage]:
    """Yield the stages that no candidates reach; `seen` has the definitions that are done."""
    match node:
        case Stage():
            if not is_fed and not parts_read(node):
                yield node
        case Then(parts):
            for index, part in enumerate(parts):
                yield from _unfed(part, bodies, seen, is_fed=is_fed or index > 0)
        case Ref(name):
            if name in bodies and (name, is_fed) not in seen:
                seen.add((name, is_fed))
                yield from _unfed(bodies[name], bodies, seen, is_fed=is_fed)
        case Function() | Combine():
            pass
        case Join() | Branch() | Named() | Repeat():
            for part in parts_of(node):
                yield from _unfed(part, bodies, seen, is_fed=is_fed)
        case Cascade() | WithFields():
            for part in parts_of(node):
                yield from _unfed(part, bodies, seen, is_fed=is_fed)
        case Fallback() | Retry() | Timeout() | Route() | Loop() | Each():
            for part in parts_of(node):
                yield from _unfed(part, bodies, seen, is_fed=is_fed and not isinstance(node, Each))
        case _:
            assert_never(node)


def retries_at_zero(node: Expr, types: Mapping[str, StageType]) -> list[Diagnostic]:
    """Return a warning for each stage whose bad replies a `retry` would only repeat."""
    found: list[Diagnostic] = []

    def drawn(node: Expr) -> Iterator[Stage]:
        match node:  # a sequence is retried as a whole, so another stage may differ
            case Stage():
                yield node
            case Join() | Repeat() | Named():
                for part in parts_of(node):
                    yield from drawn(part)
            case Then() | Branch() | Ref() | Function() | Combine():
                pass
            case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
                pass
            case WithFields():
                pass
            case _:
                assert_never(node)

    def visit(node: Expr) -> None:
        if isinstance(node, Retry) and _retries_replies(node):
            for stage in drawn(node.body):
                kind = types.get(stage.name)
                if kind is None or not kind.calls_model or kind.reads_error:
                    continue
                if not temperature_of(stage, kind.temperature):
                    message = f"at temperature 0, {stage.name} repeats a bad reply word for word"
                    hint = f"write {stage.name}::0.7, or let its prompt read {{{{ error }}}}"
                    found.append(Diagnostic("retry-at-zero", message, stage.span, hint))
        for part in parts_of(node):
            visit(part)

    visit(node)
    return found


def _retries_replies(node: Retry) -> bool:
    policy = retry_policy(node)
    return policy.times != 1 and not policy.on.isdisjoint(("reply", "cut"))


def _first_kind(
    node: Expr, types: Mapping[str, StageType], bodies: Mapping[str, Expr]
) -> str | None:
    while True:
        match node:
            case Then(parts):
                node = parts[0]
            case Named(_, body) | Repeat(_, body):
                node = body
            case Ref(name) if name in bodies:
                node = bodies[name]
            case Stage(name) if name in types and not parts_read(node):
                return types[name].kind
            case _:
                return None
