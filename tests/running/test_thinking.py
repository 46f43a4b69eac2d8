"""Models that think before they reply: their reasoning stays apart, and ends at its budget."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import E, chain, load, retry
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import EngineError
from chainlang.ir.nodes import Expr, Option, Stage
from chainlang.ir.visit import transform
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.stream import Chunk
from chainlang.semantics.input_schema import record_of
from chainlang.session.result import Result
from tests.laws import law
from tests.laws.test_runtime import ROWS, _meant, _ran, _said, chains

LONG = "step " * 100  # 125 tokens


def thinking(*replies: Reply, **given: Any) -> FakeEngine:
    return FakeEngine(answers={"": list(replies)}, **given)


def kinds(result: Result) -> list[tuple[str, int | None]]:
    return [(one.kind, one.sample) for one in result.events]


# ---------------------------------------------------------------- apart


def test_a_vote_counts_answers_alone() -> None:
    replies = (Reply("42", "7 + 5 is 12"), Reply("41", "I guess"), Reply("42", "7 and 5: 12"))
    result = chain("3:E >> M")("17 + 25?", engine=thinking(*replies))
    assert (result.answer, result["votes"]) == ("42", {'"42"': 2, '"41"': 1})


def test_a_vote_leaves_out_replies_that_are_all_reasoning() -> None:
    replies = (Reply("", "42 or 41?"), Reply("42", "12"), Reply("42"), Reply("", "so 41"))
    result = chain("4:E(need=2) >> M")("17 + 25?", engine=thinking(*replies))
    assert result["votes"] == {'"42"': 2}
    assert kinds(result) == [("cut", 0), ("cut", 3), ("need", 0), ("need", 3)]
    assert result.events[0].message == (
        "the reply is all reasoning: the model ended it without an answer; "
        'sample again with retry, or write cut="keep"'
    )


def test_a_reply_that_is_all_reasoning_is_sampled_again_or_kept() -> None:
    first: list[int] = []

    def answers(request: Request, index: int) -> Reply:
        first.append(request.seed)
        return Reply("42" if request.seed != first[0] else "", "Hm.")

    again = retry(E, on="cut")("17 + 25?", engine=FakeEngine(answers=answers))
    assert (again.answer, kinds(again)) == ("42", [("cut", 0), ("retry", 0)])
    kept = E(cut="keep")("17 + 25?", engine=thinking(Reply("", "Hm.")))
    assert (kept.answer, kept.candidates[0].reasoning, kinds(kept)) == ("", "Hm.", [("cut", 0)])


# ---------------------------------------------------------------- a budget


def test_reasoning_ends_at_its_budget() -> None:
    engine = thinking(Reply("42", LONG), Reply("41", "short"), Reply("42", LONG))
    result = chain("3:E(thinking_tokens=8) >> M")("17 + 25?", engine=engine)
    assert result["votes"] == {'"42"': 2, '"41"': 1}
    drawn = result.trace[0].candidates
    assert [one.reasoning for one in drawn] == [LONG[:32], "short", LONG[:32]]
    assert [one.tokens for one in drawn] == [8 + 1 + 1, 2, 8 + 1 + 1]
    assert [one.finish for one in drawn] == ["stop"] * 3
    assert kinds(result) == [("closed", 0), ("closed", 2)]
    assert result.events[0].message == "the reasoning was ended at thinking_tokens, which is 8"
    assert (result.usage.calls, engine.submitted) == (3, 3)


def test_a_budget_that_is_not_reached_changes_nothing() -> None:
    replies = thinking(Reply("42", LONG), Reply("41", "short"))
    free = chain("2:E")("17 + 25?", engine=replies)
    bound = chain("2:E(thinking_tokens=125)")("17 + 25?", engine=replies)
    assert bound.candidates == free.candidates
    assert (bound.events, bound.usage) == (free.events, free.usage)


def test_a_reply_that_max_tokens_cuts_first_is_cut() -> None:
    result = chain("E(thinking_tokens=8, max_tokens=9)").map(
        ["17 + 25?"], engine=thinking(Reply("42", LONG))
    )
    (failed,) = result
    assert failed.failure is not None
    assert (failed.failure.cause, kinds(failed)) == ("cut", [("cut", 0)])


def test_the_rest_of_a_reply_may_be_cut_too() -> None:
    engine = thinking(Reply("4" * 100, LONG))
    result = E(thinking_tokens=8, max_tokens=12, cut="keep")("17 + 25?", engine=engine)
    assert (result.answer, kinds(result)) == ("4" * 12, [("closed", 0), ("cut", 0)])
    assert result.candidates[0].tokens == 12


def test_a_typed_reply_is_read_after_its_reasoning() -> None:
    op = 'op sum : generate -> { answer: int } { user = "{{ query }}" thinking_tokens = 8 }'
    engine = thinking(Reply('{"answer": 42}', LONG))
    result = load(text=f"{op} main = sum")("17 + 25?", engine=engine)
    assert (result.answer, kinds(result)) == (42, [("closed", 0)])


def test_the_seed_of_the_rest_follows_from_the_place() -> None:
    seeds: list[tuple[bool, int]] = []

    def answers(request: Request, index: int) -> Reply:
        seeds.append((request.begin is not None, request.seed + index))
        return Reply(str(request.seed % 7), LONG)

    results = []
    for window, passes in ((1, ()), (100, "default")):
        seeds.clear()
        made = chain("2:E(thinking_tokens=8) & E(thinking_tokens=8)")
        rows = [f"{n}" for n in range(5)]
        found = made.map(rows, engine=FakeEngine(answers=answers), window=window, passes=passes)
        results.append(([one.candidates for one in found], sorted(seeds)))
        assert len({seed for _, seed in seeds}) == len(seeds) == 30
    assert results[0] == results[1]


@law(
    chains(),
    st.sampled_from([None, 1, 3, 10]),
    st.permutations(ROWS),
    st.sampled_from([1, 1000]),
    share=10,
)
def test_the_runtime_continues_replies_as_the_reference_does(
    node: Expr, budget: int | None, rows: list[dict[str, str]], window: int
) -> None:
    def answers(request: Request, index: int) -> Reply | None:
        number = request.seed + index
        return None if request.schema else Reply(str(number % 3), "x" * (number % 50))

    def bounded(one: Any) -> Any:
        if not isinstance(one, Stage) or one.name == "M" or budget is None:
            return one
        return Stage(
            one.name, one.count, one.model, one.temperature, (Option("thinking_tokens", budget),)
        )

    node = transform(node, bounded)  # type: ignore[assignment]
    outcomes = _ran(node, [record_of(row) for row in rows], FakeEngine(answers=answers), window)
    for row in ROWS:
        assert _said(outcomes[row["id"]]) == _meant(node, row, FakeEngine(answers=answers))


# ---------------------------------------------------------------- recorded


def test_whole_replies_are_recorded_under_their_budget(tmp_path: Path) -> None:
    engine = thinking(Reply("42", LONG), Reply("41", "short"))
    found: list[tuple[int, Result]] = []
    for options in ("thinking_tokens=8", "thinking_tokens=8", "thinking_tokens=9", ""):
        before, made = engine.submitted, chain(f"2:E({options})")
        (result,) = made.map(["q"], engine=engine, cache="write", cache_folder=tmp_path)
        found.append((engine.submitted - before, result))
    assert [asked for asked, _ in found] == [2, 0, 2, 1]
    assert [len(one.events) for _, one in found] == [1, 1, 1, 0]
    assert found[0][1].candidates == found[1][1].candidates


def test_a_run_that_is_resumed_has_the_same_replies_and_events(tmp_path: Path) -> None:
    made = chain("2:E(thinking_tokens=8)")
    engine = thinking(Reply("42", LONG), Reply("41", "short"))
    first = made.run(["a"], tmp_path, engine=engine)
    again = made.run(["a", "b"], tmp_path, engine=engine)
    assert (first.events["closed"], again.events["closed"], engine.submitted) == (1, 2, 4)


@pytest.mark.parametrize("limit", [{"run_calls": 2}, {"row_calls": 2}])
def test_a_continued_reply_is_one_call_of_a_budget(tmp_path: Path, limit: Any) -> None:
    engine = thinking(Reply("42", LONG))
    summary = chain("2:E(thinking_tokens=8)").run(["17 + 25?"], tmp_path, engine=engine, **limit)
    assert (summary.failed, summary.usage.calls, engine.submitted) == (0, 2, 3)


# ---------------------------------------------------------------- failures


def test_a_request_that_fails_while_it_continues_fails_the_sample() -> None:
    def failures(request: Request) -> Failure | None:
        is_rest = request.begin is not None and request.begin.number == 1
        return Failure("", "refused", "no") if is_rest else None

    engine = thinking(Reply("42", LONG), failures=failures)
    (failed,) = chain("3:E(thinking_tokens=8)").map(["17 + 25?"], engine=engine)
    assert failed.failure is not None
    assert (failed.failure.cause, failed.failure.message) == ("refused", "no")


def test_a_timeout_ends_what_continues() -> None:
    engine = thinking(Reply("42", LONG), latency=lambda request: 5.0 if request.begin else 1.0)
    (failed,) = chain("timeout(2:E(thinking_tokens=8), seconds=3)").map(["q"], engine=engine)
    assert failed.failure is not None
    assert (failed.failure.cause, engine.now) == ("timeout", 3.0)


def test_engines_that_cannot_continue_a_reply_refuse_the_option() -> None:
    engine = OpenAIEngine("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="so thinking_tokens has no effect"):
        chain("E >> J:big(thinking_tokens=8)")("q", engine={"tiny": FakeEngine(), "big": engine})


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize("budget", ["", "thinking_tokens=2"])
def test_a_stream_tells_reasoning_from_text(budget: str) -> None:
    engine = thinking(Reply("42 or so", "first 17, then 25"), Reply("41"))

    async def streamed() -> list[Chunk]:
        return [one async for one in chain(f"2:E({budget})").stream("q", engine=engine)]

    found: dict[tuple[int, str], str] = {}
    for one in asyncio.run(streamed()):
        found[one.sample, one.kind] = found.get((one.sample, one.kind), "") + one.text
    thought = "first 17" if budget else "first 17, then 25"
    assert found == {(0, "reasoning"): thought, (0, "text"): "42 or so", (1, "text"): "41"}
