"""Two models under a memory that holds one: they take turns, and no answer changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.memory_size import _GPU_SHARE, size
from chainlang.models.open_engines import close_engines
from chainlang.session.engine_pool import wanted
from chainlang.session.memory_plan import memory_of
from chainlang.settings import MapSettings
from chainlang.tiny import path

ROWS = [f"What is {number} + {number + 3}?" for number in range(6)]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """Yield what is loaded after each load, by the names of the folders, from none on."""
    close_engines()
    there: set[VllmEngine] = set()
    found: list[tuple[str, ...]] = []
    real_load, real_unload = VllmEngine.load, VllmEngine.unload

    def load(self: VllmEngine, *given: Any) -> None:
        was = self.loaded
        real_load(self, *given)
        there.add(self)
        if not was:
            found.append(tuple(sorted(Path(one.model).name for one in there)))

    def unload(self: VllmEngine) -> None:
        real_unload(self)
        there.discard(self)

    monkeypatch.setattr(VllmEngine, "load", load)
    monkeypatch.setattr(VllmEngine, "unload", unload)
    yield found
    close_engines()


def test_two_models_take_turns(model: Path, loads: list[tuple[str, ...]]) -> None:
    text = f"""
    model other = vllm("{model}", max_num_seqs=8)
    main = (a = 3:E:tiny:0.7(max_tokens=12))
      >> (b = 2:E:other:0.9(max_tokens=12, cut="keep")) >> J:tiny
    """
    qa = load(text=text, functions={})

    def answers(**settings: Any) -> list[Any]:
        return [(one.answer, one.flow) for one in qa.map(ROWS, **settings)]

    # A window of two rows: without the pass, each would have three loads.
    apart = answers(window=2, memory="400 MiB")
    assert loads == [("tiny",), ("random",), ("tiny",)]
    assert answers(passes=()) == apart
    assert loads[3:] == [("random", "tiny")]


def test_the_size_is_what_vllm_takes(model: Path) -> None:
    for folder, settings in ((model, {"max_num_seqs": 4}), (path(), {"dtype": "bfloat16"})):
        engine = VllmEngine(folder, **settings, loaded=False)  # type: ignore[arg-type]
        found = size(str(folder), settings)
        assert found == engine.size
        assert found is not None
        assert found.cache == engine._model.config.cache_config.kv_cache_memory_bytes
        assert not engine.loaded
        engine.close()
    from vllm.config import CacheConfig

    assert CacheConfig().gpu_memory_utilization == _GPU_SHARE


def test_explain_and_the_run_agree() -> None:
    qa = chain("E:tiny >> J:tiny")
    plan = qa.explain().compiled.plan
    (found,) = memory_of(
        plan, wanted(plan, (), MapSettings.of({})), MapSettings.of({})
    ).needs.values()
    assert found == size(str(path()), {})
