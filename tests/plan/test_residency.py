"""Which models are there together: each that is asked, within the memory, with the fewest loads."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Stage
from chainlang.ir.normalize import normal_form
from chainlang.plan.lower import lower
from chainlang.plan.model_schedule import Residency, residency
from chainlang.plan.steps import Fallback, Fork, Gather, Generate, Sequence, Step
from chainlang.plan.visit import inner
from tests.laws import law

MODELS = "abcd"
stages = st.builds(lambda model: Stage("E", 1, model, 0.7), st.sampled_from(MODELS))
exprs = st.recursive(
    stages,
    lambda one: st.one_of(
        st.lists(one, min_size=2, max_size=3).map(lambda parts: build.then(*parts)),
        st.lists(one, min_size=2, max_size=2).map(lambda parts: build.join(*parts)),
    ),
    max_leaves=8,
)
sizes = st.fixed_dictionaries({name: st.integers(1, 2) for name in MODELS})


def steps(root: Step) -> list[tuple[str, frozenset[int]]]:
    """Return the model of each stage, and the stages that have to be run before it."""
    found: list[tuple[str, frozenset[int]]] = []

    def add(step: Step, before: frozenset[int]) -> frozenset[int]:
        if isinstance(step, Generate):
            found.append((step.stage.model, before))
            return frozenset({len(found) - 1})
        if isinstance(step, Sequence):
            for one in step.steps:
                before = add(one, before)
            return before
        assert isinstance(step, Gather | Fork)
        return frozenset().union(*(add(one, before) for one in inner(step)))

    add(root, frozenset())
    return found


def least(root: Step, sizes: dict[str, int], memory: int) -> int:
    """Return the least number of loads, by trying every group after every other."""
    stages = steps(root)
    groups = [
        frozenset(group)
        for number in range(1, len(MODELS) + 1)
        for group in itertools.combinations(MODELS, number)
        if sum(sizes[one] for one in group) <= memory
    ]
    ties: Iterator[int] = itertools.count()
    heap = [(0, next(ties), frozenset[int](), frozenset[str]())]
    seen = set()
    while heap:
        loads, _, done, there = heapq.heappop(heap)
        if len(done) == len(stages):
            return loads
        if (done, there) in seen:
            continue
        seen.add((done, there))
        for group in groups:
            after = ran(stages, done, group)
            heapq.heappush(heap, (loads + len(group - there), next(ties), after, group))
    raise AssertionError("some group holds each model")


def ran(
    stages: list[tuple[str, frozenset[int]]], done: frozenset[int], group: frozenset[str]
) -> frozenset[int]:
    """Return what has been run when a group has done all that it can."""
    while True:
        more = {n for n, (model, before) in enumerate(stages) if model in group and before <= done}
        if more <= done:
            return done
        done |= more


@law(exprs, sizes, st.integers(2, 5), share=4)
def test_models_are_loaded_as_seldom_as_can_be(
    node: Expr, sizes: dict[str, int], memory: int
) -> None:
    root = lower(normal_form(node)).root
    found = residency(root, sizes, memory)
    assert all(sum(sizes[name] for name in group) <= memory for group in found.phases)
    done, loads, there = frozenset[int](), 0, set[str]()
    for group in found.phases:  # run them as they say
        done = ran(steps(root), done, frozenset(group))
        loads += len(set(group) - there)
        there = set(group)
    assert len(done) == len(steps(root))
    assert loads == found.loads == least(root, sizes, memory)


@law(exprs, sizes, share=10)
def test_what_fits_together_stays_together(node: Expr, sizes: dict[str, int]) -> None:
    root = lower(normal_form(node)).root
    used = {model for model, _ in steps(root)}
    found = residency(root, sizes, sum(sizes[name] for name in used))
    assert found.together
    assert found.phases == (tuple(found.sizes),)
    assert set(found.sizes) == used


def test_a_model_that_fits_in_no_way_is_named() -> None:
    found = residency(lower(chain("E:a >> J:b").body).root, {"a": 9, "b": 2}, 8)
    assert found == Residency({"a": 9, "b": 2}, 8)
    assert found.too_large == ("a",)


def test_names_of_one_model_are_one() -> None:
    root = lower(chain("E:a >> J:b >> V:c").body).root
    found = residency(root, {"a": 6, "b": 6}, 8, {"c": "a"})
    assert found.phases == (("a",), ("b",), ("a",))


def test_a_part_that_is_asked_only_after_a_failure_costs_no_load() -> None:
    step = lower(chain("fallback(E:a, E:b)").body).root
    assert isinstance(step, Fallback)
    assert residency(step, {"a": 6, "b": 6}, 8).loads == 1


@pytest.mark.slow
def test_many_models_are_planned_in_no_time() -> None:
    """Where the least number is out of reach, what is found is still a plan."""
    ways = ((n % 7, n * 3 % 7, n * 5 % 7, (n + 3) % 7) for n in range(12))
    parts = ["(E:m{} >> V:m{} >> V:m{} >> V:m{})".format(*way) for way in ways]
    root = lower(chain(f"({' & '.join(parts)}) >> J:m0").body).root
    sizes = {f"m{number}": 1 for number in range(7)}
    found = residency(root, sizes, 3)
    done = frozenset[int]()
    for group in found.phases:
        done = ran(steps(root), done, frozenset(group))
    assert len(done) == len(steps(root)) == 49
