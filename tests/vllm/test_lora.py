"""LoRA adapters on vLLM: one engine for a base and its adapters, each with its own tokens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from chainlang import Chain, load, tiny
from chainlang.engines.protocol import fingerprint_of
from chainlang.engines.vllm.adapters import arguments
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.errors import EngineError
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Completion, Failure, Request, Sample
from chainlang.session.engine_pool import engines_of, wanted
from chainlang.session.memory_plan import swapper_of
from chainlang.settings import MapSettings
from tests.conformance.asking import ask, completion, replies
from tests.vllm.adapters import adapter
from tests.vllm.same_tokens import hold_to_the_reference

FILE = """
model law = vllm("tiny", lora="law")
model sql = vllm("tiny", lora="sql", max_lora_rank=16)
main = 3:E:tiny:0.8(max_tokens=12, cut="keep") & 3:E:law:0.8(max_tokens=12, cut="keep")
     & 3:E:sql:0.8(max_tokens=12, cut="keep")
"""
ROWS = [{"id": str(one), "query": f"What is {one} + {3 * one}?"} for one in range(3)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("adapters")
    adapter(folder / "law", seed=1)
    adapter(folder / "sql", seed=2, rank=9)
    path = folder / "x.chain"
    path.write_text(FILE, encoding="utf-8")
    return load(path)


@pytest.fixture(scope="module")
def engine(made: Chain) -> Iterator[VllmEngine]:
    """The engine that chains open for the three models, which is one."""
    swapper = swapper_of(lower(made.body, made.items), made.items, MapSettings.of({}))
    (found,) = {id(one): one for one in swapper.engines.values()}.values()
    assert isinstance(found, VllmEngine)
    assert (len(swapper.engines), swapper.loads, found.loaded) == (3, 1, True)
    yield found
    found.unload()


def asked() -> Request:
    return ask("What is 3 + 4?", count=3)


def drawn(engine: VllmEngine, adapter: str = "") -> tuple[Sample, ...]:
    return completion(engine, evolve(asked(), adapter=adapter)).samples


def test_tokens_in_a_mixed_batch_are_those_of_each_alone(engine: VllmEngine, made: Chain) -> None:
    hold_to_the_reference(made, engine, ROWS)


def test_each_adapter_has_tokens_of_its_own(engine: VllmEngine) -> None:
    adapters = ("", *engine.adapters.known)
    tokens = {str([one.token_ids for one in drawn(engine, name)]) for name in adapters}
    assert len(tokens) == len(adapters) == 3


def test_a_model_beside_its_adapters_is_the_model_alone(engine: VllmEngine) -> None:
    """vLLM computes requests without an adapter with the last slot, which stays empty."""
    alone = VllmEngine(tiny.path(), max_num_seqs=8)
    wanted = drawn(alone)
    alone.close()
    others = [evolve(asked(), adapter=name) for name in engine.adapters.known]
    *_, beside = replies(engine, *others, asked())
    assert isinstance(beside, Completion)
    assert beside.samples == wanted


def test_there_are_no_probabilities_of_labels_beside_adapters(engine: VllmEngine) -> None:
    """vLLM fails a step that computes those of a prompt."""
    assert "choices" not in engine.capabilities.options
    (failure,) = replies(engine, evolve(asked(), labels=("7", "8")))
    assert isinstance(failure, Failure)
    assert "probabilities of labels are not known beside adapters" in failure.message
    assert "choices" in VllmEngine(tiny.path(), loaded=False).capabilities.options


def test_fingerprints_differ_by_the_adapter_alone(engine: VllmEngine) -> None:
    law, _ = engine.adapters.known
    found = [fingerprint_of(engine, name) for name in ("", *engine.adapters.known)]
    assert len({str(one) for one in found}) == 3
    assert VllmEngine(tiny.path(), lora=law, loaded=False).fingerprint == found[1]
    assert VllmEngine(tiny.path(), loaded=False).fingerprint == found[0]


def test_an_engine_has_no_room_for_others_once_it_is_loaded(engine: VllmEngine) -> None:
    assert engine.has_room_for(engine.adapters.known)
    assert not engine.has_room_for(["other"])
    (failure,) = replies(engine, evolve(ask(), adapter="other"))
    assert isinstance(failure, Failure)
    assert "the model is loaded without the adapter 'other'" in failure.message
    with pytest.raises(EngineError, match="is loaded without room for the adapter 'other'"):
        engine.adopt("other")


def opened(chain_file: Chain) -> VllmEngine:
    """Return the engine that the models of a chain share, which need not be loaded."""
    plan, settings = lower(chain_file.body, chain_file.items), MapSettings.of({})
    named = wanted(plan, chain_file.items, settings)
    (found,) = {*engines_of(plan, named, chain_file.items, settings).values()}
    assert isinstance(found, VllmEngine)
    return found


def test_a_chain_with_other_adapters_has_another_engine(
    engine: VllmEngine, made: Chain, tmp_path: Path
) -> None:
    _, sql = engine.adapters.known
    adapter(tmp_path / "new", seed=3)
    path = tmp_path / "x.chain"
    path.write_text('model new = vllm("tiny", lora="new")\nmain = E:new & E:tiny', "utf-8")
    other = opened(load(path))
    assert (other is engine, other.loaded, len(other.adapters.known)) == (False, False, 1)
    assert opened(load(path)) is other
    alone = f'model sql = vllm("tiny", lora="{sql}")\nmain = E:sql'
    assert opened(load(text=alone)) is engine


def test_the_last_slot_stays_empty_on_the_cpu(engine: VllmEngine) -> None:
    adapters = engine.adapters.all
    assert arguments(adapters, {}, "cpu") == {
        "enable_lora": True, "max_loras": 3, "max_lora_rank": 16
    }  # fmt: skip
    assert arguments(adapters, {}, "cuda")["max_loras"] == 2
    assert arguments(adapters, {"max_loras": 1}, "cuda")["max_loras"] == 1
    assert arguments((), {}, "cpu") == {}
    with pytest.raises(EngineError, match="max_loras is 2, and 2 adapters on the CPU need 3"):
        arguments(adapters, {"max_loras": 2}, "cpu")


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (adapter(folder) / name).unlink()


def _config(text: str) -> Callable[[Path], object]:
    return lambda folder: (adapter(folder) / "adapter_config.json").write_text(text)


def _cut(folder: Path) -> None:
    path = adapter(folder) / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickled(folder: Path) -> None:
    path = adapter(folder) / "adapter_model.safetensors"
    path.rename(path.with_suffix(".bin"))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _: None, "there is no adapter at 'wrong'"),
    "file": (lambda folder: folder.write_text("x"), "is a file, not a folder"),
    "empty": (lambda folder: folder.mkdir(), "is no adapter: it has no adapter_config.json"),
    "model": (
        lambda folder: shutil.copytree(tiny.path(), folder),
        "is a whole model, not an adapter: it has no adapter_config.json",
    ),
    "no config": (_without("adapter_config.json"), "it has no adapter_config.json"),
    "no weights": (_without("adapter_model.safetensors"), "there is no adapter_model.safetensors"),
    "pickled": (_pickled, "save it as safetensors: adapter_model.bin may run code"),
    "cut": (_cut, "adapter_model.safetensors is truncated"),
    "no JSON": (_config("{"), "has an adapter_config.json that is no JSON"),
    "a list": (_config("[]"), "its adapter_config.json says None"),
    "another kind": (_config('{"peft_type": "IA3"}'), "its adapter_config.json says 'IA3'"),
    "no rank": (_config("{}"), "can't be used: Missing required configuration fields"),
    "dora": (lambda it: adapter(it, use_dora=True), "vLLM does not yet support DoRA"),
    "rank": (lambda it: adapter(it, rank=9), "has the rank 9, and max_lora_rank is 8"),
    "huge": (lambda it: adapter(it, rank=513, layers=1), "LoRA rank 513 is greater than"),
    "narrow": (lambda it: adapter(it, width=64), "self_attn.q_proj has 64 "),
    "deep": (lambda it: adapter(it, layers=5), "there is no model.layers.4.self_attn.q_proj here"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_adapter_is_an_error_before_the_first_row(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    make(tmp_path / "wrong")
    rank = ", max_lora_rank=8" if case == "rank" else ""
    text = f'model m = vllm("tiny", lora="wrong"{rank})\nmain = E:m'
    (tmp_path / "x.chain").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError) as error:
        load(tmp_path / "x.chain")(query="q")
    page = str(error.value).replace(f"{tmp_path}/", "")
    assert message in page
    assert "x.chain:1:" in page
    assert ("max_lora_rank=8" if case == "rank" else 'lora="wrong"') in page


def test_a_model_of_its_own_takes_an_adapter_in_python(tmp_path: Path) -> None:
    law = adapter(tmp_path / "law")
    found = VllmEngine(tiny.path(), lora=law, max_lora_rank=4, loaded=False)
    assert [*found.adapters.known] == [str(law)]
    assert found.size is not None
    assert found.size.other > VllmEngine(tiny.path(), loaded=False).size.other  # type: ignore[union-attr]
    with pytest.raises(EngineError, match="has the rank 4, and max_lora_rank is 2"):
        VllmEngine(tiny.path(), lora=law, max_lora_rank=2, loaded=False)
    with pytest.raises(EngineError, match="there is none"):
        VllmEngine(tiny.path(), max_lora_rank=2, loaded=False)
