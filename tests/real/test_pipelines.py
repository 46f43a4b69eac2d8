"""The pipelines of the examples on a real model: they run, and their outputs have their shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.semantics.functions_file import read_functions
from tests.laws import in_the_soak

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "pipelines"
ROWS: dict[str, dict[str, Any]] = {
    "research_report": {"topic": "resuming a run", "folder": str(ROOT / "docs" / "guides")},
    "code_review": {"path": str(ROOT / "examples" / "05_typed_extraction.py")},
    "data_analysis": {"data_source": str(ROOT / "examples" / "data" / "questions.jsonl")},
    "ensemble_prediction": {"raw_data": [2, 4, 6, 8, 10]},
}


@pytest.mark.law
@pytest.mark.parametrize("name", ROWS if in_the_soak() else ["ensemble_prediction"])
def test_a_pipeline_runs_on_a_real_model(name: str, real_engine: VllmEngine) -> None:
    functions = read_functions(FOLDER / "functions.py").public
    whole = load(FOLDER / f"{name}.chain.yaml", functions=functions)
    short = 'temperature = 0.7\n  max_tokens = 60\n  cut = "keep"'
    made = load(text=str(whole).replace("temperature = 0.7", short))
    made = made.bind(**{one: functions[one] for one in functions if f"@{one}(" in str(made)})
    (result,) = made.map([ROWS[name]], engine=real_engine)
    if result.failure is not None:  # of a small model, whose list of queries may not end
        assert result.failure.cause in ("cut", "reply")
        return
    assert isinstance(result.answer, dict)
    assert all(value is not None for value in result.answer.values())
