"""Frozen policies: a chain of policies is the chain of the models that they choose."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import assume, event
from hypothesis import strategies as st

from chainlang import Chain, models
from chainlang.errors import MeaningError
from chainlang.ir.nodes import Expr, Node, Stage
from chainlang.ir.visit import transform, walk
from chainlang.optimizer.registry import DEFAULT
from chainlang.session.result import Result
from tests.laws import law
from tests.laws.control import BOUND, READERS, ROWS, chains

NAMES = ("a", "b", "c")
measures = st.tuples(st.integers(1, 9), st.integers(0, 10), st.integers(1, 9))
weights = st.dictionaries(
    st.sampled_from(["cost", "accuracy", "latency"]), st.integers(1, 9), min_size=1
)
Facts = dict[str, tuple[int, int, int]]


def best(known: Facts, weighed: dict[str, int]) -> str:
    """Return the model that a policy has to choose, by another way than the policy's own."""
    better = {"cost": (0, -1), "accuracy": (1, 1), "latency": (2, -1)}

    def score(name: str) -> float:
        total = 0.0
        for measure, weight in sorted(weighed.items()):
            at, sign = better[measure]
            worse = [sign * (known[name][at] - one[at]) for one in known.values()]
            spread = max(one[at] for one in known.values()) - min(one[at] for one in known.values())
            total += weight * (max(worse) / spread if spread else 1)
        return total

    scores = {name: score(name) for name in NAMES}
    assume(sorted(scores.values())[-1] - sorted(scores.values())[-2] > 1e-6)  # no tie by rounding
    return max(scores, key=lambda name: scores[name])


def with_models(body: Expr, names: dict[str, str]) -> Expr:
    def change(node: Node) -> Node:
        return evolve(node, model=names[node.model]) if is_named(node) else node

    def is_named(node: Node) -> bool:
        return isinstance(node, Stage) and node.model in names

    return transform(body, change)


@law(
    chains(),
    st.fixed_dictionaries(dict.fromkeys(NAMES, measures)),
    weights,
    weights,
    st.lists(st.sampled_from(DEFAULT), unique=True),
    st.integers(1, 4),
    ci=60,
)
def test_a_frozen_policy_is_the_model_that_it_chooses(
    body: Expr,
    known: Facts,
    one: dict[str, int],
    other: dict[str, int],
    passes: list[str],
    window: int,
) -> None:
    named = [node.model for node in walk(body) if isinstance(node, Stage) and node.model]
    assume({"a", "b"} & {*named})
    declared = {
        name: models.fake(
            name,
            price={"input": cost, "output": cost},
            facts={"accuracy": accuracy / 10, "latency": latency},
        )
        for name, (cost, accuracy, latency) in known.items()
    }
    policies = {
        "first": models.weighted(list(NAMES), **one),
        "second": models.weighted(list(NAMES), **other),
    }
    wanted = {"a": best(known, one), "b": best(known, other)}
    event(f"chosen: {len({*wanted.values()})} of 3")
    chosen, plain = (
        Chain(with_models(body, names), READERS, bound=BOUND)
        for names in ({"a": "@first", "b": "@second"}, wanted)
    )
    assume(is_sound(plain))
    with models.use(declared, tiny=declared["a"], **policies):
        before, after = (
            said(it, passes=tuple(order), window=width)
            for it, order, width in ((chosen, passes, window), (plain, (), 1))
        )
    assert before == after


def is_sound(made: Chain) -> bool:
    """Return whether a chain may be run: the strategy's chains may read a round outside a loop."""
    try:
        made.check()
    except MeaningError:
        return False
    return True


def said(made: Chain, **settings: Any) -> list[Any]:
    """Return what a chain gives for each row: its answers, or the cause of its failure."""
    rows = [{**row, "id": str(number)} for number, row in enumerate(ROWS)]
    return [told(one) for one in made.map(rows, seed=7, on_error="collect", **settings)]


def told(one: Result) -> Any:
    if one.branches:
        return {name: told(it) for name, it in one.branches.items()}
    if one.failure is not None:
        return one.failure.cause, one.failure.stage
    return [(it.answer, it.fields, it.model) for it in one.candidates]
