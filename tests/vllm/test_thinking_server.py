"""A model that thinks on a server of vLLM, which parses its reasoning."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import pytest

from chainlang import chain, load
from chainlang.engines.openai.engine import OpenAIEngine
from tests.conformance.serving import serving
from tests.vllm.models import thinking_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIEngine]:
    folder = thinking_llama(tmp_path_factory.mktemp("models") / "thinking")
    with serving(folder, "m", "--reasoning-parser", "deepseek_r1") as url:
        made = OpenAIEngine("m", base_url=url, reasoning="deepseek_r1")
        yield made
        made.close()


def test_a_vote_counts_answers_alone(engine: OpenAIEngine) -> None:
    result = chain("9:E:m:1 >> M")("17 + 25?", engine=engine)
    drawn = result.trace[0].candidates
    assert all(re.fullmatch("[a-h]+", one.reasoning) for one in drawn)
    assert all(re.fullmatch("[45].*", str(one.answer)) for one in drawn)
    assert {json.loads(vote) for vote in result["votes"]} == {one.answer for one in drawn}


def test_a_schema_holds_after_the_reasoning(engine: OpenAIEngine) -> None:
    op = 'op sum : generate -> { answer: int(0..99) } { user = "{{ query }}" max_tokens = 300 }'
    result = load(text=f"{op} main = 20:sum:m:1")("17 + 25?", engine=engine)
    assert len(result.candidates) == 20
    assert all(one.reasoning and 0 <= one.fields["answer"] <= 99 for one in result.candidates)


def test_the_arguments_of_the_template_reach_it(engine: OpenAIEngine) -> None:
    made = chain('E:m:1(max_tokens=20, template_args={"thinking": "long"})')
    (failed,) = made.map(["17 + 25?"], engine=engine)
    assert failed.failure is not None
    assert failed.failure.cause == "cut"
    assert "before the model had done with its reasoning" in failed.failure.message


def test_a_stream_tells_reasoning_from_text(engine: OpenAIEngine) -> None:
    async def streamed() -> tuple[dict[str, str], tuple[str, str]]:
        stream = chain("E:m:1").stream("q", engine=engine)
        found: dict[str, str] = {}
        async for one in stream:
            found[one.kind] = found.get(one.kind, "") + str(one)
        (whole,) = stream.result.candidates
        return found, (whole.reasoning, whole.text)

    found, whole = asyncio.run(streamed())
    assert (found["reasoning"], found["text"]) == whole
