"""What `chainlang` exports: all of it, in order, said in words and shown in use."""

import inspect
import re
import types
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
    visible = {
        name
        for name, value in vars(chainlang).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert chainlang.__all__ == sorted(visible)


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
