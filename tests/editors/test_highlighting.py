"""Highlighting: the classes of all tokens, in Pygments and in TextMate."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as Tree

import pytest
from attrs import frozen
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename

from chainlang.notation.grammar import grammar
from chainlang.notation.highlight import classes, rules
from chainlang.notation.parse import source
from chainlang.notation.pygments_lexer import TOKENS, ChainLexer
from chainlang.notation.tokens import CLASSES, TERMINALS
from tests.cases import FIXTURES, cases
from tests.editors.textmate import scopes

ROOT = Path(__file__).parents[2]
BUILD = runpy.run_path(str(ROOT / "editors" / "build.py"))


@frozen
class Text:
    name: str
    text: str
    start: str
    """Rule of the grammar: `file` or `expression`."""


def _texts(*patterns: str) -> Iterator[Text]:
    for case in cases(*patterns):
        start = "expression" if case.path.is_relative_to(FIXTURES / "expressions") else "file"
        yield Text(f"{case.path.stem}: {case.name}", case.text.split("\n-- ")[0], start)


EXAMPLES = [
    Text(path.name, path.read_text(encoding="utf-8"), "file")
    for path in sorted((ROOT / "examples").glob("*.chain"))
]
VALID = [*EXAMPLES, *_texts("files/valid/*.cases", "expressions/valid/*.cases")]
ALL = [*VALID, *_texts("files/invalid/*.cases", "expressions/invalid/*.cases", "hostile/*.cases")]


def test_all_parts_are_the_text() -> None:
    for one in ALL:
        assert "".join(part for _, part, _ in classes(one.text)) == one.text, one.name


def test_the_classes_are_those_of_the_parsed_tokens() -> None:
    """Patterns with a stack see what the parser sees, in all valid texts."""
    counted = 0
    for one in VALID:
        text = source(one.text).text
        found = {
            offset: kind for at, part, kind in classes(text) for offset in range(at, at + len(part))
        }
        for token in grammar().parse_interactive(text, start=one.start).iter_parse():
            at = token.start_pos
            for part, kind in TERMINALS[token.type].split(token):
                shown = {found[at + index] for index, char in enumerate(part) if not char.isspace()}
                is_inside = kind == "temperature" and text[at + len(part) :].startswith(":")
                expected = "model" if is_inside else kind
                assert shown <= {expected}, f"{one.name}: {part!r} of {text!r}"
                at += len(part)
                counted += 1
    assert counted > 5_000


def _merged(tokens: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the tokens without white space; neighbours of one class are one token."""
    solid = [("".join(text.split()), kind) for text, kind in tokens if text.strip()]
    return [("".join(text for text, _ in them), kind) for kind, them in groupby(solid, key=_second)]


def _second(token: tuple[str, str]) -> str:
    return token[1]


def test_pygments_and_textmate_agree_on_every_text() -> None:
    scope_of = {TOKENS[kind]: f"{scope}.chainlang" for kind, scope in BUILD["SCOPES"].items()}
    textmate, pygments = json.loads(BUILD["GRAMMAR"].read_text(encoding="utf-8")), ChainLexer()
    assert len(ALL) > 500
    for one in ALL:
        text = source(one.text).text.replace("\f", " ").replace("\v", " ")
        text = re.sub("[\x1c-\x1e\x85\u2028\u2029]", " ", text)  # where Python ends lines
        ours = (
            (part, scope_of.get(kind, ""))
            for _, kind, part in pygments.get_tokens_unprocessed(text)
        )
        assert _merged(scopes(textmate, text)) == _merged(ours), one.name


def test_every_class_has_a_colour() -> None:
    assert {*TOKENS} == {*CLASSES, "error"}
    assert {*BUILD["SCOPES"]} == {*TOKENS} - {"space"}
    used = {kind for found in rules().values() for rule in found for kind in rule.classes}
    assert used == {*TOKENS}


def test_the_grammar_of_textmate_is_made_from_the_rules() -> None:
    """`python editors/build.py` writes it."""
    assert BUILD["GRAMMAR"].read_text(encoding="utf-8") == BUILD["grammar_json"]()


def test_pygments_finds_the_lexer() -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "entry-points"
    ]["pygments.lexers"]
    assert entry == {"chainlang": "chainlang.notation.pygments_lexer:ChainLexer"}
    try:
        found = get_lexer_by_name("chain")
    except ValueError:
        pytest.skip("chainlang is not installed, or was before it had a lexer")
    assert type(found).__name__ == "ChainLexer"
    assert type(get_lexer_for_filename("a.chain")).__name__ == "ChainLexer"


def test_the_extension_packs(tmp_path: Path) -> None:
    path = BUILD["pack"](tmp_path)
    assert BUILD["pack"](tmp_path / "again").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        package = json.loads(archive.read("extension/package.json"))
        json.loads(archive.read("extension/language-configuration.json"))
    assert {"[Content_Types].xml", "extension.vsixmanifest"} <= names
    contributed = package["contributes"]
    named = [
        package["main"],
        *(one["configuration"] for one in contributed["languages"]),
        *(one["path"] for one in contributed["grammars"]),
    ]
    for one in named:
        assert f"extension/{one.removeprefix('./')}" in names


def test_the_packed_extension_is_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(BUILD["pack"](tmp_path)) as archive:
        files = {one: archive.read(one).decode() for one in archive.namelist()}
    scripts = {one: text for one, text in files.items() if one.endswith(".js")}
    required = re.findall(r"""require\(["']([^"']+)["']\)""", "".join(scripts.values()))
    own = {one for one in required if one.startswith(".")}
    assert own  # what else is required comes with the editor and Node.js
    assert {f"extension/{one.removeprefix('./').removesuffix('.js')}.js" for one in own} <= set(
        files
    )
    assert {one for one in required if not one.startswith(".")} <= {"vscode", "child_process"}
    manifest = Tree.fromstring(files["extension.vsixmanifest"])
    identity = manifest.find(".//{*}Identity")
    assert identity is not None
    assert identity.get("Version") == json.loads(files["extension/package.json"])["version"]
    kinds = {one.get("Extension") for one in Tree.fromstring(files["[Content_Types].xml"])}
    assert {Path(one).suffix[1:] for one in files if not one.startswith("[")} <= kinds
    assert "chainlang lsp" in files["extension/README.md"]
