"""Patterns as engines keep them: never more than what pydantic's own regular expressions mean."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import strategies as st
from pydantic_core import SchemaError, SchemaValidator

from chainlang.engines.grammar.regex import read, sample
from tests.laws import law

KEPT = (
    r"^[A-Z]{2}-\d+$", r"\d", "a|b", r"^a|b$", r"^(?:foo|ba[rz])+$", r'^"\w+"$', r"^\\x$",
    r'^[^"\\]*$', r"^\S+ \S+$", "^[à-ü😀]+$", r"^\D\W\s$", "^.+$", r"^[\w.+-]+@[\w-]+\.[a-z]{2,4}$",
    r"^(?P<y>\d{4})-(0[1-9]|1[0-2])$", r"^[^\d]$", r"^[\]\-^]$", "^$", "", r"^\t[\n]$",
    "^(a|b)*?c{2,}$", r"^[a\-z]$", "^[]a]$", "^[^]a]$",  "^é+?$", r"^(?<n>x)\/\.$",
)  # fmt: skip
REFUSED = {
    r"\bword": r"\b at character 1",
    "^(?=a)b$": "a group that is not (...), (?:...) or (?P<name>...) at character 4",
    "(?i)a": "a group that is not (...), (?:...) or (?P<name>...) at character 3",
    r"\p{L}": r"\p at character 1",
    r"(a)\1": r"\1 at character 4",
    "a^b": "^ at character 2",
    "(^a$)": "^ at character 2",
    "[[:alpha:]]": "a class in a class at character 2",
    "[a&&b]": "a class in a class at character 3",
    "[+--]": "a class in a class at character 3",
    "a**": "a repetition of a repetition at character 3",
    "(a": "an open group at character 3",
    "a)": ") at character 2",
    "[a": "an open class at character 3",
    "a{,2}": "a repetition that is not {n}, {n,} or {n,m} at character 3",
    "a{x}": "a repetition that is not {n}, {n,} or {n,m} at character 3",
    "^(a{100}){1000}$": "more than 10,000 repetitions",
    "\\": "\\ at character 1",
}


def texts(pattern: str) -> list[str]:
    """Return texts that a pattern is said to match."""
    draws = random.Random(pattern)
    return [sample(read(pattern), draws.randrange) for _ in range(50)]


@pytest.mark.parametrize("pattern", KEPT)
def test_what_is_made_of_a_pattern_matches_it(pattern: str) -> None:
    wanted = SchemaValidator({"type": "str", "pattern": pattern})
    assert all(wanted.isinstance_python(text) for text in texts(pattern))


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_can_not_be_kept_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(REFUSED[pattern])}$"):
        read(pattern)


@law(st.text(r"ab\d[]^$(|)*+?{1,}-.", max_size=10), st.randoms(use_true_random=False), share=2)
def test_any_text_is_kept_or_refused(pattern: str, draws: random.Random) -> None:
    try:
        part = read(pattern)
    except ValueError:
        return
    try:
        wanted = SchemaValidator({"type": "str", "pattern": pattern})
        text = sample(part, draws.randrange)
    except (SchemaError, ValueError):  # a pattern that Rust refuses is refused before it gets here
        return
    assert wanted.isinstance_python(text)
