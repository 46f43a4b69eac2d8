"""Types that options need of the expressions given to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from chainlang.analysis.path_faults import Reader
from chainlang.analysis.template_reads import path_read
from chainlang.datatypes.value_types import (
    NEVER,
    NUMBER,
    TEXT,
    TRUTH,
    UNKNOWN,
    Fields,
    Listing,
    Presence,
    Scalar,
    Unknown,
    ValueType,
    described,
    field_of,
    options_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.ir.row_settings import ROW_SETTINGS
from chainlang.notation.literals import inside
from chainlang.semantics.given_fields import expression_of
from chainlang.semantics.turns import FIELDS


def misfit(
    reader: Reader, option: str, row: Collection[str], literal: Span | None
) -> Diagnostic | None:
    """Return the error of an expression that is a path to a value of another type.

    `row` has the declared fields of a row; `literal` is the place of the expression.
    """
    text = expression_of(reader.text) if option in ROW_SETTINGS else reader.text
    path = None if text is None else path_read(text)
    if text is None or path is None or option not in _WANTED:
        return None
    kind, (wanted, fits) = reader.readable.type_of(path), _WANTED[option]
    if any(map(fits, options_of(kind))) or kind == NEVER:
        return None
    hint = None
    found = f"'{text}' is {described(kind)}"
    if option == "messages":
        if isinstance(kind, Listing):
            found = f"an item of '{text}' is {described(kind.item)}"
        hint = f"declare {text}: list[{{ role: str, content: str }}]" if text in row else None
    start = reader.text.index(text)
    span = literal and inside(literal, start, start + len(text))
    message = f"{option}= is {wanted}, and {found}"
    return Diagnostic("expression", message, span, hint, kind="option", subject=option)


def _is_truth(kind: ValueType) -> bool:
    return isinstance(kind, Scalar) and kind.whole == TRUTH


def _may_be_number(kind: ValueType) -> bool:
    """Return whether a value may be a number, or the text of one."""
    return isinstance(kind, Unknown) or (isinstance(kind, Scalar) and kind.whole in (NUMBER, TEXT))


def _may_be_text(kind: ValueType) -> bool:
    return any(
        isinstance(one, Unknown) or (isinstance(one, Scalar) and one.whole == TEXT)
        for one in options_of(kind)
    )


def _may_be_message(kind: ValueType) -> bool:
    if not isinstance(kind, Fields):
        return isinstance(kind, Unknown)
    found = [field_of(kind, name) for name in FIELDS]
    return all(one.presence is not Presence.NEVER and _may_be_text(one.type) for one in found)


def _may_be_messages(kind: ValueType) -> bool:
    if not isinstance(kind, Listing):
        return isinstance(kind, Unknown)
    return kind.item == NEVER or any(map(_may_be_message, options_of(kind.item)))


def _may_be_images(kind: ValueType) -> bool:
    return _may_be_text(kind.item if isinstance(kind, Listing) else kind)


_WANTED: Mapping[str, tuple[str, Callable[[ValueType], bool]]] = {
    "accept": ("true or false", lambda kind: kind == UNKNOWN or _is_truth(kind)),
    "until": ("true or false", lambda kind: kind == UNKNOWN or _is_truth(kind)),
    "over": ("a list", lambda kind: isinstance(kind, Listing | Unknown)),
    "images": ("an image, or a list of them, each a text", _may_be_images),
    "max_tokens": ("a number", _may_be_number),
    "model": ("a text", _may_be_text),
    "samples": ("a number", _may_be_number),
    "temperature": ("a number", _may_be_number),
    "messages": ("a list of objects with a role and a content", _may_be_messages),
}
"""The type that an option needs: in words, and as a test."""
