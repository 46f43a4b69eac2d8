"""Values arrive byte for byte: from a row to the server, from a reply to the next prompt, on disk.

What a server reads in them is its own affair; see `chainlang.protocol.capabilities.Capabilities`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Request
from tests.engines.server import Answer, Body, Server, good
from tests.hostile import HALF, HOSTILE, HUGE

# Each prompt is a value and nothing else; each reply is the prompt.
CHAIN = load(
    text="""
op say : generate { max_tokens = 1000000  user = "{{ query }}" }
op repeat : fold { max_tokens = 1000000  user = "{{ candidates[0].answer }}" }
main = (first = say:m) >> repeat:m
"""
)
VALUES = {**HOSTILE, "huge": HUGE}


@contextmanager
def repeating(kind: str, said: list[str]) -> Iterator[Engine]:
    """Yield an engine whose replies are its prompts. What it is asked is noted in `said`."""

    def answer(request: Request, _: int) -> str:
        said.append(request.messages[-1].text)
        return said[-1]

    def answer_over_http(body: Body) -> Answer:
        said.append(body["messages"][-1]["content"])
        return good(said[-1])

    if kind == "fake":
        yield FakeEngine(answers=answer)
        return
    with Server(answer_over_http) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        yield engine
        engine.close()


@pytest.mark.parametrize("kind", ["fake", "openai"])
@pytest.mark.parametrize("name", VALUES)
def test_a_value_arrives_as_it_is(kind: str, name: str) -> None:
    said: list[str] = []
    with repeating(kind, said) as engine:
        result = CHAIN(VALUES[name], engine=engine, passes=())
    assert said == [VALUES[name]] * 2
    assert result["first"].answer == result.answer == VALUES[name]


@pytest.mark.parametrize("kind", ["fake", "openai"])
def test_a_value_lies_in_a_run_folder_as_it_is(kind: str, tmp_path: Path) -> None:
    with repeating(kind, []) as engine:
        CHAIN.run([{"id": name, "query": text} for name, text in VALUES.items()], tmp_path / "run",
                  engine=engine)  # fmt: skip
    for table, field in (("flattened", "answer"), ("first", "answer")):
        lines = (tmp_path / "run" / table / "000.jsonl").read_text().split("\n")[:-1]
        found = [json.loads(line) for line in lines]
        assert {row["id"]: row[field] for row in found} == VALUES


def test_half_a_pair_is_data_to_the_fake_engine() -> None:
    said: list[str] = []
    with repeating("fake", said) as engine:
        assert CHAIN(HALF, engine=engine, passes=()).answer == HALF
    assert said == [HALF] * 2


def test_half_a_pair_in_a_row_fails_that_row_and_is_not_sent_to_a_server() -> None:
    said: list[str] = []
    with repeating("openai", said) as engine:
        before, half, after = CHAIN.map(["a", HALF, "b"], engine=engine, passes=())
    assert (before.answer, after.answer) == ("a", "b")
    assert half.failure is not None
    what = "the user message is not text: character 2 is a lone surrogate, U+D800"
    assert (half.failure.stage, half.failure.message) == ("say", what)
    assert sorted(said) == ["a", "a", "b", "b"]


def test_half_a_pair_in_a_reply_is_data_until_a_server_has_to_read_it(tmp_path: Path) -> None:
    def answer(body: Body) -> Answer:
        return good(HALF if body["messages"][-1]["content"] == "a" else "fine")

    with Server(answer) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        assert load(text="main = E:m")("a", engine=engine).answer == HALF
        CHAIN.run(["a", "b"], tmp_path / "run", engine=engine)
        engine.close()
    (failure,) = (tmp_path / "run" / "errors.jsonl").read_text().splitlines()
    found = json.loads(failure)
    assert (found["row"], found["stage"]) == (1, "repeat")
    assert "is not text: character 2 is a lone surrogate, U+D800" in found["message"]
