"""What a model in vLLM says of itself."""

from __future__ import annotations

from pathlib import Path

from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.fingerprint import fingerprint
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
