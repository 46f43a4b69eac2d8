"""Scripts of the fake engine: one numbering of the samples, however they are requested."""

from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret

REPLIES = ["a", "b", "b", "c", "c", "c", "d"]


def by_number(request: Any, number: int) -> str:
    return REPLIES[number % len(REPLIES)]


def by_seed(request: Any, number: int) -> str:
    return REPLIES[(request.seed + number) % len(REPLIES)]


@pytest.mark.parametrize("answers", [{"": REPLIES}, by_number, by_seed])
@pytest.mark.parametrize("text", ["3:E >> M", "7:E >> M", "2:E >> 3:E >> M", "5:E:m:0 >> M"])
def test_splitting_a_stage_changes_no_reply(answers: Any, text: str, tmp_path: Path) -> None:
    made = chain(text)
    expected = interpret(
        made.body, record_of({"query": "q"}), FakeEngine(answers=answers).complete
    ).candidates[0].answer  # fmt: skip
    cache: Any = {"cache": "write", "cache_folder": tmp_path}
    ways: list[dict[str, Any]] = [
        {}, {"passes": ()}, {"outputs": "answer"}, {"outputs": "answer", **cache}, cache,
    ]  # fmt: skip
    for way in ways:
        assert made("q", engine=FakeEngine(answers=answers), **way).answer == expected, way


def test_a_wider_stage_asks_for_the_samples_that_a_cache_lacks(tmp_path: Path) -> None:
    cache: Any = {"cache": "write", "cache_folder": tmp_path}
    engine = FakeEngine(answers={"": REPLIES})
    chain("2:E >> M")("q", engine=engine, **cache)
    found = chain("7:E >> M")("q", engine=engine, **cache)
    assert found.votes == {'"a"': 1, '"b"': 2, '"c"': 3, '"d"': 1}
