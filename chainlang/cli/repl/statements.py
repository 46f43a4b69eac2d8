"""Statements of the REPL: declarations, chains, questions and commands."""

from __future__ import annotations

import re
from typing import TypeAlias

from attrs import frozen

from chainlang.notation.highlight import classes
from chainlang.notation.scan import unclosed

_DECLARES = re.compile(
    r"(?:use|model|server|input|type|op)\b(?![ \t]*(?:>>|[&|:(?]|\Z))|[A-Za-z_]\w*[ \t]*=(?!=)"
)
_OPEN_END = re.compile(r"(?:>>|[&|*=,])[ \t]*\Z")


@frozen
class Command:
    """``:name arguments``."""

    name: str
    arguments: str


@frozen
class Declarations:
    """Items of a file, such as ``x = 3:E``."""

    text: str


@frozen
class Expression:
    """A chain, with the question to ask, if there is one. An empty text means the last chain."""

    text: str
    question: str | None


Statement: TypeAlias = Command | Declarations | Expression


def statement(text: str) -> Statement | None:
    """Return the statement of a text; None for white space and comments.

    >>> statement("3:E >> M ? What is 2 + 2?")
    Expression(text='3:E >> M', question='What is 2 + 2?')
    >>> statement("x = 3:E"), statement(":model tiny")
    (Declarations(text='x = 3:E'), Command(name='model', arguments='tiny'))
    """
    stripped = text.strip()
    if stripped.startswith(":"):
        name, _, rest = stripped[1:].partition(" ")
        return Command(name, rest.strip())
    end = question_at(text)
    if all(kind in ("space", "comment") for _, _, kind in classes(text[:end])):
        return None if end is None else Expression("", text[end + 1 :].strip())
    if end is None and _DECLARES.match(stripped):
        return Declarations(text.strip("\n"))
    chain = text[:end].strip()
    return Expression(chain, None if end is None else text[end + 1 :].strip())


def question_at(text: str) -> int | None:
    """Return the offset of the ``?`` that ends a chain; None if there is none."""
    depth = 0
    for at, part, kind in classes(text):
        if kind == "keyword":
            return None  # in a declaration `str?` is a type
        if kind == "punctuation":
            depth += (part in "([{") - (part in ")]}")
        elif part == "?" and depth <= 0:
            return at
    return None


def is_whole(text: str) -> bool:
    """Return whether a text can end here: no bracket or string is open, and no operator ends it.

    >>> is_whole("3:E >>"), is_whole("op x : map {"), is_whole("3:E ? a (b")
    (False, False, True)
    """
    if text.lstrip().startswith(":") or question_at(text) is not None:
        return True
    shown = [part for _, part, kind in classes(text) if kind not in ("space", "comment")]
    if text.count('"""') % 2 or unclosed(text, len(text)) is not None:
        return False
    return not shown or not _OPEN_END.search(shown[-1])
