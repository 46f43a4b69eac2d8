"""Requests to vLLM whose replies begin with a text of the op."""

from __future__ import annotations

import pytest
from attrs import evolve

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
