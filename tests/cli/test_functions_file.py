"""`--functions`: the user's Python file, its public names, its hash, and its errors as pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang.cli import execute
from tests.running.test_resume import plain

CHAIN = """\
model m = fake("m")
main = E:m >> @shout
"""
FUNCTIONS = """\
import random
from os import system

def shout(answer: str) -> str:
    return answer.upper() + "!"

def _secret(answer): return answer

LIMIT = 3
"""


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.chain").write_text(CHAIN)
    (tmp_path / "rows.jsonl").write_text('{"query": "a"}\n{"query": "b"}\n')
    (tmp_path / "my_functions.py").write_text(FUNCTIONS)
    return tmp_path


def run(*more: str) -> int:
    given = ["run", "x.chain", "-i", "rows.jsonl", "-o", "out", "--functions", "my_functions.py"]
    return execute([*given, *more])


def metadata(at: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((at / "out/metadata.json").read_text())
    return found


def test_a_run_has_the_file_and_its_hash(at: Path) -> None:
    assert run() == 0
    lines = [json.loads(one) for one in (at / "out/flattened/000.jsonl").read_text().splitlines()]
    assert all(one["answer"].endswith("!") for one in lines)
    found = metadata(at)["functions"]
    assert (found["module"], found["path"]) == ("my_functions", "my_functions.py")
    assert len(found["hash"]) == 32
    before = plain(at / "out")
    assert run() == 0
    assert plain(at / "out") == before


def test_a_changed_file_is_a_changed_run(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    hash_before = metadata(at)["functions"]["hash"]
    (at / "my_functions.py").write_text(FUNCTIONS.replace('"!"', '"?"'))
    assert run() == 2
    assert "functions.hash was" in capsys.readouterr().err
    assert run("--changed") == 0
    said = capsys.readouterr().err
    assert "from the journal: 2 samples" in said
    assert metadata(at)["functions"]["hash"] != hash_before
    assert '?"' in (at / "out/flattened/000.jsonl").read_text()


def test_a_file_that_moved_is_the_same(at: Path) -> None:
    assert run() == 0
    (at / "lib").mkdir()
    (at / "my_functions.py").rename(at / "lib" / "my_functions.py")
    assert run("--functions", "lib/my_functions.py") == 0


@pytest.mark.parametrize(
    "command", [["ask", "x.chain", "Hi"], ["explain", "x.chain"], ["check", "x.chain"]]
)
def test_other_commands_take_it(
    at: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*command, "--functions", "my_functions.py"]) == 0
    out = capsys.readouterr().out
    assert "!" in out or command[0] != "ask"


def test_a_type_of_the_chain_gets_its_class(at: Path) -> None:
    (at / "my_functions.py").write_text(
        "from pydantic import BaseModel\n"
        "class Review(BaseModel):\n    score: int\n"
        "def plus(review: Review) -> int:\n    return review.score + 1\n"
    )
    schema = (
        '{"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}'
    )
    (at / "x.chain").write_text(
        'model m = fake("m")\n'
        f'type @Review """{schema}"""\n'
        "op review : generate -> Review { user = '{{ query }}' }\n"
        "main = review:m >> @plus\n"
    )
    assert run() == 0


def refused(at: Path, text: str, capsys: pytest.CaptureFixture[str], chain: str = CHAIN) -> str:
    (at / "my_functions.py").write_text(text)
    (at / "x.chain").write_text(chain)
    assert execute(["check", "x.chain", "--functions", "my_functions.py"]) == 2
    said = capsys.readouterr().err
    assert run() == 2
    assert capsys.readouterr().err.split("\n\n")[0] in said
    return said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "def shuot(answer): ...",
            ["unknown function '@shout'", "x.chain:2", "did you mean '@shuot'?"],
        ),
        ("x = 1", ["unknown function '@shout' in my_functions.py"]),
        ("from os import system as shout", ["it is private, imported or not callable there"]),
        ("shout = 3", ["it is private, imported or not callable there"]),
        ("shout = str.upper", ["list it in __all__ of my_functions.py"]),
        (
            "import json\nx = 1 / 0\n",
            [
                "my_functions.py can't be run: ZeroDivisionError",
                "my_functions.py:2, in <module>: x = 1 / 0",
            ],
        ),
        (
            "import json\njson.loads('{')\n",
            ["JSONDecodeError", "my_functions.py:2, in <module>: json.loads"],
        ),
        ("import sys\nsys.exit(3)", ["can't be run: SystemExit: 3"]),
        (
            "import no_such_module_here",
            ["ModuleNotFoundError: No module named 'no_such_module_here'"],
        ),
        ("def shout(:\n  pass", ["my_functions.py, line 1: ", "the line is: def shout(:"]),
        ("def shout(a, b): ...", ["takes 'b' by position"]),
        ("x = '\\0'\nraise KeyError\0", ["my_functions.py"]),
    ],
)
def test_a_file_that_cannot_serve_is_an_error_with_its_line(
    at: Path, text: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(at, text, capsys)
    assert "Traceback" not in said
    for one in expected:
        assert one in said


def test_what_a_file_lists_is_public(at: Path) -> None:
    (at / "my_functions.py").write_text("shout = str.upper\n__all__ = ['shout']\n")
    assert run() == 0


def test_private_functions_are_never_reached(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = CHAIN.replace("@shout", "@_secret")
    assert "'@_secret' in my_functions.py" in refused(at, FUNCTIONS, capsys, chain)
    chain = CHAIN.replace("@shout", "@system")
    assert "'@system' in my_functions.py" in refused(at, FUNCTIONS, capsys, chain)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my_function.py", "did you mean my_functions.py?"),
        ("nothing/at_all.py", "name a Python file"),
        (".", "can't read this file"),
        ("json.py", "another module is called json"),
        ("my-functions.py", "rename it to my_functions.py"),
    ],
)
def test_a_name_that_is_no_module(
    at: Path, name: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in ("json.py", "my-functions.py"):
        (at / name).write_text(FUNCTIONS)
    assert run("--functions", name) == 2
    assert expected in capsys.readouterr().err


def test_without_it_the_hint_names_it(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", "x.chain", "-i", "rows.jsonl", "-o", "out"]) == 2
    assert "--functions my_functions.py" in capsys.readouterr().err
