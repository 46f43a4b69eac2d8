"""The graphs of docs/patterns.md: as text, with operators and traced, they are one chain."""

from __future__ import annotations

import doctest
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, load
from chainlang.engines.fake import FakeEngine

PAGE = Path(__file__).parents[2] / "docs" / "patterns.md"
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ROWS = [
    {"query": "Does rain fall in autumn?", "documents": ["one", "two"]},
    {"query": "What is the sun?", "documents": ["three"]},
]


def patterns() -> dict[str, tuple[Chain, Chain, Chain]]:
    """Return the three chains of each section of the page."""
    names: dict[str, Any] = {}
    found = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## "):
        blocks = [(one["info"], one["text"]) for one in BLOCK.finditer(section)]
        for text in (text for info, text in blocks if info == "python"):
            for example in doctest.DocTestParser().get_examples(text):
                exec(example.source, names)
        for text in (text for info, text in blocks if info == "chain file"):
            used = {one: names[one] for one in re.findall(r"@(\w+)", text)}
            written = load(text=text, functions=used)
            found[section.partition("\n")[0]] = written, names["built"], names["traced"]
    return found


PATTERNS = patterns()


def test_there_are_ten() -> None:
    assert len(PATTERNS) == 10


@pytest.mark.parametrize("name", PATTERNS)
def test_the_three_forms_are_one_chain_with_one_result(name: str) -> None:
    written, built, traced = PATTERNS[name]
    assert written == built == traced
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        several = [
            [
                (one.answer, one.candidates, one.history)
                for one in form.map(ROWS, engine=FakeEngine())
            ]
            for form in (written, built, traced)
        ]
    assert several[0] == several[1] == several[2]
    assert all(answer is not None for answer, _, _ in several[0])
