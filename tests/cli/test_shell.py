"""The shell: pages of help, completion scripts, projects, run folders, narrow terminals."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang import ChainlangError, chain
from chainlang.cli import COMMANDS, command_line, main
from chainlang.cli.doctor import LIBRARIES
from chainlang.cli.new import TEMPLATES
from chainlang.diagnostics.render import render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return ended.value.code, *capsys.readouterr()

    return call


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


# ---------------------------------------------------------------- help


def test_the_examples_of_the_pages_are_commands():
    counted = 0
    for parser in parsers(command_line()):
        for line in (parser.epilog or "").splitlines():
            if "chainlang " not in line or not line.startswith("  "):
                continue
            words = shlex.split(line[line.index("chainlang ") :], comments=True)
            end = next((at for at, word in enumerate(words) if word in ("|", ">", "<")), len(words))
            command_line().parse_args(words[1:end])
            counted += 1
    assert counted >= 20


def test_every_command_has_examples_or_no_choice():
    without = {one.prog for one in parsers(command_line()) if "examples" not in (one.epilog or "")}
    nested = {f"chainlang runs {one}" for one in ("list", "show", "compare", "resume")}
    assert without == {"chainlang", "chainlang repl", "chainlang lsp", *nested}


@pytest.mark.parametrize("columns", ["40", "80"])
def test_help_fits_its_terminal(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for command in COMMANDS:
        _, out, _ = run(command, "--help")
        wrapped = out.partition("examples:")[0]
        flags = ("  -", "  {")  # which argparse breaks nowhere
        texts = (line for line in wrapped.splitlines() if not line.startswith(flags))
        assert all(len(line) <= int(columns) for line in texts), wrapped
        assert "``" not in out
        assert ":ref:" not in out


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_commands_and_flags(run, shell):
    code, out, _ = run("completion", shell)
    assert code == 0
    for word in ("retry-failed", "compare", "doctor"):
        assert word in out
    if shutil.which(shell):
        check = subprocess.run(
            [shell, "-n"], input=out, text=True, capture_output=True, check=False
        )
        assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [("chainlang ru", {"run", "runs"}), ("chainlang run --ret", {"--retry-failed"})],
)
def test_bash_completes(run, typed, expected):
    _, script, _ = run("completion", "bash")
    words = typed.split()
    program = (
        f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; COMP_LINE='{typed}'\n"
        f"COMP_POINT={len(typed)}; _shtab_chainlang\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    )
    done = subprocess.run(["bash"], input=program, text=True, capture_output=True, check=False)
    assert {line.strip() for line in done.stdout.splitlines()} == expected, done.stderr


# ---------------------------------------------------------------- doctor and new


def test_doctor_says_what_to_run(run, monkeypatch):
    code, out, _ = run("doctor", "--json")
    found = {one["what"]: one for one in json.loads(out)}
    assert code in (0, 1)
    for library, extra, _ in LIBRARIES:
        fix = None if found[library]["ok"] else f"pip install 'chainlang[{extra}]'"
        assert found[library]["command"] == fix
    monkeypatch.setenv("CHAINLANG_SEED", "many")
    code, out, _ = run("doctor")
    assert code == 1
    assert "missing  settings: " in out


def test_doctor_names_extras_that_there_are():
    import tomllib

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert {extra for _, extra, _ in LIBRARIES} == set(extras) - {"all", "dev", "docs", "vllm"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_project_works_as_its_readme_says(run, tmp_path, template):
    code, out, _ = run("new", "mine", "--template", template)
    assert (code, len(out.splitlines())) == (0, 4)
    readme = Path("mine/README.md").read_text()
    assert readme.startswith("# mine\n")
    os.chdir("mine")
    chain = next(Path().glob("*.chain"))
    assert run("check", "--strict", chain)[0] == 0
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    chainlang ")]
    for line in commands:
        command_line().parse_args(shlex.split(line)[1:])
    if template == "classify":  # the other needs vLLM
        for line in commands:
            assert run(*shlex.split(line)[1:])[0] == 0, line


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_test_of_a_new_project_passes(run, tmp_path, template):
    run("new", "mine", "--template", template)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------- run folders


@pytest.fixture
def two_runs(run):
    Path("qa.chain").write_text('model f = fake("f")\nmain = 3:E:f >> M\n')
    Path("rows.jsonl").write_text("".join(f'{{"id": "{n}", "query": "{n}"}}\n' for n in range(20)))
    for name, seed in (("a", "0"), ("b", "1")):
        assert (
            run("run", "qa.chain", "-i", "rows.jsonl", "-o", f"runs/{name}", "--seed", seed)[0] == 0
        )


def test_run_folders_are_listed_and_shown(run, two_runs):
    code, out, _ = run("runs", "list")
    assert code == 0
    assert out.splitlines()[::2] == [
        "runs/a  complete  20 rows, 0 failed",
        "runs/b  complete  20 rows, 0 failed",
    ]
    _, out, _ = run("runs", "show", "runs/a")
    assert out.startswith('model f = fake("f")\nmain = 3:E:f >> M\n\nstatus   complete\n')
    assert json.loads(run("runs", "show", "runs/a", "--json")[1])["rows"]["read"] == 20
    assert len(json.loads(run("runs", "list", "--json")[1])) == 2


def test_a_run_that_was_killed_shows_what_is_done_and_how_to_go_on(run, two_runs):
    Path("runs/a/metadata.json").unlink()  # it is written when a run ends
    assert run("runs", "list")[1].splitlines()[0] == "runs/a  running or killed  20 rows, 0 failed"
    _, out, _ = run("runs", "show", "runs/a")
    *_, rows, usage, journal, again = out.splitlines()
    assert (rows, usage[:17]) == ("rows     20 written so far, 0 failed", "usage    60 calls")
    assert journal == "journal  60 samples, which are not asked for again"
    assert again.endswith("or chainlang runs resume runs/a -i ROWS")
    assert run("runs", "resume", "runs/a", "-i", "rows.jsonl")[0] == 0
    assert "status   complete" in run("runs", "show", "runs/a")[1]


def test_runs_are_compared(run, two_runs):
    assert run("runs", "compare", "runs/a", "runs/a")[:2] == (
        0,
        "20 rows in both: 20 equal, 0 differ\n",
    )
    code, out, _ = run("runs", "compare", "runs/a", "runs/b", "--json")
    found = json.loads(out)
    assert (code, found["rows"], found["only_in_first"]) == (1, 20, 0)
    assert found["equal"] + len(found["differing"]) == 20
    _, out, _ = run("runs", "compare", "runs/a", "runs/b")
    assert f"{found['equal']} equal" in out


def test_a_run_is_resumed_with_the_chain_of_its_folder(run, two_runs):
    Path("qa.chain").unlink()
    code, _, err = run("runs", "resume", "runs/a", "-i", "rows.jsonl")
    assert code == 0
    assert "from the journal: 60 samples" in err
    code, _, err = run("runs", "resume", "runs/a", "-i", "rows.jsonl", "--seed", "9")
    assert code == 2
    assert "seed" in err


def test_a_run_of_functions_is_resumed_with_their_file(run, workspace):
    steps = "name: p\nsteps:\n  - {id: a, action: shout, parameters: {text: '{{ query }}'}}\n"
    Path("x.yaml").write_text(steps)
    Path("own.py").write_text("def shout(text):\n    return text.upper()\n")
    Path("rows.jsonl").write_text('{"query": "a"}\n')
    given = ("-i", "rows.jsonl", "--functions", "own.py")
    assert run("run", "x.yaml", "-o", "runs/a", *given)[0] == 0
    assert run("runs", "resume", "runs/a", *given)[0] == 0


def test_results_on_stdout_are_those_of_the_folder(run, two_runs):
    code, out, _ = run("run", "qa.chain", "-i", "rows.jsonl", "-o", "-")
    (part,) = Path("runs/a/flattened").iterdir()
    assert (code, out) == (0, part.read_text())
    assert not Path("-").exists()


# ---------------------------------------------------------------- stdin


@pytest.mark.parametrize(
    ("words", "text", "status", "printed"),
    [
        (["show", "-", "--as", "notation"], "3:E >> M", 0, "3:E >> M\n"),
        (["show", "-", "--as", "notation"], "x = 3:E\nmain = $x\n", 0, "x = 3:E\nmain = $x\n"),
        (["check", "-"], "main = 3:E >> M\n", 0, ""),
        (["check", "-"], "main = 3:E >> Q\n", 2, ""),
        (["prompt", "E", "-"], "What?\n", 0, "E: 1 × tiny\n\n[user]\nWhat?\n"),
        (["prompt", "E", "query=@-"], "What?\n", 0, "E: 1 × tiny\n\n[user]\nWhat?\n"),
    ],
)
def test_a_dash_is_stdin(run, monkeypatch, words, text, status, printed):
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(*words)[:2] == (status, printed)


@pytest.mark.parametrize("words", [["run", "-", "-i", "-", "-o", "-"], ["ask", "-", "-"]])
def test_stdin_is_read_once(run, words):
    code, _, err = run(*words)
    assert code == 2
    assert "- is stdin, which can be read once" in err


def test_an_empty_stdin_is_named(run, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b""))))
    assert "stdin: this file is empty" in run("run", "E", "-i", "-", "-o", "-")[2]


# ---------------------------------------------------------------- narrow terminals


@pytest.mark.parametrize("columns", [1, 40, 44, 80])
def test_no_line_with_carets_wraps(columns):
    text = "3:E:tiny:0.7(max_tokens=64) >> 2:V:tiny >> 1:J:tiny:0 >> Qq >> " + "3:E:tiny >> " * 9
    with pytest.raises(ChainlangError) as found:
        chain(text + "M")
    page = render(found.value.diagnostics, columns=columns).splitlines()
    (at,) = (index for index, line in enumerate(page) if line.rstrip().endswith("^^"))
    source, carets = page[at - 1], page[at]
    assert max(len(source), len(carets)) <= max(columns, 30)
    assert source[carets.index("^") : len(carets)] == "Qq"
