"""The house rules that a machine can hold: layers, sizes, imports, the grammar, the wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lark import Lark
from lark.exceptions import LexError

from chainlang.notation.grammar import grammar, grammar_text
from chainlang.notation.tokens import CLASSES, TERMINALS
from tests.project import tables

ROOT = Path(__file__).parents[2]
HEAVY = ("jinja2", "lark", "numpy", "openai", "pandas", "pydantic", "ray", "torch", "transformers")


def python(*arguments: str, folder: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python in a folder, with its modules from `path` before all others."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


# ---------------------------------------------------------------- layers


LINT = ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")


@pytest.mark.slow
def test_imports_go_down() -> None:
    done = python(*LINT, "--no-cache", folder=ROOT, path=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


FIRST, SECOND = "chainlang.plan.planted_first", "chainlang.plan.planted_second"
PLANTED = {
    "ir/nodes.py": "import chainlang.api.chain",
    "runtime/run_loop.py": "import chainlang.optimizer.compile",
    "plan/planted_first.py": f"import {SECOND}",
    "plan/planted_second.py": f"import {FIRST}",
}
"""Lines that go into a copy of the package: an import that goes up, one between two rooms that
stand on one line, and a circle of siblings."""


@pytest.mark.slow
def test_imports_that_go_up_and_circles_are_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "chainlang", tmp_path / "chainlang")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in PLANTED.items():
        with (tmp_path / "chainlang" / name).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    done = python(*LINT, "--no-cache", folder=tmp_path, path=tmp_path)
    assert done.returncode == 1
    assert "each line may import those below it BROKEN" in done.stdout
    assert "chainlang.ir.nodes -> chainlang.api.chain" in done.stdout
    assert "chainlang.runtime.run_loop -> chainlang.optimizer.compile" in done.stdout
    assert "siblings have no circles BROKEN" in done.stdout
    assert FIRST.rpartition(".")[2] in done.stdout.split("siblings have no circles BROKEN")[1]


def test_no_module_is_loose_above_the_ground() -> None:
    loose = {path.stem for path in (ROOT / "chainlang").glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "interrupts", "limits", "plugins"}


def test_the_map_names_every_room() -> None:
    text = (ROOT / "chainlang" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = [name for layer in tables.layers() for name in layer]
    package = ROOT / "chainlang"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(named) == modules
    places = [text.index(f"\n| `{name}` |") for name in named]
    assert places == sorted(places)


# ---------------------------------------------------------------- sizes and imports


def test_no_file_is_longer_than_400_lines() -> None:
    sizes = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "chainlang").rglob("*.py")
    }
    assert len(sizes) > 100
    assert not {path: size for path, size in sizes.items() if size > 400}


def test_import_is_light() -> None:
    program = (
        "import sys, chainlang\n"
        f"heavy = {{*{HEAVY!r}, 'vllm'}} & {{name.split('.')[0] for name in sys.modules}}\n"
        "assert not heavy, heavy\n"
        "import logging, warnings\n"
        "assert not logging.getLogger().handlers\n"
        "chainlang.chain('E >> M')\n"
        "assert 'lark' in sys.modules\n"
    )
    done = python("-c", program, folder=ROOT, path=ROOT)
    assert done.returncode == 0, done.stderr


def test_no_link_is_in_the_repository() -> None:
    """A link to somebody's environment has been, and checking it out replaced what it names."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not [line for line in listed.stdout.splitlines() if line.startswith("120000")]


# ---------------------------------------------------------------- the grammar


def strict(text: str) -> Lark:
    """Build a grammar so that a conflict, or two terminals that match one text, is an error."""
    pytest.importorskip("interegular")
    return Lark(text, parser="lalr", lexer="contextual", start=["expression", "file"], strict=True)


def test_the_grammar_is_unambiguous() -> None:
    strict(grammar_text())


def test_an_ambiguous_grammar_is_found() -> None:
    text = grammar_text().replace("expression: either", "expression: either | SAME", 1)
    with pytest.raises(LexError, match="Collision"):
        strict(f"{text}\nSAME: /[0-9]+/\n")


def test_every_terminal_has_a_row_and_every_row_a_terminal() -> None:
    names = {terminal.name for terminal in grammar().terminals}
    assert not [name for name in names if name.startswith("__")], "a terminal without a name"
    assert names | {"$END"} == set(TERMINALS)


def test_every_class_of_a_token_is_used() -> None:
    assert {kind for row in TERMINALS.values() for _, kind in row.parts} == set(CLASSES)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.chain")), ids=lambda path: path.name
)
def test_the_parts_of_a_token_are_all_of_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(grammar().parse_interactive(text, start="file").iter_parse())
    assert tokens
    for token in tokens:
        parts = list(TERMINALS[token.type].split(token))
        assert "".join(part for part, _ in parts) == token
        assert all(kind in CLASSES for _, kind in parts)


# ---------------------------------------------------------------- the wheel


@pytest.mark.slow
def test_the_wheel_works_without_the_source_tree(tmp_path: Path) -> None:
    built = python(
        "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"),
        folder=ROOT, path=ROOT,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(unpacked)
    assert "chainlang/_grammar/chainlang.lark" in names
    assert "chainlang/py.typed" in names
    assert not [name for name in names if "tests" in name or "__pycache__" in name]
    program = (
        "import sys, chainlang; from chainlang.notation import grammar\n"
        f"assert chainlang.__file__.startswith({str(unpacked)!r}), chainlang.__file__\n"
        "print(chainlang.chain('3:E>>M'))"
    )
    done = python("-c", program, folder=tmp_path, path=unpacked)
    assert (done.returncode, done.stdout) == (0, "3:E >> M\n"), done.stderr
