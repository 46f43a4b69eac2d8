"""Resolving twice is resolving once, and counting calls is counting what would run."""

from __future__ import annotations

from attrs import evolve
from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.call_count import CEILING, count_calls
from chainlang.analysis.resolve import resolve
from chainlang.ir import build
from chainlang.ir.builtins import STAGE_TYPES, canonical
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combinator,
    Each,
    Expr,
    Fallback,
    Join,
    Loop,
    Named,
    Node,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.visit import transform, walk
from chainlang.notation import parse, unparse
from tests.laws import SHALLOW, law
from tests.laws.wired import unwired
from tests.strategies import exactly, expressions, meaningful

ALIASES = {alias: one.name for one in STAGE_TYPES.values() for alias in one.aliases}


def errors(node: Expr) -> list[str]:
    return [one.code for one in resolve(node)[1] if one.severity == "error"]


@law(meaningful, ci=SHALLOW)
def test_what_means_something_has_no_errors(node: Expr) -> None:
    assert errors(node) == []


@law(expressions, ci=SHALLOW)
def test_resolving_never_fails_and_twice_is_once(node: Expr) -> None:
    once, found = resolve(node)
    again, found_again = resolve(once)
    assert again == once
    if not any(one.severity == "error" for one in found):
        assert again is once
        assert found_again == found


@law(meaningful, ci=SHALLOW)
def test_names_are_canonical_after_resolving(node: Expr) -> None:
    back = {name: alias for alias, name in ALIASES.items()}

    def rename(one: Node) -> Node:
        return evolve(one, name=back.get(one.name, one.name)) if isinstance(one, Stage) else one

    assert resolve(transform(node, rename))[0] == resolve(node)[0]
    names = {one.name for one in walk(resolve(node)[0]) if isinstance(one, Stage)}
    assert not names & ALIASES.keys()
    assert all(canonical(name) == name for name in names)


@law(meaningful, ci=SHALLOW)
def test_a_chain_resolves_as_its_text_does(node: Expr) -> None:
    for form in ("notation", "call"):
        assert exactly(resolve(parse(unparse(node, form)).node)[0]) == exactly(resolve(node)[0])


# ---------------------------------------------------------------- counting calls


def _run(node: Expr, streams: list[int]) -> tuple[int, list[int]]:
    """Run a chain on paper: the calls it makes, and the candidates of each branch after it."""
    match node:
        case Then(parts):
            calls = 0
            for part in parts:
                more, streams = _run(part, streams)
                calls += more
            return calls, streams
        case Named(_, body):
            return _run(body, streams)
    calls, after = 0, []
    for candidates in streams:  # each branch on its own
        more, out = _run_one(node, candidates)
        calls += more
        after += out
    return calls, after


def _run_one(node: Expr, candidates: int) -> tuple[int, list[int]]:
    match node:
        case Stage(name, count):
            runs = count * candidates if name == "V" else count
            return runs, [runs]
        case Branch(parts):
            found = [_run(part, [candidates]) for part in parts]
            return sum(calls for calls, _ in found), [n for _, out in found for n in out]
        case Join(parts):
            found = [_run(part, [candidates]) for part in parts]
            return sum(calls for calls, _ in found), [sum(n for _, out in found for n in out)]
        case Repeat(count, body):
            return _run_one(Join((body,) * count), candidates)
        case Route(arms, _, default):
            parts = [*(one.body for one in arms), *([default] if default else [])]
            found = [_run(part, [candidates]) for part in parts]
            return max(calls for calls, _ in found), [max(max(out) for _, out in found)]
        case Fallback(parts) | Cascade(parts):
            found = [_run(part, [candidates]) for part in parts]
            return sum(calls for calls, _ in found), [max(max(out) for _, out in found)]
        case Retry(body, times=times):
            calls, out = _run(body, [candidates])
            return calls * (3 if times is None else times), [max(out)]
        case Loop(body, times):
            total = 0
            for _ in range(3 if times is None else times):
                calls, out = _run(body, [candidates])
                total, candidates = total + calls, max(out)
            return total, [candidates]
        case Timeout(body) | Each(body) | WithFields(body):
            calls, out = _run(body, [candidates])
            return calls, [max(out)]
    return 1, [candidates]


@law(meaningful, ci=SHALLOW)
def test_calls_are_those_of_a_run_on_paper(node: Expr) -> None:
    node = transform(node, unwired)
    paper, counted = min(_run(node, [1])[0], CEILING), count_calls(node, STAGE_TYPES, {})
    assert paper <= counted
    if not any(_is_bounded(one) for one in walk(node)):
        assert paper == counted


def _is_bounded(node: Node) -> bool:
    """Return whether the count of a node is only a bound: branches or rounds may differ."""
    return isinstance(node, Branch | Loop)


@law(meaningful, st.integers(60, 300), ci=SHALLOW)
def test_a_loop_of_many_rounds_costs_no_more_than_is_counted(node: Expr, rounds: int) -> None:
    assume(not any(isinstance(one, Branch | Combinator) for one in walk(node)))
    node = transform(node, unwired)
    for body in (node, build.join(node, Stage("V"), Stage("E"))):  # the second one grows
        loop = Loop(body, rounds, until="false")
        paper, counted = min(_run(loop, [1])[0], CEILING), count_calls(loop, STAGE_TYPES, {})
        assert paper <= counted <= 2 * paper


@law(meaningful, st.integers(0, 3), ci=SHALLOW)
def test_a_definition_costs_what_its_body_costs(node: Expr, levels: int) -> None:
    definitions: dict[str, Expr] = {"d0": node}
    expanded = node
    for level in range(levels):
        definitions[f"d{level + 1}"] = build.join(Ref(f"d{level}"), Ref(f"d{level}"))
        expanded = build.join(expanded, expanded)
    written = count_calls(Ref(f"d{levels}"), STAGE_TYPES, definitions)
    assert written == count_calls(expanded, STAGE_TYPES, {})
