"""The passes that may change a result: their rules, where they run, and what they say of it."""

from __future__ import annotations

import itertools
import json
import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import Chain, chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Stage
from chainlang.optimizer.registry import DEFAULT, LOSSY
from chainlang.protocol.messages import Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Branched, Candidate, Flow, events_of, failures_of
from chainlang.semantics.stopping_rules import THRESHOLD, WINDOW, likely, needed
from chainlang.semantics.voting import still_needed, tally, vote
from chainlang.session.result import Result
from tests.laws import law
from tests.laws.control import ROWS, checked, latency, meant, said, shaky, stages
from tests.laws.test_passes import OPS, improvable, made, orders, ran

LOSSY_NAMES = [one.__name__ for one in LOSSY]
RULES = [name for name in LOSSY_NAMES if name != "ask_until_agreement"]


def candidates(order: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(f"{name}") for name in order]


def drawn(rule: str, order: tuple[int, ...]) -> int:
    """Return how many samples a rule draws of these, in its waves."""
    found = 0
    while wave := needed(rule, candidates(order[:found]), len(order) - found):  # type: ignore[arg-type]
        found += wave
    return found


# ---------------------------------------------------------------- the rules, against the papers


def posterior(lead: int, second: int) -> Fraction:
    """Return P(p > 1/2) for p ~ Beta(lead + 1, second + 1), as a fraction: by a binomial tail."""
    number = lead + second + 1
    return Fraction(sum(math.comb(number, k) for k in range(lead + 1)), 2**number)


def test_the_criterion_is_the_integral_of_the_beta_density() -> None:
    for lead in range(30):
        for second in range(lead + 1):
            assert math.isclose(likely(lead, second), posterior(lead, second), abs_tol=1e-12)
    steps = 20_000  # the integral itself, for one of them
    density = (((n + 0.5) / steps) ** 6 * (1 - (n + 0.5) / steps) ** 2 for n in range(steps))
    upper = sum(one for n, one in enumerate(density) if n >= steps // 2) / steps
    beta = math.gamma(7) * math.gamma(3) / math.gamma(10)
    assert math.isclose(upper / beta, likely(6, 2), rel_tol=1e-6)
    assert likely(600_000, 599_000) < likely(600_000, 590_000) <= 1.0


def one_by_one(order: tuple[int, ...]) -> int:
    """Return how many samples adaptive consistency draws: it looks after each."""
    for found in range(len(order)):
        votes = sorted(tally(candidates(order[:found])).values(), reverse=True)
        lead, second = (*votes, 0, 0)[:2]
        if posterior(lead, second) > Fraction(THRESHOLD):
            return found
        if not still_needed(candidates(order[:found]), len(order) - found):
            return found
    return len(order)


@pytest.mark.slow
def test_adaptive_consistency_draws_in_waves_what_it_draws_one_by_one() -> None:
    early = 0
    few = [one for length in range(1, 8) for one in orders(length)]
    for order in [*few, *itertools.product([0, 1], repeat=10)]:
        assert drawn("adaptive_consistency", order) == one_by_one(order)
        early += drawn("adaptive_consistency", order) < drawn("exact", order)
    assert early


def test_early_stopping_ends_with_the_first_window_that_agrees() -> None:
    for order in orders(6):
        for twice in (order, (*order, *order[::-1], *order)):
            found = drawn("early_stopping_consistency", twice)
            windows = [twice[at : at + WINDOW] for at in range(0, found, WINDOW)]
            assert not any(len(set(one)) == 1 and len(one) == WINDOW for one in windows[:-1])
            if found < len(twice):
                agree = len(set(windows[-1])) == 1
                decided = not still_needed(candidates(twice[:found]), len(twice) - found)
                assert agree or decided


def test_of_samples_that_agree_every_rule_has_the_winner() -> None:
    for rule in RULES:
        for length in range(1, 30):
            same = (0,) * length
            found = drawn(rule, same)
            assert vote(candidates(same[:found])).answer == vote(candidates(same)).answer
            assert found <= max(length // 2 + 1, WINDOW)


@pytest.mark.slow
def test_a_lossy_rule_can_be_wrong_and_is_rarely() -> None:
    """With three of four samples right on average, of 2,000 votes of 15."""
    chance = random.Random(5)
    for rule in RULES:
        other = samples = 0
        for _ in range(2000):
            order = tuple(0 if chance.random() < 0.75 else chance.randint(1, 3) for _ in range(15))
            found = drawn(rule, order)
            samples += found
            other += vote(candidates(order[:found])).answer != vote(candidates(order)).answer
        assert samples < 0.75 * 2000 * 15
        assert other < 0.02 * 2000
    wrong = (0, 0, 0, 0, 0, *[1] * 10)
    for rule in RULES:
        assert vote(candidates(wrong[: drawn(rule, wrong)])).answer == "0"
        assert vote(candidates(wrong)).answer == "1"


# ---------------------------------------------------------------- the passes


def test_no_lossy_pass_runs_unless_it_is_named() -> None:
    assert LOSSY_NAMES
    assert not set(LOSSY_NAMES) & set(DEFAULT)
    voted = chain("15:E >> M")
    assert voted.explain().compiled.plan.lossy == ()
    page = voted.explain(passes=("default", *LOSSY_NAMES))
    assert page.compiled.plan.lossy == ("adaptive_consistency",)
    assert "+ adaptive_consistency (lossy)" in str(page)
    assert "adaptive_consistency ends it" in str(page)


def told(voted: Chain, order: tuple[int, ...], **settings: object) -> tuple[Result, int]:
    """Return the result of a chain whose samples are scripted, and how many were drawn."""
    calls = 0

    def answers(request: Request, index: int) -> str:
        nonlocal calls
        calls += 1
        return str(order[(request.seed + index - first) % len(order)])

    first = 0

    def note(request: Request) -> None:
        nonlocal first
        first = first or request.seed

    engine = FakeEngine(answers=answers, failures=note)
    (result,) = voted.map([{"id": "1", "query": "q"}], engine=engine, **settings)
    return result, calls


def failed_inside(flow: Flow) -> bool:
    """Return whether an arm of a result failed, or a part of it did and another took its place."""
    return bool(failures_of(flow)) or any(
        one.kind in {"fallback", "retry", "need"} for one in events_of(flow)
    )


@law(improvable(), st.sampled_from(RULES), share=4)
def test_the_answer_is_the_exact_one_where_no_vote_was_left_open(node: Expr, name: str) -> None:
    found = made(node, (*DEFAULT, name), ["answer"])
    for outcome in ran(found, [*ROWS[:3]], shaky(latency=latency)):
        (row,) = (one for one in ROWS if one["id"] == outcome.row_id)
        meaning = meant(node, record_of(row), shaky(), OPS)
        if isinstance(meaning, str) or failed_inside(meaning) or outcome.flow is None:
            continue  # what was not drawn may have been what failed
        if not any("could have changed it" in one.message for one in events_of(outcome.flow)):
            assert answers(outcome.flow) == answers(meaning)


several = st.lists(stages.filter(lambda one: one.name != "M"), min_size=2, max_size=3)


@law(several, st.booleans(), share=2)
def test_agreement_ends_a_vote_which_asks_in_order_until_all_agree(
    operands: list[Stage], alike: bool
) -> None:
    node = checked(build.then(Stage("E"), build.join(*operands), Stage("M")))
    found = made(node, ("ask_until_agreement",), None)
    engine = FakeEngine(answers=lambda request, _: None if request.schema else "4")
    engine = engine if alike else shaky()
    for outcome in ran(found, [*ROWS[:2]], engine):
        (row,) = (one for one in ROWS if one["id"] == outcome.row_id)
        if outcome.flow is None or not events_of(outcome.flow):
            assert said(outcome) == meant(node, record_of(row), engine)
            continue
        (told,) = events_of(outcome.flow)
        _, *run, voted = outcome.flow.trace  # type: ignore[union-attr]
        assert len(run) < len(operands)
        asked = tuple(one for stop in run for one in stop.candidates)
        assert len({str(one.answer).strip() for one in asked}) == 1
        assert told.message.endswith(f"{len(asked)} answers agree")
        assert voted.candidates[0].answer == asked[0].answer
        for number in range(1, len(run)):  # and not before
            before = [str(one.answer).strip() for stop in run[:number] for one in stop.candidates]
            assert len(set(before)) > 1 or len(before) == 1


def test_agreement_ends_a_vote_which_asks_the_large_model_where_the_small_one_is_not_sure() -> None:
    def answer(request: Request, index: int) -> str:
        sure = "sure" in request.messages[-1].text
        return "42" if sure else str(request.seed + index)

    engine = FakeEngine(answers=answer)
    voted = chain("(3:E:small & 2:E:large) >> M")
    sure, other = voted.map(
        ["sure", "else"], engine=engine, passes=("default", "ask_until_agreement")
    )
    assert (sure.usage.calls, other.usage.calls) == (3, 5)
    assert [one.message for one in sure.events] == [
        "ask_until_agreement did not ask large: 3 answers agree"
    ]
    assert not other.events
    assert sure["votes"] == {'"42"': 3}


def answers(flow: Flow) -> list[Any]:
    records = flow.records() if isinstance(flow, Branched) else [flow]
    return [one.candidates[0].answer if one.candidates else None for one in records]


def test_a_run_says_what_lossy_passes_did(tmp_path: Path) -> None:
    voted = chain("15:E >> M")
    engine = FakeEngine(answers={"": "42"})
    chosen = (*DEFAULT, "adaptive_consistency")
    summary = voted.run(["a", "b"], tmp_path / "run", engine=engine, passes=chosen)
    assert summary.events == {"lossy": 2}
    assert summary.usage.calls == 8
    told = json.loads((tmp_path / "run" / "metadata.json").read_text())
    assert told["settings"]["lossy"] == ["adaptive_consistency"]
    assert told["events"] == {"lossy": 2}
    assert "results may differ: adaptive_consistency" in (tmp_path / "run" / "plan.txt").read_text()
    (line, _) = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert "after 4 of 15 samples" in json.loads(line)["message"]
    with pytest.raises(SourceError, match=r"settings\.lossy was"):
        voted.run(["a", "b"], tmp_path / "run", engine=engine)


@pytest.mark.parametrize("name", RULES)
@law(st.lists(st.integers(0, 2), min_size=9, max_size=24).map(tuple), share=4)
def test_a_vote_that_was_ended_is_that_of_the_samples_that_were_drawn(
    name: str, order: tuple[int, ...]
) -> None:
    result, calls = told(chain(f"{len(order)}:E >> M"), order, passes=(*DEFAULT, name))
    assert calls == drawn(name, order)
    assert result.answer == vote(candidates(order[:calls])).answer
    assert sum(result["votes"].values()) == calls
    if calls == len(order):
        assert not result.events
    else:
        (event,) = result.events
        assert event.kind == "lossy"
        assert event.message.startswith(f"{name} ended the vote after {calls} of {len(order)}")
        is_open = bool(still_needed(candidates(order[:calls]), len(order) - calls))
        assert ("could have changed it" in event.message) is is_open
