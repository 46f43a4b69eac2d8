"""What `chainlang` exports: all of it, in order, said in words and shown in use."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chainlang

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^```.*?\n(.*?)^```$|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
SHOWN = "\n".join(
    block or inline
    for path in (ROOT / "README.md", ROOT / "grammar" / "README.md", *(ROOT / "docs").rglob("*.md"))
    for block, inline in CODE.findall(path.read_text(encoding="utf-8"))
)


def test_all_is_sorted_and_whole():
    tree = ast.parse(Path(chainlang.__file__).read_text(encoding="utf-8"))
    seen_by_editors = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert chainlang.__all__ == sorted(seen_by_editors)
    assert seen_by_editors == chainlang._HOMES  # each is imported when it is first used
    assert set(chainlang.__all__) <= set(dir(chainlang))


def test_what_is_public_is_imported_when_it_is_used():
    names = ["chainlang.api.chain", "lark", "attrs", "pydantic", "jinja2"]
    code = f"import chainlang, sys; print([one for one in {names} if one in sys.modules])"
    run = [
        sys.executable,
        "-c",
        f"{code}; chainlang.E; print('chainlang.api.chain' in sys.modules)",
    ]
    assert subprocess.run(run, check=False, capture_output=True, text=True).stdout == "[]\nTrue\n"


@pytest.mark.parametrize("name", chainlang.__all__)
def test_every_name_is_said_and_shown(name):
    value = getattr(chainlang, name)
    words = inspect.getdoc(value)
    assert words
    assert words.splitlines()[0].endswith((".", ":"))
    assert ">>> " in words or re.search(rf"\b{name}\b", SHOWN), f"{name} is shown nowhere"


def test_every_member_of_a_chain_has_words():
    for name in dir(chainlang.Chain):
        value = inspect.getattr_static(chainlang.Chain, name)
        if not name.startswith("_") and not inspect.ismemberdescriptor(value):
            assert inspect.getdoc(value), name


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert newest
    assert newest[1] == chainlang.__version__
