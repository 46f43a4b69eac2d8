"""Readings of an answer: the number, the letter or the match that a metric compares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chainlang.datatypes.number_text import number_text
from chainlang.semantics.answer_forms import number, plain_words

_NUMBER = re.compile(r"(?<![\w.])[+\-\N{MINUS SIGN}]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_MARKED = re.compile(r"####\s*([^\n]*)")
_LETTERS = "ABCDEFGHIJ"
_CHOICE = (
    re.compile(r"\banswer\s*(?:is|:)?\s*\**\(?([A-Ja-j])\b(?!')", re.IGNORECASE),
    re.compile(r"\\boxed\{\\?(?:text\{)?([A-J])\}?"),
    re.compile(r"\A\s*\**\(?([A-J])(?:[).:*]|\s*\Z)"),
    re.compile(r"\(([A-J])\)"),
    re.compile(r"(?:^|\n)\s*\**\(?([A-J])\)?\.?\**\s*\Z"),
)


def last_number(answer: Any) -> str | None:
    """Return the last number of an answer in its canonical spelling; None if there is none.

    A number after ``####`` goes before all others, as in GSM8K. Commas are read where they group
    thousands.

    >>> [last_number(one) for one in ("6 * 7 = 42.", "#### 1,200 apples, or 3", 4.0, "none")]
    ['42', '1200', '4', None]
    >>> last_number("-3 and 2.50"), last_number("1e3"), last_number("v2 of it, 12,34")
    ('2.5', '1000', '34')
    """
    if not isinstance(answer, str):
        return number(answer)
    marked = _MARKED.findall(answer)
    for text in (marked[-1], answer) if marked else (answer,):
        found = _NUMBER.findall(text)
        if not found:
            continue
        # GSM8K writes its answer first after the mark; in a sentence the last one counts.
        one = (found[0] if marked and text is not answer else found[-1]).replace("−", "-")
        return number_text(one.rstrip(",")) or number_text(one.rstrip(",").rpartition(",")[2])
    return None


def letter(answer: Any, choices: object = None) -> str | None:
    """Return the letter of the choice that an answer names; None if it names none.

    `choices`: the texts of the choices, as a list or by letter; an answer that is one of them names
    it.

    >>> letter("The answer is (b)."), letter("C. Paris"), letter("I think so")
    ('B', 'C', None)
    >>> letter("Paris", ["Rome", "Paris"]), letter("It is a dog", {"A": "cat", "B": "dog"})
    ('B', None)
    """
    texts = _by_letter(choices)
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int):
        return _LETTERS[answer] if 0 <= answer < len(_LETTERS) else None
    if not isinstance(answer, str):
        return None
    alike = [one for one, text in texts.items() if plain_words(text) == plain_words(answer)]
    if len(alike) == 1 and answer.strip() not in texts:
        return alike[0]
    if len(answer.strip()) == 1 and answer.strip().upper() in _LETTERS:
        answer = answer.strip().upper()
    for pattern in _CHOICE:
        found = pattern.findall(answer)
        if found:
            named = found[-1].upper()
            return named if not texts or named in texts else None
    return None


def _by_letter(choices: object) -> dict[str, str]:
    if isinstance(choices, Mapping):
        return {str(name).upper(): str(text) for name, text in choices.items()}
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return dict(zip(_LETTERS, map(str, choices), strict=False))
    return {}
