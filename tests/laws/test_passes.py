"""The optimizer changes cost and no result: any chain, any passes, and whatever is looked at."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, event
from hypothesis import strategies as st

from chainlang.analysis.program import Program
from chainlang.engines.fake import FakeEngine
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Named, Option, Stage
from chainlang.ir.normalize import normal_form
from chainlang.notation import parse_file
from chainlang.optimizer.compile import Compiled, compiled
from chainlang.optimizer.registry import DEFAULT, NAMES
from chainlang.plan.estimate_cost import counts
from chainlang.plan.lower import lower
from chainlang.plan.visit import named as named_parts
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.outputs import WHOLE
from chainlang.semantics.record import Branched, Candidate, Flow, events_of
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.voting import still_needed, vote
from tests.laws import law
from tests.laws.control import (
    BOUND,
    READERS,
    ROWS,
    Faults,
    call,
    chains,
    checked,
    conditions,
    faults,
    faulty,
    keys,
    latency,
    meant,
    readers,
    said,
    shaky,
    stages,
    table,
    varying,
)
from tests.laws.wired import wired
from tests.strategies import short, tidy

SAVING = ("drop_unread", "stop_vote")
"""Passes that leave out what may fail, and so may save a row or an arm."""
passes = st.one_of(st.just(DEFAULT), st.lists(st.sampled_from(DEFAULT), unique=True))
lossy_too = st.one_of(st.just(NAMES), st.lists(st.sampled_from(NAMES), unique=True))

_OPS = parse_file("""
op mood : generate -> "good" | "bad" | "so so" { user = "{{ query }}" }
op own : generate -> { answer: one("choices"), sure: bool } { user = "{{ query }}" }
op rate : map -> { answer: int(1..15), sure: bool } { user = "{{ query }} {{ candidate.answer }}" }
op pick : fold -> { number: int } {
  choose = "number" user = "{{ query }}{% for one in candidates %} {{ one.answer }}{% endfor %}"
}
""").node.items
OPS = (*READERS, *_OPS)

# Chains in which the passes find something to do: unread stages, votes, the same question twice,
# types of few values.
fresh = st.builds(
    lambda count, temperature: Stage("E", count, None, temperature, (Option("fresh", True),)),
    st.integers(1, 3),
    st.sampled_from([None, 0.0, 1.0]),
)
votes = st.builds(
    lambda count, model: build.then(Stage("E", count, model, 0.9), Stage("M")),
    st.integers(3, 9),
    st.sampled_from([None, "a"]),
)
moods = st.builds(
    lambda count, short: build.then(
        Stage("mood", count, None, 0.9, (Option("need", max(1, count - short)),)), Stage("M")
    ),
    st.integers(3, 9),
    st.integers(0, 8),
)
"""Votes on samples of which some may fail."""
both = st.builds(lambda one, other: build.then(build.join(one, other), Stage("M")), stages, stages)
few = st.builds(
    lambda name, count, temperature: Stage(name, count, None, temperature),
    st.sampled_from(["mood", "own", "rate", "pick"]),
    st.integers(1, 3),
    st.sampled_from([None, 0.9]),
)
simple = short(st.one_of(stages, varying, fresh, votes, moods, both, few))
ends = st.builds(build.then, simple, fresh)
"""Sequences whose first part nothing reads."""
bodies = short(st.one_of(simple, ends, ends, st.builds(build.then, simple, votes)))
_controlled = st.one_of(
    st.lists(bodies, min_size=2, max_size=3).map(lambda parts: call("fallback", *parts)),
    st.builds(
        lambda part, times, on: call("retry", part, times=times, on=on),
        bodies,
        st.sampled_from([None, 1, 4]),
        st.sampled_from([None, "reply", ("engine", "transport", "refused", "input")]),
    ),
    bodies.map(lambda part: call("timeout", part, seconds=1e6)),
    st.builds(
        lambda by, part, default: call("route", by=by, arms=table({"math": part}), default=default),
        keys, bodies, bodies,
    ),
    st.builds(
        lambda part, until, most: call("loop", part, until=until, max=most),
        bodies, conditions, st.sampled_from([None, 1, 2]),
    ),
    bodies.map(lambda part: call("each", part, over="documents")),
    st.builds(
        lambda label, part, last: call(
            "each", build.then(Named(label, part), last), over="documents"
        ),
        st.sampled_from(["fr", "x", "y"]), bodies, readers,
    ),
)  # fmt: skip
controlled = short(_controlled)
within = st.recursive(
    st.one_of(controlled, st.builds(build.then, controlled, fresh)),
    lambda inner: st.one_of(
        st.builds(lambda one, other: call("fallback", one, other), inner, bodies),
        inner.map(lambda part: call("retry", part)),
        st.builds(build.join, inner, bodies),
        st.builds(build.then, fresh, inner),
    ),
    max_leaves=2,
)
"""Combinators, some of them inside each other, with parts that nothing reads."""
named = st.builds(Named, st.sampled_from("pqr"), stages)
parts = st.one_of(stages, fresh, votes, moods, moods, both, few, named, within, within)


@st.composite
def improvable(draw: st.DrawFn) -> Expr:
    steps = draw(st.lists(parts, min_size=1, max_size=4))
    first = draw(st.one_of(fresh, votes, st.builds(Named, st.just("first"), fresh)))
    end = draw(st.sampled_from([build.then, build.branch, build.join]))
    node = tidy(build.then(first, end(*steps) if len(steps) > 1 else steps[0]))
    return checked(wired(draw, node, OPS), OPS)


@st.composite
def wanted(draw: st.DrawFn, node: Expr) -> list[str] | None:
    names = [one.name for one in named_parts(lower(normal_form(node, OPS), OPS, BOUND).root)]
    some = st.lists(st.sampled_from([*WHOLE, *names]), min_size=1, max_size=3, unique=True)
    return draw(st.none() | st.just(["answer"]) | some)


def made(node: Expr, names: object, outputs: list[str] | None) -> Compiled:
    return compiled(Program(node, OPS, BOUND), passes=tuple(names), outputs=outputs)  # type: ignore[call-overload]


def ran(found: Compiled, rows: list[dict[str, object]], engine: FakeEngine) -> list[Outcome]:
    engines = dict.fromkeys(found.naive.models, engine)
    return list(run(Prepared(found.plan, engines, window=3), [record_of(row) for row in rows]))


def hold(node: Expr, names: object, outputs: list[str] | None, faults: Faults) -> None:
    """Hold what the passes make of a chain to the meaning of the chain."""
    found = made(node, names, outputs)
    for one in found.applied:
        event(f"{one.name} {'fired' if one.fired else 'did not'}")
    fired = [one.name for one in found.applied if one.fired]
    saving = [number for number, name in enumerate(fired) if name in SAVING]
    saved = fired[: saving[-1] + 1] if saving else []
    seen = found.naive.outputs
    rows = [*ROWS[:4], {**ROWS[1], "id": "9"}]
    for outcome in ran(found, rows, faulty(faults, latency=latency)):
        (row,) = (one for one in rows if one["id"] == outcome.row_id)
        meaning = meant(node, record_of(row), faulty(faults), OPS)
        if not isinstance(meaning, str):
            assert_alike(said(outcome), seen.of_flow(meaning), bool(saved))
        elif not saved:
            assert said(outcome) == meaning
        else:  # what failed may be what was left out: then the other passes change nothing
            (alone,) = ran(made(node, saved, outputs), [row], faulty(faults))
            assert said(outcome) == said(alone)


def assert_alike(found: Flow | str | None, meaning: Flow, saved: bool) -> None:
    """Hold each arm of a result to its meaning; one that is `saved` need not fail."""
    if isinstance(meaning, Branched):
        assert isinstance(found, Branched)
        assert found.start == meaning.start
        for (name, one), (other, arm) in zip(found.results, meaning.results, strict=True):
            assert name == other
            assert_alike(one, arm, saved)
    elif not (saved and isinstance(meaning, RowFailure)):
        assert found == meaning


@law(st.data(), chains(), passes, faults, share=2)
def test_what_is_looked_at_is_what_the_chain_means(
    data: st.DataObject, node: Expr, names: list[str], faults: Faults
) -> None:
    hold(node, names, data.draw(wanted(node)), faults)


@law(st.data(), improvable(), passes, faults)
def test_it_is_so_where_there_is_much_to_improve(
    data: st.DataObject, node: Expr, names: list[str], faults: Faults
) -> None:
    hold(node, names, data.draw(wanted(node)), faults)


@law(st.builds(build.then, fresh, within), faults.filter(bool))
def test_what_fails_inside_a_combinator_fails_there_with_all_passes(
    node: Expr, faults: Faults
) -> None:
    """Hold the passes to the meaning where a failure is what decides: nothing else is looked at."""
    hold(checked(tidy(node), OPS), DEFAULT, ["answer"], faults)


@law(improvable(), passes, st.permutations([0, 0, 1, 2, 1]), st.sampled_from([1, 2, 100]))
def test_equal_rows_are_what_each_would_be(
    node: Expr, names: list[str], order: list[int], window: int
) -> None:
    rows = [{"query": f"question {number}"} for number in order]
    found = made(node, names, None)
    engines = dict.fromkeys(found.naive.models, shaky(latency=latency))
    outcomes = list(
        run(Prepared(found.plan, engines, window=window), [record_of(row) for row in rows])
    )
    assert [outcome.index for outcome in outcomes] == list(range(len(rows)))
    for row, outcome in zip(rows, outcomes, strict=True):
        assert said(outcome) == meant(node, record_of(row), shaky(), OPS)


@law(improvable(), share=2)
def test_no_more_is_drawn_than_without_passes(node: Expr) -> None:
    def drawn(names: tuple[str, ...]) -> tuple[int, Counter[object]]:
        samples: Counter[object] = Counter()

        def count(request: Request) -> Failure | None:
            for number in range(request.drawn):
                hot = request.sampling.temperature > 0
                samples[request.messages, request.model, hot and request.seed + number] += 1
            return None

        outcomes = ran(made(node, names, ["answer"]), ROWS[:2], FakeEngine(failures=count))
        if not names:
            assume(not any(one.failure for one in outcomes))  # a part without candidates to read
        assert not any(one.failure for one in outcomes)
        assert sum(one.usage.calls for one in outcomes) == samples.total()
        return samples.total(), samples

    many, whole = drawn(())
    few, samples = drawn(DEFAULT)
    assert few <= many
    assert samples.keys() <= whole.keys()


@law(st.data(), st.one_of(chains(), improvable()), lossy_too, st.booleans())
def test_a_row_costs_what_was_said_of_it(
    data: st.DataObject, node: Expr, names: list[str], agree: bool
) -> None:
    alone = [name for name in names if name != "share_equal_work"]  # then some may cost nothing
    found = made(node, alone, data.draw(wanted(node)))
    requests: Counter[str] = Counter()
    samples: Counter[str] = Counter()

    def count(request: Request) -> Failure | None:
        requests[request.model] += 1
        samples[request.model] += request.drawn
        return None

    def same(request: Request, _: int) -> str | None:
        return None if request.schema else "4"

    engine = FakeEngine(answers=same if agree else None, failures=count)
    (outcome,) = ran(found, ROWS[3:4], engine)
    assume(outcome.failure is None)
    assume(all(one.kind == "lossy" for one in events_of(outcome.flow)))
    said = counts(found.plan)
    for model in {*requests, *said.models}:
        cost = said.models[model]
        for number, bounds in ((requests, cost.requests), (samples, cost.samples)):
            assert bounds.least <= number[model] <= (bounds.most or number[model])


def orders(length: int, first: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Return every way in which answers can follow each other, named as they first come."""
    if len(first) == length:
        return [first]
    new = max(first, default=-1) + 1
    return [one for name in range(new + 1) for one in orders(length, (*first, name))]


@pytest.mark.slow
def test_a_vote_that_stops_has_the_winner_of_all_whatever_they_are() -> None:
    for length in range(1, 10):
        saved: Flow | int = 0
        for order in orders(length):
            candidates = [Candidate(f"{name}") for name in order]
            drawn = 0
            while wave := still_needed(candidates[:drawn], length - drawn):
                drawn += wave
            assert drawn <= length
            assert vote(candidates[:drawn]).answer == vote(candidates).answer
            saved += length - drawn
            if drawn < length:  # and not one could have been left out of those that were drawn
                assert still_needed(candidates[:drawn], length - drawn) == 0
        assert saved or length < 2


@pytest.mark.slow
def test_a_vote_does_not_stop_before_it_is_decided() -> None:
    for length in range(1, 8):
        for order in orders(length):
            for drawn in range(length):
                if still_needed([Candidate(f"{one}") for one in order[:drawn]], length - drawn):
                    continue
                winner = vote([Candidate(f"{one}") for one in order[:drawn]]).answer
                ends = [one for one in orders(length) if one[:drawn] == order[:drawn]]
                answers = {vote([Candidate(f"{it}") for it in one]).answer for one in ends}
                assert answers == {winner}
