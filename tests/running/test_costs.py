"""What rows come to beside what was predicted: of engines, journals, caches, several models."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.fake.tokenizer import CharacterTokenizer
from chainlang.errors import SettingError, StopError
from chainlang.session.cost_report import Costs

QA = chain("3:E(max_tokens=9) >> J")
ROWS = [{"query": f"What is {n} + {n}?"} for n in range(6)]


def costs(out: Path, engine: FakeEngine, **settings: Any) -> Costs:
    """Return what a run into a folder came to."""
    found = QA.run(ROWS, out, engine=engine, analyze=True, **settings).costs
    assert found is not None
    return found


def test_a_run_that_goes_on_tells_what_its_journal_had(tmp_path: Path) -> None:
    with pytest.raises(StopError) as stopped:
        costs(tmp_path / "run", FakeEngine(), run_calls=10, window=2)
    first = stopped.value.summary.costs  # type: ignore[union-attr]
    went_on = costs(tmp_path / "run", FakeEngine())
    whole = costs(tmp_path / "whole", FakeEngine())
    assert went_on.predicted.models == whole.predicted.models  # it is that of all rows
    (before,), (after,), (all_of_it,) = (
        one.actual.engines.values() for one in (first, went_on, whole)
    )
    assert before.usage.calls + after.usage.calls == all_of_it.usage.calls == 24
    assert went_on.actual.from_journal > 0
    assert f"not asked: {went_on.actual.from_journal:,} samples were in the journal" in str(went_on)


def test_what_a_cache_had_is_told(tmp_path: Path) -> None:
    cache = {"cache": "write", "cache_folder": tmp_path / "cache"}
    costs(tmp_path / "one", FakeEngine(), **cache)
    again = costs(tmp_path / "two", FakeEngine(), **cache)
    assert again.actual.from_cache == 24
    assert [one.usage.calls for one in again.actual.engines.values()] == [0]
    assert "not asked: 24 samples were in the cache" in str(again)


def test_map_and_run_keep_the_same_account(tmp_path: Path) -> None:
    found = QA.explain(ROWS, engine=FakeEngine(), analyze=True)
    assert found.actual is not None
    run = costs(tmp_path / "run", FakeEngine())
    assert found.estimate == run.predicted
    assert found.actual.engines == run.actual.engines


def test_rows_that_can_be_read_once_are_run_once() -> None:
    read: list[int] = []

    def rows() -> Iterator[str]:
        for number in range(5):
            read.append(number)
            yield f"question {number}"

    found = chain("2:E").explain(rows(), engine=FakeEngine(), analyze=True)
    assert read == [0, 1, 2, 3, 4]
    assert found.actual is not None
    assert found.actual.engines["tiny"].usage.calls == 10


def test_each_engine_is_told_once_whatever_its_models_are_called() -> None:
    one, other = FakeEngine(), FakeEngine()
    one.submitted += 7  # what was before
    engines = {"a": one, "b": one, "c": other}
    found = chain("2:E:a & E:b & 3:E:c").explain(["q"], engine=engines, analyze=True)
    assert found.actual is not None
    assert {name: did.usage.calls for name, did in found.actual.engines.items()} == {
        "a, b": 3,
        "c": 3,
    }
    assert {name: did.requests for name, did in found.actual.engines.items()} == {"a, b": 2, "c": 1}


class Keeping(FakeEngine):
    """An engine that says it keeps blocks of four tokens."""

    @property
    def reader(self) -> CharacterTokenizer:
        return CharacterTokenizer(None, 4)


def test_models_of_one_engine_share_its_prefixes() -> None:
    rows = ["the same beginning of every question, and then " + end for end in ("a", "b", "b")]
    alone = chain("E:a & E:b").explain(rows, engine={"a": Keeping(), "b": Keeping()}).estimate
    together = chain("E:a & E:b").explain(rows, engine=Keeping()).estimate
    assert alone.equal == 1
    assert [one.bound for one in alone.models.values()] == [16, 16]
    assert [one.bound for one in together.models.values()] == [16, 0 + 8]
    assert [one.shared.least for one in together.models.values()] == [8, 16]


@pytest.mark.slow
def test_rows_that_are_counted_are_not_kept() -> None:
    def rows() -> Iterator[str]:
        yield from (f"{number} {'word ' * 2000}" for number in range(200))  # two megabytes

    qa = chain("2:E")
    qa.explain(["what is loaded when it is needed"], engine=Keeping())
    tracemalloc.start()
    try:
        assert qa.explain(rows(), engine=FakeEngine()).estimate.rows == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 800_000


def test_of_prompts_that_nobody_can_read_it_says_so() -> None:
    qa = load(text='model far = openai("m", base_url="http://127.0.0.1:9/v1")\nmain = E:far')
    assert "not known before running: only its server counts its prompts" in str(qa.explain(ROWS))
    assert "not known before running: there is no model at 'nowhere'" in str(
        chain("E:nowhere").explain(ROWS)
    )


def test_there_is_nothing_to_analyze_without_rows() -> None:
    with pytest.raises(SettingError, match="there are no rows to analyze"):
        QA.explain(analyze=True)


def test_explain_shows_the_context_of_each_model() -> None:
    text = """
model small = vllm("a/model", max_model_len=4096)
model far = openai("gpt", base_url="http://127.0.0.1:1/v1", max_model_len=8192)
model own = openai("gpt-2", base_url="http://127.0.0.1:1/v1")
main = E:small >> V:far >> J:own >> J:tiny
"""
    found = load(text=text).explain()
    assert found.contexts == {"small": 4096, "far": 8192, "own": None, "tiny": 1024}
    assert "CONTEXT of a prompt and its reply\n  small  4,096 tokens\n" in str(found)
    assert "\n  own    the model's own\n" in str(found)
    assert chain("E").explain(engine=FakeEngine(context=77)).contexts == {"tiny": 77}
