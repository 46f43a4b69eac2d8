"""Replies that begin with a text of the op."""

from __future__ import annotations

import asyncio

import pytest

from chainlang import ChainlangError, load
from chainlang.engines.fake import FakeEngine
from chainlang.runtime.ports.sample_keys import format_1, format_2
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret
from tests.running.test_images import Blind
from tests.running.test_turns import Asked

SOLVE = 'op solve : generate { prefix = "Dear {{ name }}, " user = "{{ query }}" }\nmain = solve'
ROW = {"id": "r", "query": "Hi", "name": "Ann"}


def test_the_text_of_a_reply_begins_with_its_prefix() -> None:
    made = load(text=SOLVE)
    assert made(ROW, engine=FakeEngine(answers={"Hi": "how are you?"})).answer == (
        "Dear Ann, how are you?"
    )

    async def streamed() -> list[str]:
        engine = FakeEngine(answers={"Hi": "bye"})
        return [one.text async for one in made.stream(ROW, engine=engine)]

    chunks = asyncio.run(streamed())
    assert "".join(chunks) == "Dear Ann, bye"


def test_the_interpreter_and_the_runtime_agree_on_prefixes() -> None:
    made = load(text=SOLVE.replace("main = solve", "main = 3:solve:tiny:0.7 >> M"))
    flow = interpret(made.body, record_of(ROW), FakeEngine().complete, declared=made.items)
    result = made(ROW, engine=FakeEngine())
    assert flow.candidates == result.candidates  # type: ignore[union-attr]
    assert str(result.answer).startswith("Dear Ann, ")


def test_a_map_reads_its_candidate_in_a_prefix() -> None:
    text = """
        op ask : generate { user = "{{ query }}" }
        op go : map {
          prefix = "{{ candidate.answer }}, and" user = "Go on: {{ candidate.answer }}"
        }
        main = ask >> go
    """
    engine = FakeEngine(answers={"Go on": " more", "Hi": "one"})
    assert load(text=text)(ROW, engine=engine).answer == "one, and more"


def test_a_prefix_that_can_not_be_filled_in_fails_its_row() -> None:
    rows = [{"query": "Hi"}]
    (failed,) = load(text=SOLVE).map(rows, engine=FakeEngine(), on_error="collect")
    assert failed.failure is not None
    assert "the prompt can't be filled in: unknown name 'name'" in failed.failure.message


def test_an_engine_that_can_not_begin_replies_is_refused() -> None:
    with pytest.raises(ChainlangError, match="can't begin the replies of solve with a prefix"):
        load(text=SOLVE)(ROW, engine=Blind())


def test_a_prefix_is_in_the_keys_of_samples_where_there_is_one() -> None:
    asked = Asked()
    for prefix in ('prefix = "a"', 'prefix = "b"', "", 'prefix = "a"'):
        text = SOLVE.replace('prefix = "Dear {{ name }}, "', prefix)
        load(text=text)(ROW, engine=asked.engine)
    for keys in (format_1({}), format_2({})):
        one, other, none, again = (keys(it).bounded[0] for it in asked.requests)
        assert one == again
        assert len({one, other, none}) == 3
