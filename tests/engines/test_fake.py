"""What the fake engine says to those who script it."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.errors import EngineError


@pytest.mark.parametrize("answers", [["42"], "42", 42])
def test_answers_are_a_table_or_a_function(answers: Any) -> None:
    with pytest.raises(EngineError, match=r"answers can't be .*42") as raised:
        FakeEngine(answers=answers)
    assert "write a dict" in str(raised.value)


@pytest.mark.parametrize("answers", [lambda *_: 42, {"sum": 42}, {"sum": ["41", 42]}])
def test_what_is_no_reply_is_named(answers: Any) -> None:
    with pytest.raises(EngineError, match="answers returned 42, which is not a reply"):
        list(chain("2:E").map(["a sum"], engine=FakeEngine(answers=answers)))


def test_a_function_that_gives_nothing_leaves_it_to_the_engine() -> None:
    scripted = FakeEngine(answers=lambda request, index: Reply("scripted") if index else None)
    (result,), (plain,) = (
        list(chain("2:E").map(["a sum"], engine=engine)) for engine in (scripted, FakeEngine())
    )
    first, second = plain.candidates
    assert [one.answer for one in result.candidates] == [first.answer, "scripted"]
    assert second.answer != "scripted"
