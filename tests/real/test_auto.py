"""40 values that a real model decides, two of each kind: they fit, and are the same again."""

from __future__ import annotations

from pathlib import Path

from chainlang.engines.vllm.engine import VllmEngine
from tests.laws import few_of, in_the_soak
from tests.running.autos import KINDS, Kind
from tests.vllm.test_auto import held

_FEW = [one for one in KINDS if one.name in ("listed", "int")]


@few_of("kind", len(KINDS), KINDS if in_the_soak() else _FEW)
def test_values_fit_and_a_resumed_run_has_the_same(
    kind: Kind, real_engine: VllmEngine, tmp_path: Path
) -> None:
    for seed in range(2 if in_the_soak() else 1):
        held(kind, real_engine, tmp_path / str(seed), seed)
