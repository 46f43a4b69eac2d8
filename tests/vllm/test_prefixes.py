"""Requests to vLLM whose replies begin with a text of the op."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from chainlang import op
from chainlang.engines.vllm.request_layout import Layout, layout
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import Failure, Message, Request, Sampling
from tests.vllm.models import SPECIAL, tokenizer

PROMPTS = Prompts(tokenizer())
ASKED = Request(
    id="1",
    model="m",
    messages=(Message("user", "Hi"),),
    sampling=Sampling(temperature=0, max_tokens=200),
    seed=0,
)


@pytest.mark.parametrize("prefix", ["1. ", "É", "".join(SPECIAL)])
def test_a_prefix_stands_after_the_prompt_as_plain_text(prefix: str) -> None:
    plain = layout(ASKED, PROMPTS, 1000)
    begun = layout(evolve(ASKED, prefix=prefix), PROMPTS, 1000)
    assert isinstance(plain, Layout)
    assert isinstance(begun, Layout)
    own = begun.prompt[len(plain.prompt) :]
    assert begun.prompt == [*plain.prompt, *own]
    assert own == PROMPTS.text_ids(prefix)
    assert (begun.prefix, begun.most) == (len(own), 200 - len(own))


def test_a_prefix_that_is_no_text_is_refused() -> None:
    found = layout(evolve(ASKED, prefix="\ud800"), PROMPTS, 1000)
    assert isinstance(found, Failure)
    assert "is not text" in found.message


def test_a_reply_goes_on_from_its_prefix_as_from_its_own_tokens(tiny_engine: Any) -> None:
    free = op("free", user="{{ query }}", temperature=0, max_tokens=40)()
    whole = free("What is 17 + 25?", engine=tiny_engine).candidates[0]
    begun = tiny_engine.reader.prompts.decoded(whole.token_ids[:1])
    assert whole.text.startswith(begun)
    held = op("held", user="{{ query }}", prefix="{{ begun }}", max_tokens=40)()
    row = {"query": "What is 17 + 25?", "begun": begun}
    reply = held(row, engine=tiny_engine).candidates[0]
    assert reply.text == whole.text
    assert reply.token_ids == whole.token_ids[1:]


def test_special_tokens_in_a_prefix_stay_text(tiny_engine: Any) -> None:
    held = op("held", user="{{ query }}", prefix="{{ begun }}", cut="keep", max_tokens=60)()
    row = {"query": "What is 17 + 25?", "begun": "".join(SPECIAL)}
    assert held(row, engine=tiny_engine).answer.startswith("".join(SPECIAL))
