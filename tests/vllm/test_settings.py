"""Settings of models on vLLM: each reaches its configuration, or changes the prompts or the key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from chainlang import load, tiny
from chainlang.diagnostics.other_names import OF_MODELS
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.engine_arguments import engine_arguments
from chainlang.engines.vllm.prompt_reader import reader
from chainlang.errors import EngineError
from chainlang.ir.declarations import Model
from chainlang.ir.model_settings import ENGINES, PERMISSIONS
from chainlang.ir.tables import plain
from chainlang.protocol.messages import Message
from tests.conformance.asking import ask, samples
from tests.test_settings_of_models import accepted

VALUES: dict[str, Any] = {
    "cpu_offload_gb": 1.0,
    "dtype": "bfloat16",
    "enable_prefix_caching": False,
    "enforce_eager": False,
    "gpu_memory_utilization": 0.5,
    "hf_overrides": {"rope_theta": 20000.0},
    "kv_cache_dtype": "fp8",
    "load_format": "dummy",
    "max_model_len": 512,
    "max_num_batched_tokens": 4096,
    "max_num_seqs": 8,
    "pipeline_parallel_size": 2,
    "quantization": "fp8",
    "revision": "main",
    "speculative_config": {"method": "ngram", "num_speculative_tokens": 2},
    "tensor_parallel_size": 2,
    "tokenizer": "org/other",
    "trust_remote_code": True,
}
OWN = {
    *("chat_template", "lora", "max_lora_rank", "reasoning", "template_args", "tool_parser"),
    *("facts", "fallback_models", "price"),
}
"""Settings that are no arguments of vLLM."""


def test_each_setting_of_a_file_is_an_argument_of_vllm() -> None:
    from vllm import EngineArgs

    assert VALUES.keys() == ENGINES["vllm"].keys() - OWN
    for name, value in VALUES.items():
        made = EngineArgs(model="m", **engine_arguments({name: value}, "cuda"))
        assert getattr(made, name) == value, name
    for name, value in {"enforce_eager": False, "dtype": "bfloat16"}.items():
        assert engine_arguments({name: value}, "cpu")[name] == value


def test_what_people_write_reaches_vllm() -> None:
    from vllm import EngineArgs

    for text in accepted("vllm("):
        permitted = load(text=f"model m = {text}\nmain = E:m", allow=PERMISSIONS)
        (item,) = (item for item in permitted.items if isinstance(item, Model))
        settings = {one.name: plain(one.value) for one in item.settings if one.name not in OWN}
        made = EngineArgs(model="m", **engine_arguments(settings, "cuda"))
        assert {name: getattr(made, name) for name in settings} == settings


def test_hints_name_arguments_of_vllm() -> None:
    from vllm import EngineArgs

    named = {name for name, hint in OF_MODELS.items() if "VllmEngine(" in hint}
    assert named < {one.name for one in fields(EngineArgs)}


@pytest.mark.parametrize(
    ("name", "hint"), [("max_modellen", "max_model_len"), ("tp", "tensor_parallel_size")]
)
def test_an_argument_that_vllm_does_not_have(name: str, hint: str) -> None:
    with pytest.raises(EngineError, match=f"did you mean '{hint}'"):
        VllmEngine(tiny.path(), loaded=False, **{name: 3})


MESSAGES = (Message("system", "Be brief. "), Message("user", "2 + 2 ="))


def test_a_base_model_reads_the_texts_as_they_are() -> None:
    base = VllmEngine(tiny.path(), chat_template="none", loaded=False)
    words = base._model.prompts
    assert base.reader.token_ids(MESSAGES) == words.text_ids("Be brief. 2 + 2 =")
    plain = VllmEngine(tiny.path(), loaded=False)
    assert plain.fingerprint["chat_template"] != base.fingerprint["chat_template"]
    without = reader(tiny.path(), chat_template="none")
    assert without.token_ids(MESSAGES) == base.reader.token_ids(MESSAGES)


@pytest.mark.parametrize("as_file", [True, False])
def test_another_chat_template(as_file: bool, tmp_path: Path) -> None:
    text = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    path = tmp_path / "chat.jinja"
    path.write_text(text)
    other = VllmEngine(tiny.path(), chat_template=path if as_file else text, loaded=False)
    wanted = "[system] Be brief. \n[user] 2 + 2 =\n"
    assert other.reader.token_ids(MESSAGES) == other._model.prompts.text_ids(wanted)
    plain = VllmEngine(tiny.path(), loaded=False)
    assert plain.reader.token_ids(MESSAGES) != other.reader.token_ids(MESSAGES)


def test_another_tokenizer_is_in_the_fingerprint(model: Path) -> None:
    own = VllmEngine(tiny.path(), loaded=False)
    other = VllmEngine(tiny.path(), tokenizer=str(model), loaded=False)
    assert own.fingerprint["tokenizer"] != other.fingerprint["tokenizer"]
    assert own.fingerprint["weights"] == other.fingerprint["weights"]


def test_what_tokens_may_depend_on_is_in_the_fingerprint() -> None:
    own = VllmEngine(tiny.path(), loaded=False).fingerprint
    assert VllmEngine(tiny.path(), max_num_seqs=7, loaded=False).fingerprint == own
    changed = VllmEngine(tiny.path(), hf_overrides={"rope_theta": 20000.0}, loaded=False)
    assert changed.fingerprint["arguments"] == '{"hf_overrides": {"rope_theta": 20000.0}}'


def test_a_model_with_such_settings_runs() -> None:
    engine = VllmEngine(
        tiny.path(),
        chat_template="none",
        hf_overrides={"rope_theta": 20000.0},
        max_num_batched_tokens=4096,
        max_logprobs=5,
        max_model_len=256,
    )
    assert samples(engine, ask(ignore_eos=True, max_tokens=4))[0].tokens == 4
    assert engine._model.config.model_config.max_logprobs == 5
    engine.close()
