"""Chains are values: equal and hashed by what they say, copied, pickled and printed faithfully."""

from __future__ import annotations

import copy
import pickle

from hypothesis import strategies as st

import chainlang
from chainlang import Chain
from chainlang.analysis.resolve import resolve
from chainlang.ir import build
from chainlang.ir.nodes import Branch, Expr, Join, Named, Node, Ref, Repeat, Retry, Then
from chainlang.ir.normalize import normal
from chainlang.ir.visit import measure, rebuild, transform, walk
from chainlang.notation import parse, unparse
from tests.laws import SHALLOW, law
from tests.strategies import exactly, expressions, files, meaningful, plain, tidy

PYTHON = {name: getattr(chainlang, name) for name in chainlang.__all__}


def resolved(node: Expr) -> Chain:
    body, found = resolve(node)
    assert [one for one in found if one.severity == "error"] == []
    return Chain(body)


@law(meaningful, share=2, ci=SHALLOW)
def test_repr_evaluates_back(node: Expr) -> None:
    chain = resolved(node)
    again = eval(repr(chain), dict(PYTHON))
    assert isinstance(again, Chain)
    assert exactly(again.body) == exactly(chain.body)
    assert (again, hash(again)) == (chain, hash(chain))


@law(meaningful, share=2, ci=SHALLOW)
def test_repr_is_notation_too(node: Expr) -> None:
    chain = resolved(node)
    assert exactly(parse(repr(chain)).node) == exactly(chain.body)


@law(meaningful, share=2, ci=SHALLOW)
def test_copies_are_equal(node: Expr) -> None:
    chain = resolved(parse(unparse(node)).node)
    for again in (copy.copy(chain), copy.deepcopy(chain), pickle.loads(pickle.dumps(chain))):
        assert (again, hash(again), repr(again)) == (chain, hash(chain), repr(chain))
        assert again.extent == chain.extent


@law(expressions, expressions, share=2, ci=SHALLOW)
def test_equal_nodes_hash_alike(one: Expr, other: Expr) -> None:
    again = parse(unparse(one)).node
    assert again == one
    assert hash(again) == hash(one)
    assert (one == other) == (unparse(one) == unparse(other)) or exactly(one) != exactly(other)


# ---------------------------------------------------------------- associativity


@law(
    st.sampled_from((build.then, build.join, build.branch)),
    st.lists(expressions, min_size=3, max_size=5),
    st.data(),
)
def test_operators_are_associative(make: object, parts: list[Expr], data: st.DataObject) -> None:
    flat = make(*parts)  # type: ignore[operator]
    pending = list(parts)
    while len(pending) > 1:  # join two neighbours at a time, anywhere
        at = data.draw(st.integers(0, len(pending) - 2))
        pending[at : at + 2] = [make(*pending[at : at + 2])]  # type: ignore[operator]
    assert pending[0] == flat
    assert hash(pending[0]) == hash(flat)


# ---------------------------------------------------------------- the normal form


@law(expressions, share=2, ci=SHALLOW)
def test_the_normal_form_is_a_fixed_point(node: Expr) -> None:
    once = normal(node)
    assert normal(once) is once


@law(meaningful, share=2, ci=SHALLOW)
def test_nothing_stands_after_a_branch_in_normal_form(node: Expr) -> None:
    for one in walk(normal(node)):
        if isinstance(one, Then):
            assert not any(isinstance(part, Branch) for part in one.parts[:-1])
        if isinstance(one, Then | Join | Branch):
            assert not any(type(part) is type(one) for part in one.parts)


@law(expressions, share=2, ci=SHALLOW)
def test_a_chain_without_branches_and_retries_is_in_normal_form(node: Expr) -> None:
    if not any(isinstance(one, Branch) or _is_retry(one) for one in walk(node)):
        assert normal(node) is node


@law(meaningful, share=2, ci=SHALLOW)
def test_a_retry_in_normal_form_is_around_what_is_drawn_as_one(node: Expr) -> None:
    for one in walk(normal(node)):
        if isinstance(one, Retry):
            assert not isinstance(one.body, Join | Repeat | Named)


def _is_retry(node: Node) -> bool:
    return isinstance(node, Retry)


@law(
    st.lists(plain, min_size=2, max_size=3), plain, st.lists(plain, max_size=2), share=2, ci=SHALLOW
)
def test_distributing_by_hand_changes_nothing(
    arms: list[Expr], after: Expr, beside: list[Expr]
) -> None:
    short = build.then(build.branch(*arms), after)
    long = build.branch(*(build.then(arm, after) for arm in arms))
    assert normal(short) == normal(long)
    assert normal(build.branch(short, *beside)) == normal(build.branch(long, *beside))
    assert normal(build.then(*beside, short)) == normal(build.then(*beside, long))
    assert normal(build.join(short, *beside)) == normal(build.join(long, *beside))


# ---------------------------------------------------------------- walking


@law(st.one_of(expressions, files), share=2, ci=SHALLOW)
def test_changing_nothing_returns_the_same_object(node: Node) -> None:
    assert rebuild(node, lambda child: child) is node
    assert transform(node, lambda child: child) is node


@law(expressions, share=2, ci=SHALLOW)
def test_renaming_and_back_changes_nothing(node: Expr) -> None:
    from attrs import evolve

    def rename(suffix: str, strip: str):
        def change(one: Node) -> Node:
            if isinstance(one, Ref):
                return evolve(one, name=one.name.removesuffix(strip) + suffix)
            return one

        return change

    there = transform(node, rename("__", ""))
    assert transform(there, rename("", "__")) == node


# ---------------------------------------------------------------- size and depth


def _naive(node: Expr) -> tuple[int, int]:
    """Size and depth by definition: an expression counts one, and a table is a level."""
    from chainlang.ir.calls import general
    from chainlang.ir.nodes import (
        Combine,
        Each,
        Fallback,
        Loop,
        Named,
        Route,
        Stage,
        Table,
        Timeout,
    )

    inside: list[tuple[Expr, int]] = []
    match node:
        case Then(parts) | Join(parts) | Branch(parts):
            inside = [(part, 1) for part in parts]
        case Repeat(_, body) | Named(_, body):
            inside = [(body, 1)]
        case Fallback() | Retry() | Timeout() | Route() | Loop() | Each() | Combine():
            call = general(node)
            inside = [(part, 1) for part in call.parts]
            for option in call.options:
                if isinstance(option.value, Expr):
                    inside.append((option.value, 1))
                elif isinstance(option.value, Table):
                    inside += [(one.value, 2) for one in option.value.entries]  # type: ignore[misc]
        case Stage():
            inside = [(one.value, 1) for one in node.options if isinstance(one.value, Expr)]
    found = [(_naive(part), more) for part, more in inside]
    return 1 + sum(one[0] for one, _ in found), max([1, *(one[1] + more for one, more in found)])


@law(expressions, share=2, ci=SHALLOW)
def test_measure_counts_nodes_and_levels(node: Expr) -> None:
    assert measure(node) == _naive(node)


def _assemble(node: Expr) -> Chain:
    """Build a chain from its parts with the operators of Python."""
    from chainlang.ir.nodes import Named

    match node:
        case Then(parts):
            chain = _assemble(parts[0])
            for part in parts[1:]:
                chain = chain >> _assemble(part)
            return chain
        case Join(parts):
            chain = _assemble(parts[-1])
            for part in reversed(parts[:-1]):
                chain = _assemble(part) & chain
            return chain
        case Branch(parts):
            middle = len(parts) // 2
            return _assemble(build.branch(*parts[:middle])) | _assemble(
                build.branch(*parts[middle:])
            )
        case Repeat(count, body):
            return count * _assemble(body)
        case Named(name, body):
            return _assemble(body).named(name)
        case _:
            return resolved(node)


@law(meaningful, share=2, ci=SHALLOW)
def test_operators_keep_size_and_depth(node: Expr) -> None:
    chain = _assemble(node)
    assert exactly(chain.body) == exactly(resolved(node).body)
    assert chain.extent == measure(chain.body)
    assert eval(repr(chain), dict(PYTHON)).extent == chain.extent


def test_tidy_keeps_what_it_says() -> None:
    node = parse("2 * (a = E >> (b = J) >> V) & (c = E) & (c = J)").node
    assert unparse(tidy(node)) == "2 * (E >> J >> V) & (c = E) & (c_ = J)"
