"""vLLM's internals that are used: this version has each of them, and one without is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import vllm
from packaging.specifiers import SpecifierSet

from chainlang.engines.protocol import Engine
from chainlang.engines.vllm import private_api
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.errors import EngineError
from tests.conformance.asking import ask, completion, samples

READ_IN = "0.32"
"""The version in which each of these was read."""


def test_this_version_is_the_one_that_they_fit() -> None:
    assert vllm.__version__.startswith(f"{READ_IN}.")
    assert vllm.__version__ in SpecifierSet(private_api.SUPPORTED)


def test_the_extra_asks_for_the_versions_that_fit() -> None:
    path = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(path.read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras["vllm"] == [f"vllm{private_api.SUPPORTED}; sys_platform == 'linux'"]
    assert "vllm" in extras["all"][0]
    named = extras["all"][0].partition("[")[2].rstrip("]").split(",")
    assert sorted(named) == sorted(extras.keys() - {"all", "dev", "docs"})


def test_an_engine_has_them(tiny_engine: Engine) -> None:
    from vllm.v1.sample import sampler  # with the engine: a library warns at its first import
    from vllm.v1.sample.ops import logprobs

    assert isinstance(tiny_engine, VllmEngine)
    assert tiny_engine._loaded is not None
    engine = tiny_engine._loaded.engine
    private_api.keep_other_engines(engine)
    manager = engine.engine_core.engine_core.structured_output_manager
    manager._use_async_grammar_compilation = True
    private_api.compile_grammars_in_steps(engine)
    assert manager._use_async_grammar_compilation is False
    private_api.hold_schemas_after_reasoning(engine, manager.reasoner_cls)
    private_api.count_ranks_uncompiled()  # again: the engine has done it
    assert not hasattr(sampler.batched_count_greater_than, "_torchdynamo_orig_callable")
    assert hasattr(logprobs.batched_count_greater_than, "_torchdynamo_orig_callable")
    assert callable(engine.engine_core.engine_core.shutdown)
    assert samples(tiny_engine, ask())


def test_batches_are_seen(tiny_engine: Engine) -> None:
    assert isinstance(tiny_engine, VllmEngine)
    assert tiny_engine._loaded is not None
    seen: list[private_api.Batch] = []
    scheduler = tiny_engine._loaded.engine.engine_core.engine_core.scheduler
    before = scheduler.schedule
    private_api.on_each_batch(tiny_engine._loaded.engine, seen.append)
    reply = completion(tiny_engine, ask("What is 12 + 34? Say it twice.", max_tokens=5))
    scheduler.schedule = before
    assert sum(one.prompt_tokens for one in seen) == reply.usage.prompt_tokens
    assert sum(one.tokens for one in seen) >= reply.usage.output_tokens
    assert {one.preemptions for one in seen} == {0}


@pytest.mark.usefixtures("tiny_engine")  # a library warns at its first import
def test_a_grammar_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import xgrammar
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm.v1.structured_output import backend_xgrammar

    parsed: list[str] = []
    parse = xgrammar.Grammar.from_ebnf
    monkeypatch.setattr(
        xgrammar.Grammar, "from_ebnf", lambda text: (parsed.append(text), parse(text))
    )
    private_api.parse_grammars_once()
    private_api.parse_grammars_once()  # for the next engine

    def validate(**held: str) -> None:
        of = SamplingParams(structured_outputs=StructuredOutputsParams(**held))
        backend_xgrammar.validate_xgrammar_grammar(of)

    right, wrong = 'root ::= "parsed once"', "root ::= ("
    for _ in range(3):
        validate(grammar=right)
        validate(regex="a+")
        with pytest.raises(VLLMValidationError, match="grammar"):
            validate(grammar=wrong)
    assert parsed == [right, wrong, wrong, wrong]
    backend_xgrammar.validate_xgrammar_grammar(SamplingParams())


def test_the_state_of_a_process_is_kept_for_a_while() -> None:
    from vllm.v1.engine import core
    from vllm.v1.worker import workspace

    before = core.cleanup_dist_env_and_memory, workspace.reset_workspace_manager
    with private_api.shared_state_kept():
        assert core.cleanup_dist_env_and_memory is not before[0]
        assert workspace.reset_workspace_manager is not before[1]
        core.cleanup_dist_env_and_memory()
    assert (core.cleanup_dist_env_and_memory, workspace.reset_workspace_manager) == before


def test_a_sample_has_an_id_of_its_own(tiny_engine: Engine) -> None:
    assert isinstance(tiny_engine, VllmEngine)
    assert tiny_engine._loaded is not None
    loaded = tiny_engine._loaded
    tiny_engine.submit([ask(count=3, max_tokens=60), ask(count=1, max_tokens=60)])
    known = set(loaded.engine.engine_core.engine_core.scheduler.requests)
    flights = list(tiny_engine._in_flight.values())
    wanted = {
        private_api.inner_id(one.inner, index, of=one.request.drawn)
        for one in flights
        for index in range(one.request.drawn)
    }
    tiny_engine.abort([one.request.id for one in flights])
    assert wanted <= known


def test_the_rank_of_an_adapter_is_read_from_its_configuration() -> None:
    config = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    assert private_api.adapter_rank(config) == 4
    assert private_api.adapter_rank({**config, "rank_pattern": {"q_proj": 16}}) == 16
    with pytest.raises(ValueError, match="LoRA bias"):
        private_api.adapter_rank({**config, "lora_bias": True})


@pytest.mark.parametrize(
    ("use", "lacks"),
    [
        (partial(private_api.on_each_batch, note=print), "engine_core.engine_core.scheduler"),
        (private_api.keep_other_engines, "engine_core._finalizer.detach"),
        (private_api.compile_grammars_in_steps, "structured_output_manager"),
        (lambda one: private_api.hold_schemas_after_reasoning(one, object), "_output_manager"),
        (private_api.shut_down, "engine_core.engine_core.shutdown"),
    ],
)
def test_a_version_without_one_is_refused(use: Callable[[Any], Any], lacks: str) -> None:
    other = SimpleNamespace(engine_core=SimpleNamespace(engine_core=object()))
    with pytest.raises(EngineError) as raised:
        use(other)
    said = str(raised.value)
    assert f"vLLM {vllm.__version__} does not fit this chainlang: it has no" in said
    assert lacks in said
    assert 'pip install "vllm>=0.32,<0.33"' in said
