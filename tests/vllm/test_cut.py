"""Replies that vLLM cuts: failed samples, with the bound that cut them."""

from __future__ import annotations

import pytest

from chainlang import E, chain, load
from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.session.result import Result


def failed(result: Result) -> str:
    assert result.failure is not None
    assert result.failure.cause == "cut"
    return result.failure.message


@pytest.mark.parametrize("most", [1, 2])
def test_the_beginning_of_a_reply_is_no_vote(most: int, random_engine: VllmEngine) -> None:
    made = chain(f"3:E:tiny:1(max_tokens={most}) >> M")
    result = made("What is 17 + 25?", engine=random_engine, on_error="collect")
    assert failed(result) == (
        f"the reply was cut; raise max_tokens, which is {most}, or ask for a short answer, "
        'or write cut="keep"'
    )
    assert [(one.kind, one.sample) for one in result.events] == [("cut", n) for n in range(3)]
    kept = chain(f'3:E:tiny:1(max_tokens={most}, cut="keep")')
    replies = kept("What is 17 + 25?", engine=random_engine).candidates
    assert [(one.tokens, one.finish) for one in replies] == [(most, "length")] * 3


@pytest.mark.parametrize("first", ["reasoning: str(200..)", "word: str", "n: int(0..999)"])
def test_the_beginning_that_is_given_counts_as_a_part_of_the_reply(
    first: str, tiny_engine: Engine
) -> None:
    made = load(
        text=f"""
            op long : generate -> {{ {first}, why: str(200..), m: int }} {{
              user = "{{{{ query }}}}" max_tokens = 20
            }}
            main = long
        """
    )
    result = made("What is 17 + 25?", engine=tiny_engine, on_error="collect")
    assert failed(result) == "the reply was cut; raise max_tokens, which is 20"


def test_the_context_is_named_with_its_size(random_engine: VllmEngine) -> None:
    made = E("tiny", max_tokens=1_000_000)
    result = made("What is 17 + 25?", engine=random_engine, on_error="collect")
    assert failed(result) == (
        f"the reply was cut: the model's context of {random_engine.context:,} tokens is full; "
        'shorten the prompt, or raise max_model_len, or write cut="keep"'
    )
