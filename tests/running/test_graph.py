"""Steps that start once what they read is there: times on a virtual clock, failures, and parts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chainlang import Chain, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Failure, Request
from chainlang.session.result import Result

OPS = """
op of_b : generate { user = "{{ query }} {{ b.answer }}" }
op of_c : generate { user = "{{ query }} {{ c.answer }}" }
op of_both : generate { user = "{{ query }} {{ b.answer }} {{ c.answer }}" }
op alone : generate { user = "{{ query }}" }
"""
FUNCTIONS: dict[str, Any] = {"keep": lambda answer: answer, "fetch": lambda *, query: query}


def written(text: str) -> Chain:
    used = {name: one for name, one in FUNCTIONS.items() if f"@{name}" in text}
    return load(text=f"{OPS}main = {text}", functions=used)


def engine(**settings: Any) -> FakeEngine:
    """Return an engine whose models take the seconds in their names, and fail with an ``x``."""

    def failures(request: Request) -> Failure | None:
        bad = request.model.startswith("x")
        return Failure("", "engine", f"{request.model} is down") if bad else None

    def latency(request: Request) -> float:
        return float(re.findall(r"\d+", request.model)[0])

    return FakeEngine(failures=failures, latency=latency, **settings)


def one(text: str, **settings: Any) -> Result:
    return next(iter(written(text).map(["q"], engine=engine(), **settings)))


@pytest.mark.quick(8)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # A stage waits for the parts that it reads, not for those beside them.
        ("E:m1 >> (b = E:m2 & c = E:m9) >> (of_b:m8 & of_c:m1)", 11),
        ("E:m1 >> (b = E:m2 & c = E:m9) >> of_b:m8", 11),
        ("(b = E:m1) >> (c = E:m5(fresh=true)) >> of_b:m5 >> of_both:m1", 6),
        # What reads nothing before it starts at once; what reads candidates waits for them alone.
        ("E:m9 >> E:m4(fresh=true) >> J:m4", 9),
        ("E:m9 >> E:m4(fresh=true) >> J:m6", 10),
        ("E:m9 >> (b = E:m4(fresh=true) >> J:m4) >> of_b:m2", 10),
        # A combinator is one step: it waits for all that is read inside, and its inside follows.
        ("E:m1 >> (b = E:m2 & c = E:m9) >> timeout(of_b:m8 >> of_c:m1, seconds=10)", 18),
        ("E:m1 >> (b = E:m2 & c = E:m9) >> timeout(of_b:m8, seconds=8.5)", 11),
        ('(b = E:m3) >> E:m9(fresh=true) >> route(by="\'x\'", arms={"x": of_b:m2})', 9),
        ('(b = E:m3) >> E:m9(fresh=true) >> each(of_b:m2, over="[1, 2]")', 9),
        ('(b = E:m3) >> E:m9(fresh=true) >> each(of_b:m2, over="candidates")', 11),
        ('(b = E:m3) >> E:m9(fresh=true) >> loop(of_b:m2, until="round == 1", max=3)', 9),
        ("(b = E:m3) >> E:m9(fresh=true) >> fallback(of_b:m2, E:m1)", 11),
        ("(b = E:m3) >> E:m9(fresh=true) >> fallback(of_b:m2, E:m1(fresh=true))", 9),
        # A condition reads the candidates if one of its names may be a field of theirs.
        ('(b = E:m3) >> E:m9(fresh=true) >> each(of_b:m2, over="[query]")', 9),
        ('(b = E:m3) >> (E:m9(fresh=true) >> M) >> each(of_b:m2, over="[query]")', 9),
        ('(b = E:m3) >> (E:m9(fresh=true) >> M) >> each(of_b:m2, over="[votes]")', 11),
        ('(b = E:m3) >> E:m9(fresh=true) >> @keep >> each(of_b:m2, over="[query]")', 11),
        ('(b = E:m3) >> V:m9 >> route(by="verdict", arms={"no": alone:m1}, default=of_b:m2)', 14),
        ('(b = E:m3) >> V:m9 >> route(by="b.answer", arms={"no": alone:m1}, default=of_b:m2)', 12),
        # Its inside is a graph of its own.
        ("timeout(E:m9 >> E:m4(fresh=true) >> J:m4, seconds=20)", 9),
        ('each(E:m9 >> E:m4(fresh=true) >> J:m4, over="[1, 2]")', 9),
        # The runs of a repeat are apart from each other.
        ("E:m1 >> (b = E:m2 & c = E:m9) >> 2 * (of_b:m3 >> of_c:m4)", 14),
        ("E:m1 >> (b = E:m2 & c = E:m9) >> 2 * (alone:m6 >> of_b:m3)", 10),
        # A name of several steps is there once all of them are.
        ("E:m1 >> (b = (E:m2 & E:m4)) >> E:m9(fresh=true) >> of_b:m1", 9),
        ("E:m1 >> (b = E:m2 >> J:m4) >> E:m9(fresh=true) >> of_b:m1", 9),
        # Arms that stay apart start early too, each by itself.
        ("(b = E:m3) >> E:m9 >> (of_b:m8 | J:m1)", 13),
        ("E:m3 >> ((E:m9 >> alone:m4) | J:m1)", 12),
        # A function waits for all before it, and what comes after it does not wait for it.
        ("E:m3 >> @fetch >> of_now:m2".replace("of_now", "alone"), 3),
        ("E:m3 >> (b = @fetch) >> of_b:m2", 5),
    ],
)
def test_a_step_starts_once_what_it_reads_is_there(text: str, seconds: float) -> None:
    assert one(text).seconds == seconds
    assert one(text).flow == one(text, passes=()).flow


@pytest.mark.parametrize(
    "text",
    [
        "fallback(E:m1 >> E:m1(fresh=true), E:m1)",
        "retry(E:m1 >> E:m1(fresh=true), times=2)",
        "fallback(timeout(E:m1 >> E:m1(fresh=true), seconds=9), E:m1)",
    ],
)
def test_nothing_starts_early_where_a_failure_is_control_flow(text: str) -> None:
    assert one(text).seconds == 2
    assert one("E:m1 >> E:m1(fresh=true)", row_calls=9).seconds == 2


@pytest.mark.parametrize(
    ("text", "message", "seconds"),
    [
        # The later one has failed first, and the row waits for the one written before it.
        ("E:x5 >> E:x1(fresh=true)", "x5 is down", 5),
        ("E:m5 >> E:x1(fresh=true)", "x1 is down", 5),
        # What is written before goes on, also with steps that had not begun.
        ("((b = E:m2) >> of_b:x3) & E:x1", "x3 is down", 5),
        ("((b = E:m2) >> E:m9(fresh=true) >> of_b:m3 >> alone:x1) & E:x2", "x1 is down", 9),
        # What is written after is aborted.
        ("(b = E:m1) >> (c = E:x2(fresh=true)) >> of_b:m9", "x2 is down", 2),
        ("(b = E:x1) >> E:m9(fresh=true)", "x1 is down", 1),
    ],
)
def test_a_failure_is_the_first_in_written_order(text: str, message: str, seconds: float) -> None:
    for passes in (("default",), ()):
        found = one(text, passes=passes)
        assert found.failure is not None
        assert found.failure.message == message
        if passes:
            assert found.seconds == seconds


def test_an_arm_fails_alone_and_ends_what_is_written_after_in_it() -> None:
    text = "(b = E:m2) >> E:m4 >> ((of_b:x1 >> alone:m9) | (x = of_b:m5) | (alone:x6 >> V:m9))"
    for passes in (("default",), ()):
        found = one(text, passes=passes)
        assert [arm.ok for arm in found.branches.values()] == [False, True, False]
        said = [arm.failure and arm.failure.message for arm in found.branches.values()]
        assert said == ["x1 is down", None, "x6 is down"]
        assert "b" in found.branches["x"].history
        if passes:
            assert found.seconds == 7
    found = one("(b = E:x3) >> E:m4 >> (of_b:x1 | alone:m1)")
    assert found.failure is not None
    assert found.failure.message == "x3 is down"
    assert not found.branches


def test_a_step_that_is_aborted_leaves_no_event() -> None:
    text = "E:m3 >> E:x5(fresh=true) >> fallback(E:x1(fresh=true), E:m1(fresh=true)) >> V:m1"
    for passes in (("default",), ()):
        found = one(text, passes=passes)
        assert found.failure is not None
        assert found.events == ()


def test_a_part_of_a_round_is_of_that_round() -> None:
    for body in (
        "(x = E:m1) & (y = E:m2)",
        "(x = E:m1) & E:m2",
        "E:m2 & (x = E:m1)",
        "(x = E:m1) >> E:m2(fresh=true)",
    ):
        for passes in (("default",), ()):
            found = one(f'E:m1 >> loop({body}, until="round == 1")', passes=passes)
            (candidate,) = found.history["x"].candidates
            assert "+1" in candidate.place


def test_a_stage_before_a_branch_that_is_gathered_is_in_the_trace_once() -> None:
    for passes in (("default",), ()):
        found = one("(E:m1 & (E:m1 >> (E:m1 | E:m1))) >> M", passes=passes)
        assert [entry.stage for entry in found.trace] == ["E", "E", "E", "E", "M"]


def test_a_row_without_budget_fails_beside_an_arm_that_has_failed() -> None:
    found = one("E:x1 | 3:E:m1", row_calls=3)
    assert found.failure is not None
    assert found.failure.message.startswith("row_calls=3 is used up")


def test_equal_graphs_of_two_texts_keep_their_spans() -> None:
    for before in ("", "  "):
        made = chain(f"{before}E:m1 >> E:x1(fresh=true)")
        (found,) = made.map(["q"], engine=engine())
        assert found.failure is not None
        assert found.failure.span is not None
        assert found.failure.span.start == len(before) + 8


def test_the_plan_says_what_each_step_waits_for() -> None:
    page = str(written("E:m1 >> (b = E:m2 & c = E:m9) >> (of_b:m8 & of_c:m1) >> J:m1").explain())
    assert "at 2/&0  waits for b" in page
    assert "at 2/&1  waits for c" in page
    assert "at 3\n" in page
    assert "longest path of a row: 4 requests" in page
    early = str(chain("E:a >> E:b(fresh=true) >> J").explain())
    assert "at 1  starts with 0" in early
    assert "longest path of a row: 2 requests" in early
    asked = str(written("E:m3 >> @fetch >> J:m1").explain())
    assert "not @fetch: @fetch may have side effects" in asked
