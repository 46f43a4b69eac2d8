"""Replies wait for each other only while the batch is full, and never at the cache's cost."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.load import spare_tokens
from chainlang.protocol.messages import Completion, Message, Request, Sampling


@pytest.mark.parametrize(
    ("blocks", "tokens"), [(4 * 32 - 1, 0), (4 * 32, 0), (4 * 32 + 64, 64 * 32), (None, 0)]
)
def test_replies_wait_for_no_more_tokens_than_the_cache_has_room_for(
    blocks: int | None, tokens: int
) -> None:
    config = SimpleNamespace(
        scheduler_config=SimpleNamespace(max_num_seqs=4),
        cache_config=SimpleNamespace(num_gpu_blocks=blocks, block_size=32),
        model_config=SimpleNamespace(max_model_len=1024),
    )
    assert spare_tokens(config) == tokens


def requests(count: int, *, stream: bool = False) -> list[Request]:
    sampling = Sampling(temperature=0.7, max_tokens=12)
    prompt = (Message("user", "What is 17 + 25?"),)
    return [
        Request(id=str(n), model="m", messages=prompt, sampling=sampling, seed=n, stream=stream)
        for n in range(count)
    ]


def steps_of_one_call(engine: VllmEngine, asked: list[Request]) -> int:
    before = engine.steps
    engine.submit(asked)
    replies = engine.step()
    taken = engine.steps - before
    while sum(isinstance(one, Completion) for one in replies) < len(asked):
        replies += engine.step()
    assert sorted(one.id for one in replies if isinstance(one, Completion)) == sorted(
        one.id for one in asked
    )
    return taken


def test_a_full_batch_works_on_and_another_does_not(random_engine: VllmEngine) -> None:
    assert steps_of_one_call(random_engine, requests(4)) == 1
    assert steps_of_one_call(random_engine, requests(12)) > 1
    assert steps_of_one_call(random_engine, requests(12, stream=True)) == 1
