"""Programs after Ember's examples: each runs on the fake engine, and prints what is expected."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainlang.compat import ember
from chainlang.engines.fake import FakeEngine

FOLDER = Path(__file__).parent / "ember_programs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
PAGE = Path(__file__).parents[2] / "docs" / "coming_from_ember.md"
CAPITALS = {"Australia": "Canberra", "Peru": "Lima", "Kenya": "Nairobi"}
WRONG = {"Australia": "Sydney"}


def answer(request: Any, index: int) -> str:
    """Return a reply: one of three answers about Australia is wrong, and verifiers know it."""
    texts = [one.text for one in request.messages]
    last, whole = texts[-1], "\n".join(texts)
    country = next((one for one in CAPITALS if one in whole), None)
    if last.startswith("Verify"):
        if any(f"{wrong}" == one for one in texts for wrong in WRONG.values()):
            revised = f'"{CAPITALS["Australia"]}"'
            return f'{{"explanation": "no", "verdict": "incorrect", "revised_answer": {revised}}}'
        return '{"explanation": "yes", "verdict": "correct", "revised_answer": null}'
    if "Judge these answers" in last:
        count = len(re.findall(r"^Answer \d+:", last, re.MULTILINE))
        final = CAPITALS.get(country or "", "42")
        return f'{{"reasoning": "{count} answers", "final_answer": "{final}"}}'
    if "Refine" in last:
        return "What is the capital of Peru?"
    if "Explain" in last:
        return "It is the seat of the government."
    if "traffic" in last or "labels are right" in last:
        return "10"
    if country is not None:
        return WRONG.get(country, CAPITALS[country]) if index % 3 == 1 else CAPITALS[country]
    return f"{request.model}: {last.splitlines()[0]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_program_prints_what_is_expected(
    name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    program = importlib.import_module(f"tests.compat.ember_programs.{name}")
    with ember.use(engine=FakeEngine(answers=answer)):
        program.main()
    printed = capsys.readouterr().out
    expected = FOLDER / "expected" / f"{name}.txt"
    if request.config.getoption("--update"):
        expected.write_text(printed, encoding="utf-8")
    assert printed == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_program_has_nothing_of_chainlang_but_the_root_of_its_imports(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "chainlang" in line]
    assert lines
    for line in lines:
        assert re.match(r"from chainlang\.compat\.ember(\.\w+)* import ", line), line
    assert text.count("chainlang") == len(lines)


def test_the_page_has_a_row_for_each_program() -> None:
    rows = re.findall(
        r"^\| `(\w+)\.py` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == len(dict(rows))
    assert sorted(name for name, needed in rows if needed.startswith("runs")) == NAMES
    assert len(NAMES) >= 25


SPECIFIED = """
from typing import ClassVar
from chainlang.compat.ember.api.operators import EmberModel, Operator, Specification

class Text(EmberModel):
    text: str

Texts = Specification[Text, Text]

class Classwide(Operator[Text, Text]):
    specification: ClassVar[Texts] = Texts(input_model=Text)

class Annotated(Operator[Text, Text]):
    specification: Texts = Texts(input_model=Text)

class Plain(Operator[Text, Text]):
    specification = Texts(input_model=Text)

class Made(Operator[Text, Text]):
    def __init__(self) -> None:
        self.specification = Texts(input_model=Text)

text: str = Annotated()(text="a").text
number: int = Annotated()(text="a").text
"""


@pytest.mark.slow
def test_the_programs_and_each_way_to_write_a_specification_have_types(tmp_path: Path) -> None:
    (tmp_path / "specified.py").write_text(SPECIFIED, encoding="utf-8")
    options = ["--strict", "--allow-any-generics", "--cache-dir", str(tmp_path / "cache")]
    paths = [str(tmp_path / "specified.py"), *map(str, FOLDER.glob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *paths],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MYPYPATH": str(Path(__file__).parents[2])},
    )
    wrong = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(wrong) == 1, done.stdout + done.stderr
    assert "specified.py:24:" in wrong[0]
    assert 'expression has type "str", variable has type "int"' in wrong[0]
