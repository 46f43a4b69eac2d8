"""Plugins: the example of the repository, installed by pip, and those that are broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang.cli import execute

ROOT = Path(__file__).parents[1]
BROKEN = {
    "broken_plugin.py": "raise SystemExit('no licence')\n",
    "broken_plugin-0.1.dist-info/METADATA": """Metadata-Version: 2.1
Name: broken-plugin
Version: 0.1
""",
    "broken_plugin-0.1.dist-info/entry_points.txt": """[chainlang.engines]
dead = broken_plugin:engine

[chainlang.readers]
dead = broken_plugin:read

[chainlang.metrics]
dead = broken_plugin:metric

[chainlang.ops]
dead = broken_plugin:TEXT
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example plugin, and with one that can't be imported."""
    target = tmp_path_factory.mktemp("plugins")
    command = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run(
        [sys.executable, *command, str(target), str(ROOT / "examples" / "plugin")],
        check=True,
        capture_output=True,
    )
    for name, text in BROKEN.items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return target


@pytest.fixture
def beside(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the plugins on the path of this process."""
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(installed)
    yield
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(installed)):
            del sys.modules[name]


def ran(installed: Path, *words: str, code: str = "", cwd: Path | None = None) -> tuple[int, str]:
    """Return the status and the output of a command, or of code, beside the plugins."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}
    command = ["-c", code] if code else ["-m", "chainlang", *words]
    found = subprocess.run(
        [sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return found.returncode, found.stdout + found.stderr


@pytest.mark.usefixtures("beside")
def test_all_are_listed_and_a_broken_one_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["plugins", "--json"]) == 1
    found = {(one["group"], one["name"]): one for one in json.loads(capsys.readouterr().out)}
    assert found["engines", "echo"] == {
        "group": "engines",
        "name": "echo",
        "package": "chainlang-example-plugin",
        "version": "1.2.0",
        "fault": None,
    }
    assert found["metrics", "dead"]["fault"] == "SystemExit: no licence"
    assert {name for _, name in found} >= {"ini", "same_length", "greetings", "greet"}


@pytest.mark.slow
def test_each_is_used_by_its_name(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "x.chain").write_text(
        'use "plugin:greetings"\nmodel loud = echo("hi", times=2)\nmain = hello:loud\n'
    )
    (tmp_path / "rows.ini").write_text("[Ada]\n[Bob]\n")
    status, output = ran(installed, "run", "x.chain", "-i", "rows.ini", "-o", "out", cwd=tmp_path)
    assert status == 0, output
    answers = "".join(one.read_text() for one in (tmp_path / "out" / "answers").iterdir())
    assert "hi: Say hello to Ada.Say hello to Ada." in answers
    about = json.loads((tmp_path / "out" / "metadata.json").read_text())
    used = {
        "engine echo": "chainlang-example-plugin 1.2.0",
        "ops": "chainlang-example-plugin 1.2.0",
    }
    assert about["settings"]["plugins"] == used
    code = """
from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.evaluation import evaluate

rows, engine = [{"query": "q", "answer": "abc"}], FakeEngine(answers={"": "xyz"})
print(evaluate(chain("E"), rows, "same_length", engine=engine).accuracy)
"""
    assert ran(installed, code=code, cwd=tmp_path) == (0, "1.0\n")
    code = "from chainlang.pipelines.actions import shipped; print('greet' in shipped())"
    assert ran(installed, code=code, cwd=tmp_path) == (0, "True\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model a = dead("x")\nmain = E:a\n', "the engine of the plugin broken-plugin 0.1 can't"),
        ('use "plugin:dead"\nmain = E\n', "the plugin 'dead' of broken-plugin 0.1 can't be"),
        ('use "plugin:greeting"\nmain = E\n', "did you mean 'greetings'?"),
        ('model a = eco("x")\nmain = E:a\n', "did you mean 'echo'?"),
        ('model a = echo("x", api_key="k")\nmain = E:a\n', "an API key is not allowed in a file"),
    ],
)
@pytest.mark.usefixtures("beside")
def test_what_needs_a_broken_one_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "x.chain").write_text(text)
    assert execute(["check", str(tmp_path / "x.chain")]) != 0
    assert message in capsys.readouterr().err
