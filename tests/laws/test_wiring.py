"""Wiring: what is accepted is there when it runs, in every chain of a normal form, at no place."""

from __future__ import annotations

from attrs import evolve
from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.wiring import wiring_faults
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Function, Named, Node, Option, Stage
from chainlang.ir.normalize import normal, normal_form
from chainlang.ir.visit import transform, walk
from chainlang.ir.wiring import parts_read
from chainlang.plan.lower import lower
from chainlang.plan.visit import leaves
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.record import Branched, Flow
from chainlang.semantics.row_failure import RowFailure
from tests.laws import SHALLOW, law
from tests.laws.control import (
    BOUND,
    READERS,
    call,
    chains,
    checked,
    meant,
    shaky,
    stages,
    start,
    table,
)
from tests.laws.wired import unwired, wired
from tests.strategies import tidy


def is_accepted(node: Expr) -> bool:
    return not list(wiring_faults(node, READERS, own_names(node, READERS)))


@st.composite
def scattered(draw: st.DrawFn) -> Expr:
    """Chains whose stages read any parts, wherever those stand."""
    node = transform(draw(chains()), unwired)
    names = sorted({one.name for one in walk(node) if isinstance(one, Named)})
    assume(names)
    some = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True).map(tuple)

    def change(one: Node) -> Node:
        if not isinstance(one, Stage | Function) or not draw(st.booleans()):
            return one
        found = draw(some)
        of = found[0] if len(found) == 1 else found
        if isinstance(one, Function):
            return evolve(one, of=of)
        return evolve(one, options=build.options([*one.options, Option("of", of)]))

    return checked(transform(node, change))


_maybe = st.builds(
    lambda part, name: part if name is None else Named(name, part),
    stages.filter(lambda one: one.name in "EM"),
    st.sampled_from([None, "fr", "fr", "fr", "es"]),
)
_choices = st.one_of(
    st.builds(
        lambda one, other, last: call(
            "route", by="topic", arms=table({"math": one, "code": other}), default=last
        ),
        _maybe, _maybe, _maybe,
    ),
    st.builds(lambda one, other: call("fallback", one, other), _maybe, _maybe),
    st.builds(
        lambda one, other, accept: call("cascade", one, other, accept=accept),
        _maybe, _maybe, st.sampled_from(["true", "false"]),
    ),
    st.builds(build.branch, _maybe, _maybe),
    st.builds(build.join, _maybe, _maybe),
    st.builds(lambda one: call("loop", one, until="true"), _maybe),
    st.builds(lambda one: call("each", one, over="[1, 2]"), _maybe),
    st.builds(lambda one: call("with_fields", one, query="{{ topic }}"), _maybe),
)  # fmt: skip


@st.composite
def chosen(draw: st.DrawFn) -> Expr:
    """Chains that read a part of which some ways have none."""
    first = draw(stages.filter(lambda one: one.name == "E"))
    reader = Stage("M", options=(Option("of", draw(st.sampled_from(["fr", "fr", "es"]))),))
    return checked(build.then(first, draw(_choices), reader))


def causes(flow: Flow | str) -> list[str]:
    """Return the messages of all failures of a row."""
    match flow:
        case str():
            return [flow]
        case RowFailure(reason):
            return [reason]
        case Branched(arms):
            return [one for _, arm in arms for one in causes(arm)]
    return []


@law(st.one_of(chosen(), chosen(), chosen(), scattered()), st.integers(0, 4), ci=100)
def test_what_is_accepted_is_there_when_it_is_read(node: Expr, row: int) -> None:
    assume(is_accepted(node))
    assert not any(
        "of= reads the part" in said for said in causes(meant(node, start(row), shaky()))
    )


@law(chains(), ci=SHALLOW)
def test_what_stands_before_its_reader_on_every_way_is_accepted(node: Expr) -> None:
    assert is_accepted(node)


@law(st.one_of(chosen(), scattered()), ci=SHALLOW)
def test_chains_of_one_normal_form_are_accepted_alike(node: Expr) -> None:
    assert is_accepted(node) == is_accepted(normal(node))


@law(chains(), ci=SHALLOW)
def test_what_is_read_moves_no_place(node: Expr) -> None:
    def places(one: Expr) -> list[tuple[str, ...]]:
        body = normal_form(one, READERS)
        return [leaf.place for leaf in leaves(lower(body, READERS, BOUND).root)]

    assert places(node) == places(transform(node, unwired))


@st.composite
def _sides(draw: st.DrawFn) -> tuple[Expr, Expr]:
    """Draw a stage after a branch, and the same chain with the stage after each arm."""
    first = Named("first", draw(stages.filter(lambda one: one.name == "E")))
    arms = [draw(stages), build.then(draw(stages), draw(stages))]
    after = evolve(draw(stages), options=())
    if after.name != "M" or draw(st.booleans()):
        after = evolve(after, options=(Option("of", "first"),))
    short = build.then(first, build.branch(*arms), after)
    return short, build.then(first, build.branch(*(build.then(arm, after) for arm in arms)))


@law(_sides(), st.integers(0, 4), ci=SHALLOW)
def test_a_reader_after_a_branch_reads_the_part_in_each_arm(
    sides: tuple[Expr, Expr], row: int
) -> None:
    short, long = (checked(tidy(one)) for one in sides)
    assert normal(short) == normal(long)
    assert meant(short, start(row), shaky()) == meant(long, start(row), shaky())


@law(st.data(), chains(), ci=20)
def test_a_name_that_no_part_has_is_refused(data: st.DataObject, node: Expr) -> None:
    wired_again = wired(data.draw, node, READERS)
    assume(any(map(parts_read, walk(wired_again))))

    def misspell(one: Node) -> Node:
        return evolve(one, name=f"{one.name}x") if isinstance(one, Named) else one

    own = own_names(node, READERS)
    assume(not any(set(parts_read(one)) & own for one in walk(wired_again)))
    assert not is_accepted(transform(wired_again, misspell))
