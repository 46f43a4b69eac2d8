"""What a model in vLLM says of itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.fingerprint import _is_context_a_bound, fingerprint
from chainlang.engines.vllm.weight_files import identity


def test_it_is_of_the_files_and_of_what_computes(random_engine: VllmEngine, model: Path) -> None:
    found = random_engine.fingerprint
    assert found.items() >= identity(model).items()
    assert None not in {found[key] for key in found if key != "quantization"}
    assert (found["engine"], found["context"], found["devices"]) == ("vllm", 1024, 1)
    assert str(model) not in map(str, found.values())


def test_the_chat_template_is_in_it(random_engine: VllmEngine) -> None:
    before = random_engine.fingerprint
    after = fingerprint(random_engine._model.config, "{{ messages }}")
    assert {key for key in before if before[key] != after[key]} == {"chat_template"}


PLAIN = {"rope_type": "default"}


@pytest.mark.parametrize(
    ("kind", "rope", "is_bound"),
    [
        ("llama", None, True),
        ("llama", {"rope_type": "llama3", "rope_theta": 5e5}, True),
        ("qwen2", {"rope_type": "yarn", "factor": 4.0}, True),
        ("gemma3_text", {"full": {"rope_type": "linear"}, "sliding": PLAIN}, True),
        ("phi3", {"rope_type": "longrope", "short_factor": [1.0]}, False),
        ("phi3", {"type": "longrope"}, False),
        ("gemma3_text", {"full": {"rope_type": "dynamic"}, "sliding": PLAIN}, False),
        ("llama4_text", None, False),
    ],
)
def test_a_context_that_changes_what_is_computed_is_more_than_a_bound(
    kind: str, rope: dict[str, Any] | None, is_bound: bool
) -> None:
    from transformers import PretrainedConfig

    config = PretrainedConfig()
    config.model_type, config.rope_parameters = kind, rope
    model = SimpleNamespace(hf_text_config=config)
    assert _is_context_a_bound(model) is is_bound
