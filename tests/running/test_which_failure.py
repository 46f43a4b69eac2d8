"""The failure that a part reports, and the steps that it aborts, with and without passes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Failure, Request
from tests.running.test_control import Recorded, one

DOWN = {"a": "engine", "slow_a": "engine"}
"""Models that fail, each with its kind of failure; those that begin with ``slow`` take long."""


def down(**settings: Any) -> Recorded:
    def failures(request: Request) -> Failure | None:
        kind: Any = DOWN.get(request.model)
        return kind and Failure("", kind, f"{request.model} is down")

    def latency(request: Request) -> float:
        return 100.0 if request.model.startswith("slow") else 1.0

    return Recorded(failures=failures, latency=latency, **settings)


@pytest.mark.parametrize("passes", [(), ("default",)])
@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("fallback(E:a >> E:b(fresh=true), E:c)", "a c"),
        ("fallback(E:b >> E:a(fresh=true), E:c)", "b a c"),
        ("fallback(timeout(E:a >> E:b(fresh=true), seconds=9), E:c)", "a c"),
        ('fallback(loop(E:a >> E:b(fresh=true), until="true"), E:c)', "a c"),
        ('fallback(each(E:a >> E:b(fresh=true), over="[1]"), E:c)', "a c"),
        ('fallback(route(by="1", arms={"1": E:a >> E:b(fresh=true)}), E:c)', "a c"),
        ("fallback(fallback(E:a, E:a) >> E:b(fresh=true), E:c)", "a a c"),
        ('fallback(retry(E:a >> E:b(fresh=true), on="engine", times=2), E:c)', "a a c"),
    ],
)
def test_a_failure_inside_a_fallback_is_control_flow(
    text: str, models: str, passes: tuple[str, ...]
) -> None:
    found = one(text, engine=(engine := down()), passes=passes, outputs=["answer"])
    assert found.ok
    assert [request.model for request in engine.asked] == models.split()


@pytest.mark.parametrize("passes", [(), ("default",)])
def test_a_retry_of_a_sequence_has_the_samples_of_its_attempts(passes: tuple[str, ...]) -> None:
    failed = iter([True, False])

    def failures(request: Request) -> Failure | None:
        return Failure("", "engine", "no") if request.model == "a" and next(failed) else None

    text = 'retry(E:a >> E:b:0.7(fresh=true), on="engine")'
    found = one(text, engine=FakeEngine(failures=failures), passes=passes, outputs=["answer"])
    (second,) = chain(text).map(["q"], engine=FakeEngine(failures=lambda request: None))
    assert found.answer != second.answer  # of the second attempt, which has other seeds


@pytest.mark.parametrize(
    ("text", "message", "seconds"),
    [
        ("E:a & E:slow", "a is down", 1.0),
        ("(E:a & E:slow & E:slow) >> E", "a is down", 1.0),
        ("2 * (E:a >> E:slow)", "a is down", 1.0),
        ("E:slow & E:a", "a is down", 100.0),
        ("E:slow_a & E:a", "slow_a is down", 100.0),
        ("(E:slow >> E:slow_a) & E:a & E:slow", "slow_a is down", 200.0),
        ('each(E:a & E:slow, over="[1, 2]")', "a is down", 1.0),
        ("E:a >> E:slow(fresh=true)", "a is down", 1.0),
    ],
)
def test_a_failure_is_the_first_in_written_order_and_ends_what_comes_after(
    text: str, message: str, seconds: float
) -> None:
    found = one(text, engine=(engine := down()))
    assert found.failure is not None
    assert found.failure.message.startswith(message)
    assert engine.now == seconds


def test_a_part_that_is_aborted_leaves_nothing() -> None:
    closed: list[str] = []

    async def patient(answer: str) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            closed.append(answer)
        return answer

    made = chain("E >> fallback(E:a & (E:b >> @patient), E)", functions={"patient": patient})
    (found,) = made.map(["q"], engine=(engine := down()))
    assert found.ok
    assert [event.kind for event in found.events] == ["fallback"]
    assert [request.model for request in engine.asked] == ["tiny", "a", "b", "tiny"]
    assert closed == []  # it had not begun


def test_a_vote_that_is_decided_needs_no_more_samples() -> None:
    bad = {"mood": ['"good"', "no mood", '"good"', '"good"', '"good"', '"good"', '"good"']}
    op = 'op mood : generate -> "good" | "bad" { temperature = 0.7 user = "mood of {{ query }}" }\n'
    for count, need in ((7, 6), (7, 4), (7, 1)):
        made = load(text=f"{op}main = {count}:mood::0.9(need={need}) >> M")
        naive, early = (
            next(made.map(["q"], engine=FakeEngine(answers=bad), passes=passes, outputs=["answer"]))
            for passes in ((), ("default",))
        )
        assert (naive.answer, early.answer) == ("good", "good")
        assert early.usage.calls <= naive.usage.calls
    none = load(text=f"{op}main = 7:mood::0.9(need=7) >> M")
    (found,) = none.map(["q"], engine=FakeEngine(answers=bad), outputs=["answer"])
    assert not found.ok


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("fallback(3:E, E)", 2),
        ("E >> fallback(2:E, E)", 2),
        ("retry(2:E >> V, times=2)", 3),
        ("2:E(need=1) >> E(fresh=true)", 2),
    ],
)
def test_a_budget_of_the_row_is_of_the_row(text: str, calls: int) -> None:
    for passes in ((), ("default",)):
        found = one(text, engine=FakeEngine(), passes=passes, row_calls=calls)
        assert found.failure is not None
        assert found.failure.cause == "budget"


def test_what_a_budget_leaves_does_not_depend_on_passes() -> None:
    def failures(request: Request) -> Failure | None:
        return Failure("", "refused", "no") if request.seed % 2 else None

    for query in "abcdefgh":
        for text in ("3:E(need=1) >> E(fresh=true)", "E(need=1) >> 2:E(fresh=true)"):
            naive, found = (
                one(text, query, engine=FakeEngine(failures=failures), passes=passes, row_calls=3)
                for passes in ((), ("start_early",))
            )
            assert (naive.ok, naive.failure) == (found.ok, found.failure)
