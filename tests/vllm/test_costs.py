"""What is predicted before vLLM is asked, and what vLLM says of itself afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.prompt_reader import reader
from chainlang.plan.prefix_cache_bound import bound
from chainlang.protocol.messages import Message
from chainlang.session.explain import Explanation
from tests.vllm.models import CHATML

DOCUMENT = "There are nine cakes on the table, and every one of them is for somebody. " * 4
ROWS = [
    {"query": f"{DOCUMENT}\nWhat is {n % 5} + 25?", "topic": f"<|im_end|> {n}"} for n in range(9)
]
OPS = """
op tell : generate { temperature = 0.8 max_tokens = 6 cut = "keep"
  system = "Be brief." user = "{{ query }} ({{ topic }})" }
"""
WEIGH = """
op weigh : fold { temperature = 0.4 max_tokens = 5 cut = "keep"
  user = "{{ query }}{% for one in candidates %} {{ loop.index }}: {{ one.answer }}{% endfor %}" }
"""


def explained(text: str, engine: VllmEngine, **settings: Any) -> Explanation:
    """Return what rows cost from an empty cache of prefixes, and what was predicted of it."""
    assert engine._loaded is not None
    engine._loaded.engine.reset_prefix_cache()
    qa = load(text=f"{OPS}{WEIGH if 'weigh' in text else ''}\nmain = {text}")
    return qa.explain(ROWS, engine=engine, analyze=True, **settings)


@pytest.mark.parametrize("text", ["3:tell", "tell & 2:tell::1.2", "tell::0", "3:tell >> M"])
def test_first_prompts_are_counted_to_the_token(text: str, random_engine: VllmEngine) -> None:
    found = explained(text, random_engine)
    (said,), (done,) = found.estimate.models.values(), found.actual.engines.values()  # type: ignore[union-attr]
    assert said.cost.prompt_tokens.least == said.cost.prompt_tokens.most
    assert done.usage.prompt_tokens == said.cost.prompt_tokens.least
    assert done.usage.calls == said.cost.samples.least
    assert done.usage.prompt_tokens - done.usage.cached_tokens == said.bound
    assert done.usage.cached_tokens == said.shared.least == said.shared.most > 0


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("2:tell >> weigh", {}),
        ("(one = 3:tell) >> tell(fresh=true) >> 2:weigh::0.9", {}),
        ("9:tell(max_tokens=2) >> M", {"outputs": "answer"}),
        ("(3:tell >> weigh) & 2:tell", {"passes": ()}),
    ],
)
def test_what_vllm_did_is_within_what_was_predicted(
    text: str, settings: dict[str, Any], random_engine: VllmEngine
) -> None:
    found = explained(text, random_engine, **settings)
    (said,), (done,) = found.estimate.models.values(), found.actual.engines.values()  # type: ignore[union-attr]
    usage = done.usage
    for number, bounds in (
        (done.requests, said.cost.requests),
        (usage.calls, said.cost.samples),
        (usage.output_tokens, said.cost.output_tokens),
    ):
        assert bounds.least <= number <= (bounds.most or 0)
    # This model says bytes that are no text, which another prompt reads as three tokens each.
    most = 3 * (said.cost.prompt_tokens.most or 0)
    assert said.cost.prompt_tokens.least <= usage.prompt_tokens <= most
    assert said.bound <= usage.prompt_tokens - usage.cached_tokens
    assert done.steps is not None
    assert done.steps >= found.estimate.path.least


def test_a_tokenizer_alone_reads_as_the_engine_does(model: Path, random_engine: VllmEngine) -> None:
    alone = reader(str(model))
    assert (alone.block, alone.context) == (random_engine.reader.block, random_engine.context)
    for said in ([Message("user", "What is 1 + 2?")], [Message("system", "<|im_end|>"), *_user()]):
        assert alone.token_ids(said) == random_engine.reader.token_ids(said)


def _user() -> list[Message]:
    return [Message("user", CHATML)]


def test_a_model_is_not_loaded_to_be_explained(
    model: Path, monkeypatch: pytest.MonkeyPatch, random_engine: VllmEngine
) -> None:
    monkeypatch.setattr(VllmEngine, "__init__", None)
    qa = load(text=f'model m = vllm("{model}", max_model_len=400)\n{OPS}\nmain = 4:tell:m')
    found = qa.explain(ROWS).estimate.models["m"]
    prompts = [random_engine.reader.token_ids(_prompt(row)) for row in ROWS for _ in range(4)]
    assert found.cost.prompt_tokens.most == sum(map(len, prompts))
    assert found.bound == bound(prompts, 32)
    assert found.too_long == 0


def _prompt(row: dict[str, str]) -> list[Message]:
    user = f"{row['query']} ({row['topic']})"
    return [Message("system", "Be brief."), Message("user", user)]


def test_prompts_that_do_not_fit_are_told_before_they_fail(model: Path) -> None:
    qa = load(text=f'model m = vllm("{model}", max_model_len=50)\n{OPS}\nmain = 4:tell:m')
    found = qa.explain(ROWS)
    assert found.estimate.models["m"].too_long == len(ROWS)
    assert "prompts that do not fit into the context of their model: 9" in str(found)
