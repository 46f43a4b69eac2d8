"""The pipelines of the examples: they load, are one chain in each text, and run with functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chainlang
from chainlang import Chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request
from chainlang.semantics.functions_file import read_functions
from tests.pipelines.test_keys import is_valid, plain, read_yaml, source

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "pipelines"
FILES = sorted(FOLDER.glob("*.yaml"))
DATA = ROOT / "examples" / "data" / "questions.jsonl"


def pipeline(name: str) -> Chain:
    functions = read_functions(FOLDER / "functions.py").public
    return load(FOLDER / f"{name}.chain.yaml", functions=functions)


def test_there_are_four() -> None:
    assert len(FILES) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_pipeline_is_one_chain_in_each_text(path: Path) -> None:
    made = pipeline(path.name.removesuffix(".chain.yaml"))
    assert load(text=str(made)) == made
    assert str(load(text=str(made))) == str(made)
    assert eval(repr(made), vars(chainlang)) == made  # what `repr` wrote
    assert Chain.from_json(made.to_json()) == made
    assert is_valid(plain(read_yaml(source(path.read_text(encoding="utf-8")))))


def scripted(request: Request, _index: int) -> str:
    prompt = request.messages[-1].text
    if "has to be decided" in prompt:
        return '{"value": "general"}' if "style" in prompt else '{"value": "severity"}'
    if "Make a plan" in prompt:
        return '{"queries": ["journal resume", "wasps"]}' if request.schema else "bars"
    if "What comes next" in prompt:
        return {"C": "12", "R": "14", "S": "10"}[request.messages[0].text.split(". ")[1][0]]
    return f"<{prompt.splitlines()[0]}>"


def run(name: str, row: dict[str, Any]) -> Any:
    result = pipeline(name)(row, engine=FakeEngine(answers=scripted))
    assert result.ok
    return result


def test_research_report(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Journal\n\nA journal lets a run resume.\n\nBees fly.\n")
    (tmp_path / "b.md").write_text("The journal has each sample.\n")
    result = run("research_report", {"topic": "resuming", "folder": str(tmp_path)})
    assert result.answer["sources"] == [
        ["a.md: A journal lets a run resume.", "a.md: # Journal"],
        [],
    ]
    assert result.answer["report"].startswith("<content: <topic: resuming")
    assert result.usage.calls == 4


def test_code_review() -> None:
    result = run("code_review", {"path": str(ROOT / "examples" / "real_model.py")})
    assert result.answer["scan"] == "completed"
    assert result.answer["review"].startswith("<security_results: [")
    broken = run("code_review", {"path": str(ROOT / "examples" / "real_model.py")})
    assert broken.answer == result.answer


def test_data_analysis() -> None:
    result = run("data_analysis", {"data_source": str(DATA)})
    assert result.answer["rows"] == len(DATA.read_text(encoding="utf-8").splitlines())
    assert result.answer["insights"][0].startswith("expected: mean ")


def test_ensemble_prediction() -> None:
    row = {"raw_data": [2, 4, 6, 8, 10]}
    result = run("ensemble_prediction", row)
    assert result.answer["prediction"] == 12
    assert not result.answer["is_fallback"]
    assert result.usage.calls == 3
    careful = run("ensemble_prediction", {**row, "threshold": 0.99})
    assert careful.answer["prediction"] == 10
    assert careful.answer["is_fallback"]
