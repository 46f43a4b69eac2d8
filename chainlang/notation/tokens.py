"""Terminals of the grammar: their names in messages, and the classes of their parts.

Highlighting is made from `TERMINALS`. A test compares its rows with the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, get_args

from attrs import frozen

TokenClass: TypeAlias = Literal[
    "keyword", "operator", "punctuation", "number", "string", "name", "label", "reference",
    "function", "count", "model", "temperature", "comment", "space",
]  # fmt: skip
"""The class of a part of a token, which decides how it is shown."""
CLASSES: tuple[TokenClass, ...] = get_args(TokenClass)

_REST = r"(?s:.+)"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FIELD = r"[\w./@+~-]"
_QUOTED = r""" "(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*' """.strip()
# A number that is not the last field of its stage belongs to the model.
_NUMBER = rf"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!{_FIELD}|:))?"


@frozen
class Terminal:
    """One terminal: its name after "expected", and patterns of its parts with their classes.

    The patterns of the parts, one after another, match the whole token; one that matches nothing
    stands for a part that is absent.
    """

    name: str
    parts: tuple[tuple[str, TokenClass], ...]

    def split(self, text: str) -> Iterator[tuple[str, TokenClass]]:
        """Yield the parts of a token of this terminal with their classes.

        >>> list(TERMINALS["COUNTED"].split("3:E"))
        [('3', 'count'), (':', 'punctuation'), ('E', 'name')]
        >>> list(TERMINALS["FIELD"].split(":0.7"))
        [(':', 'punctuation'), ('0.7', 'temperature')]
        """
        at = 0
        for pattern, kind in self.parts:
            found = re.compile(pattern).match(text, at)
            if found and found[0]:
                yield found[0], kind
                at = found.end()


def _whole(name: str, kind: TokenClass) -> Terminal:
    return Terminal(name, ((_REST, kind),))


TERMINALS: Mapping[str, Terminal] = {
    "COUNTED": Terminal("a stage", ((r"[0-9]+", "count"), (r":", "punctuation"), (_NAME, "name"))),
    "NAME": _whole("a stage", "name"),
    "FIELD": Terminal(
        "':' and a field",
        (
            (r":", "punctuation"),
            (_NUMBER, "temperature"),
            (f"(?:{_QUOTED}|{_FIELD}*)", "model"),
        ),
    ),
    "LABEL": Terminal(
        "a name and '='", ((_NAME, "label"), (r"[ \t]*", "space"), (r"=(?!=)", "operator"))
    ),
    "REF": _whole("a '$name'", "reference"),
    "FUNCTION": _whole("an '@name'", "function"),
    "INT": _whole("a number", "number"),
    "NUMBER": _whole("a number", "number"),
    "RANGE": _whole("a range such as 1..5", "number"),
    "STRING": _whole("a string", "string"),
    "USE": _whole("'use'", "keyword"),
    "MODEL": _whole("'model'", "keyword"),
    "SERVER": _whole("'server'", "keyword"),
    "INPUT": _whole("'input'", "keyword"),
    "TYPE": _whole("'type'", "keyword"),
    "OP": _whole("'op'", "keyword"),
    "AS": _whole("'as'", "keyword"),
    "SHIFT": _whole("'>>'", "operator"),
    "AMP": _whole("'&'", "operator"),
    "BAR": _whole("'|'", "operator"),
    "STAR": _whole("'*'", "operator"),
    "LPAR": _whole("'('", "punctuation"),
    "RPAR": _whole("')'", "punctuation"),
    "LSQB": _whole("'['", "punctuation"),
    "RSQB": _whole("']'", "punctuation"),
    "LBRACE": _whole("'{'", "punctuation"),
    "RBRACE": _whole("'}'", "punctuation"),
    "COMMA": _whole("','", "punctuation"),
    "COLON": _whole("':'", "punctuation"),
    "EQUALS": _whole("'='", "operator"),
    "QUESTION": _whole("'?'", "operator"),
    "ARROW": _whole("'->'", "operator"),
    "COMMENT": _whole("a comment", "comment"),
    "SPACE": _whole("white space", "space"),
    "$END": Terminal("the end", ()),
}
