"""Prompts on a real tokenizer and chat template: real questions, token for token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.prompt_reader import reader
from chainlang.protocol.messages import Message
from examples.real_model import questions
from tests.laws import in_the_soak

SETS = ("gsm8k", "hellaswag", "truthfulqa_mc1")


def text_of(row: dict[str, Any]) -> str:
    return row.get("prompt") or row.get("question") or f"{row['ctx']}\n" + "\n".join(row["endings"])


@pytest.mark.law
@pytest.mark.parametrize("system", [None, "Answer in one word.\n"])
def test_token_ids_are_those_of_the_chat_template(system: str | None, real_folder: Path) -> None:
    from transformers import AutoTokenizer

    words, prompts = AutoTokenizer.from_pretrained(real_folder), reader(str(real_folder))
    step = 1 if in_the_soak() else 5
    for text in (text_of(row) for name in SETS for row in questions(name)[::step]):
        said = [] if system is None else [Message("system", system)]
        said.append(Message("user", text))
        whole = [{"role": one.role, "content": one.text} for one in said]
        ids = words.apply_chat_template(whole, add_generation_prompt=True)["input_ids"]
        assert prompts.token_ids(said) == ids


def test_prompts_are_predicted_to_the_token(real_engine: VllmEngine) -> None:
    assert real_engine._loaded is not None
    real_engine._loaded.engine.reset_prefix_cache()
    rows = [{"query": text_of(row)} for name in SETS for row in questions(name)[:2]]
    qa = load(text='main = 2:E(max_tokens=1, cut="keep") & E:tiny:0(max_tokens=1, cut="keep")')
    found = qa.explain(rows, engine=real_engine, analyze=True)
    (said,), (done,) = found.estimate.models.values(), found.actual.engines.values()  # type: ignore[union-attr]
    assert said.cost.prompt_tokens.least == said.cost.prompt_tokens.most
    assert done.usage.prompt_tokens == said.cost.prompt_tokens.least
    assert done.usage.prompt_tokens - done.usage.cached_tokens == said.bound


def test_the_model_knows_a_capital(real_engine: VllmEngine) -> None:
    found = load(text="main = E::0(max_tokens=16)")(
        "What is the capital of France?", engine=real_engine
    )
    assert "Paris" in found.answer
