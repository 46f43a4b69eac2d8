"""Values of a file into templates of a chain: texts stay texts, a list keeps its items."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

from attrs import evolve

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.notation.literals import print_number
from chainlang.pipelines.templates import (
    Places,
    Template,
    Translator,
    blocks_of,
    expression_in,
    is_template,
)
from chainlang.pipelines.values import Auto, Fields, Items, Scalar, Value
from chainlang.semantics.expressions import LONGEST

Decide: TypeAlias = Callable[[Auto], str]
"""Returns the expression of a value that a model decides."""
Written: TypeAlias = "tuple[str, Places]"
"""A text, and where its characters are from."""
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PATH = re.compile(r"[\w.]+")


def as_template(value: Value, translator: Translator, decide: Decide) -> Template:
    """Return the template of a value, which keeps its type."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return translator.template(value)
    expression, places = as_expression(value, translator, decide)
    if len(expression) > LONGEST:
        message = f"this value has more than {LONGEST:,} characters"
        hint = "a text of any length stands by itself: give it a key of its own"
        translator.found.append(Diagnostic("limit", message, value.span, hint))
    text, moved = _sum([("{{ ", ()), (expression, places), (" }}", ())])
    return Template(text, evolve(value.span, places=moved or ((0, value.span.start),)))


def as_expression(value: Value, translator: Translator, decide: Decide) -> Written:
    """Return the expression of a value, whatever is inside."""
    here = ((0, value.span.start),)
    match value:
        case Scalar(value=str() as text):
            return _text(text, value, translator)
        case Scalar(value=None):
            return "none", here
        case Scalar(value=bool() as one):
            return str(one).lower(), here
        case Scalar(value=number):
            assert isinstance(number, int | float)  # the others stand above
            return print_number(number), here
        case Auto():
            return decide(value), here
        case Items(items):
            inner = [as_expression(one, translator, decide) for one in items]
            return _sum([("[", here), *_between(inner), ("]", ())])
        case Fields(entries):
            inner = [
                _sum(
                    [
                        (f"{quoted(one.key)}: ", ((0, one.key_span.start),)),
                        as_expression(one.value, translator, decide),
                    ]
                )
                for one in entries
            ]
            return _sum([("{", here), *_between(inner), ("}", ())])
    assert_never(value)


def _text(text: str, scalar: Scalar, translator: Translator) -> Written:
    if not is_template(text):
        return quoted(text), ((0, scalar.span.start),)
    made = translator.template(scalar)
    if (found := expression_in(made)) is not None:
        expression, places = found
        if _PATH.fullmatch(expression):
            return found
        return _sum([("(", ()), (expression, places), (")", ())])
    pieces: list[Written] = []
    at = 0
    for match in blocks_of(made.text):
        if match[1] == "{%":
            message = "inside a list or a table, a template has {{ ... }}, and no {% ... %}"
            hint = "give this text a key of its own"
            translator.found.append(Diagnostic("template", message, scalar.span, hint))
        pieces.append((quoted(made.text[at : match.start()]), ()))
        pieces.append((f"({match[2].strip()} | string)", ((0, scalar.span.start),)))
        at = match.end()
    pieces.append((quoted(made.text[at:]), ()))
    parts = [one for one in pieces if one[0] != "''"]
    return _sum([("(", ((0, scalar.span.start),)), *_between(parts, " + "), (")", ())])


def _between(several: Iterable[Written], sign: str = ", ") -> list[Written]:
    found: list[Written] = []
    for one in several:
        found += [(sign, ()), one] if found else [one]
    return found


def _sum(several: Iterable[Written]) -> Written:
    """Return texts one after another, with the places of their characters."""
    text, places = "", list[tuple[int, int]]()
    for piece, own in several:
        places += [(len(text) + index, offset) for index, offset in own]
        text += piece
    return text, tuple(places)


def quoted(text: str) -> str:
    """Return a text in quotes, as expressions read it."""
    return "'" + "".join(_ESCAPED.get(char, char) for char in text) + "'"
