"""LoRA adapters of models: which request has which, in one engine, and what differs by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang import Chain, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.protocol import Engine
from chainlang.errors import ChainlangError
from chainlang.optimizer.compile import compiled
from chainlang.plan.model_schedule import residency
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret
from chainlang.session.memory_plan import memory_of
from chainlang.settings import MapSettings

FILE = """
model base = vllm("org/base")
model law = vllm("org/base", lora="law")
model sql = vllm("org/base", lora="adapters/sql", max_lora_rank=8)
main = 4:E:base:0.8 & 4:E:law:0.8 & 4:E:sql:0.8
"""


def made(folder: Path, text: str = FILE) -> Chain:
    for name in ("law", "adapters/sql"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / "x.chain"
    path.write_text(text, encoding="utf-8")
    return load(path)


class Watched(FakeEngine):
    """An engine that keeps its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Request] = []

    def submit(self, requests: Any) -> None:
        requests = list(requests)
        self.seen += requests
        super().submit(requests)


def test_each_request_carries_the_adapter_of_its_model(tmp_path: Path) -> None:
    engine = Watched()
    made(tmp_path)(query="q", engine=engine)
    found = {one.model: one.adapter for one in engine.seen}
    adapters = {"law": str(tmp_path / "law"), "sql": str(tmp_path / "adapters" / "sql")}
    assert found == {"base": "", **adapters}


def test_a_reply_depends_on_its_own_adapter_alone(tmp_path: Path) -> None:
    def said(text: str) -> list[Any]:
        return [
            one.answer for one in made(tmp_path, text)(query="q", engine=FakeEngine()).candidates
        ]

    items = FILE.partition("main")[0]
    every, law = said(FILE), said(f"{items}main = (x = 24:E:law:0.8)")
    assert said(f"{items}main = 4:E:base:0.8 & 4:E:law:0.8")[:8] == every[:8]
    other = said(f"{items}main = (x = 24:E:law:0.8)".replace('lora="law"', 'lora="adapters/sql"'))
    none = said(f"{items}main = (x = 24:E:law:0.8)".replace(', lora="law"', ""))
    # The folder of a test is in the path of its adapter: of four answers, equal ones are luck.
    assert len({str(law), str(other), str(none)}) == 3


def test_the_reference_carries_it_too(tmp_path: Path) -> None:
    parsed, engine = made(tmp_path), FakeEngine()
    record = record_of({"query": "q"})
    flow = interpret(parsed.body, record, engine.complete, declared=parsed.items)
    result = parsed(query="q", engine=FakeEngine())
    assert [one.answer for one in flow.candidates] == [one.answer for one in result.candidates]


def test_samples_are_cached_and_resumed_by_adapter(tmp_path: Path) -> None:
    """A base that gets an adapter, and an adapter that is replaced, are sampled anew."""
    cache: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path / "cache"}

    def asked(text: str) -> int:
        engine = Watched()
        made(tmp_path, text)(query="q", engine=engine, **cache)
        return sum(one.drawn for one in engine.seen)

    plain = 'model m = vllm("org/base")\nmain = 4:E:m:0.8'
    law, sql = (plain.replace('")', f'", lora="{one}")') for one in ("law", "adapters/sql"))
    assert [asked(one) for one in (plain, law, sql, plain, law, sql)] == [4, 4, 4, 0, 0, 0]


def test_metadata_has_the_fingerprint_of_each_model_with_its_adapter(tmp_path: Path) -> None:
    summary = made(tmp_path).run([{"query": "q"}], tmp_path / "out", engine=FakeEngine())
    text = (summary.folder / "metadata.json").read_text("utf-8")
    assert text.count(f'"adapter": "{tmp_path / "law"}"') == 1
    assert text.count('"adapter": ') == 2


class WithoutAdapters(FakeEngine):
    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, name="plain", adapters=False)


def test_an_engine_that_takes_no_adapter_is_an_error_before_the_first_row(tmp_path: Path) -> None:
    with pytest.raises(ChainlangError) as error:
        made(tmp_path)(query="q", engine=WithoutAdapters())
    assert str(error.value).startswith(
        f"error[engine]: the plain engine can't take the adapter of 'law'\n"
        f" --> {tmp_path / 'x.chain'}:5:27\n"
    )


def test_models_with_one_base_are_one_in_the_memory_plan(tmp_path: Path) -> None:
    parsed = made(tmp_path)
    plan = compiled(parsed.program()).plan
    named: dict[str, Any] = {one.name: one for one in parsed.items}
    found = memory_of(plan, named, MapSettings.of({}))
    assert found.same == dict.fromkeys(("base", "law", "sql"), "base")
    schedule = residency(plan.root, {"base": 6}, 8, found.same)
    assert (schedule.phases, schedule.loads) == ((("base",),), 1)


def test_other_settings_are_another_engine(tmp_path: Path) -> None:
    parsed = made(tmp_path, FILE.replace('lora="law"', 'lora="law", max_model_len=64'))
    named: dict[str, Any] = {one.name: one for one in parsed.items}
    found = memory_of(compiled(parsed.program()).plan, named, MapSettings.of({}))
    assert found.same == {"base": "base", "law": "law", "sql": "base"}


def test_prompts_of_other_adapters_share_no_prefix_in_the_prediction(tmp_path: Path) -> None:
    class Blocks(FakeEngine):
        @property
        def reader(self) -> Any:
            return evolve(super().reader, block=4)

    text = FILE.replace("4:E", "1:E").replace(":0.8", ":0")
    same = text.replace(', lora="adapters/sql", max_lora_rank=8', "").replace(', lora="law"', "")
    engine: Engine = Blocks()
    rows = [{"query": "a question that is long enough for a block of sixteen letters"}]
    apart, together = (
        sum(
            one.bound
            for one in made(tmp_path, it).explain(rows, engine=engine).estimate.models.values()
        )
        for it in (text, same)
    )
    assert apart > together


def test_explain_says_which_models_share_an_engine(tmp_path: Path) -> None:
    page = str(made(tmp_path).explain(engine=FakeEngine()))
    assert f"  law  {tmp_path / 'law'}, with base\n" in page


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('lora="../law"', "'../law' has '..' in it"),
        ('lora="/law"', "'/law' is not a relative path with forward slashes"),
        (
            "lora=3",
            "expected the folder of an adapter beside this file, or its name on the hub, found 3",
        ),
        ("max_lora_rank=8", "max_lora_rank bounds the rank of an adapter, and this model has none"),
        ('lora_path="law"', "did you mean 'lora'?"),
        ('adapter="law"', "did you mean 'lora'?"),
    ],
)
def test_a_wrong_setting_is_an_error(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ChainlangError) as error:
        made(tmp_path, f'model m = vllm("org/base", {setting})\nmain = E:m')
    assert message in str(error.value)


def test_a_name_on_the_hub_stays_a_name(tmp_path: Path) -> None:
    made(tmp_path)
    parsed = made(tmp_path, 'model m = vllm("org/base", lora="org/law")\nmain = E:m')
    (stage,) = compiled(parsed.program()).plan.stages
    assert stage.adapter == "org/law"
    (stage,) = compiled(chain("E:m").program()).plan.stages
    assert stage.adapter == ""
