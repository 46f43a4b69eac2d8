"""Hover texts: the meaning of the word at a place, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from chainlang.diagnostics.source import part_span
from chainlang.editing.complete import MEANING, complete
from chainlang.editing.names import declaration, name_at
from chainlang.ir.builtins import COMBINATORS, STAGE_TYPES, canonical
from chainlang.ir.declarations import Field, Item
from chainlang.ir.nodes import Named
from chainlang.ir.visit import walk
from chainlang.notation.highlight import Class, classes
from chainlang.notation.unparse import unparse, unparse_field, unparse_item

_PARTS: dict[Class, str] = {
    "count": "Number of samples of the stage.",
    "temperature": "Temperature of the stage: 0, or from 0.01 to 2.",
}


@frozen
class Description:
    """A text about the part of a source between two offsets."""

    markdown: str
    start: int
    end: int


def describe(text: str, offset: int, items: Iterable[Item], source: str) -> Description | None:
    """Return the meaning of the word at an offset of a source; None if there is nothing to say.

    `items`: as they were parsed, with those of other files. `source`: its name in their spans.
    """
    declared = tuple(items)
    found = name_at(declared, source, offset)
    if found is not None:
        there = declaration(declared, found)
        if there is not None and there.item is not None:
            part = there.item
            shown = unparse(part) if isinstance(part, Named) else unparse_item(part).rstrip()
            shown = f"```chain\n{shown}\n```"
            return Description(shown, found.span.start, found.span.end)
    for item in declared:
        for node in walk(item):
            where = part_span(node.span, "name") if isinstance(node, Field) else None
            if where is None or where.source.name != source:
                continue
            if isinstance(node, Field) and where.start <= offset <= where.end:
                return Description(f"`{unparse_field(node)}`", where.start, where.end)
    return _of_a_word(text, offset, declared)


def _of_a_word(text: str, offset: int, items: tuple[Item, ...]) -> Description | None:
    found = next(
        (
            one
            for one in classes(text)
            if one[0] <= offset <= one[0] + len(one[1]) and _says(one[2])
        ),
        None,
    )
    if found is None:
        return None
    at, part, kind = found
    start, end = _word(text, offset) if kind == "string" else (at, at + len(part))
    word = text[start:end]
    if kind in _PARTS:
        return Description(_PARTS[kind], start, end)
    if kind == "name" and (of_a_call := _of_a_call(word)) is not None:
        return Description(of_a_call, start, end)
    for one in complete(text, end, items):
        if one.text == word and one.detail:
            return Description(f"`{one.text}`: {one.detail}", start, end)
    return None


def _says(kind: Class) -> bool:
    """Return whether a part of this class can have a description."""
    return kind not in ("space", "comment", "operator", "punctuation", "error")


def _of_a_call(name: str) -> str | None:
    """Return the page of a built-in stage type or a combinator."""
    if (stage := STAGE_TYPES.get(canonical(name))) is not None:
        does = MEANING[stage.kind]
        model = "" if stage.calls_model else ", without a model"
        options = ", ".join(f"`{one}`" for one in stage.options)
        return f"**{stage.name}** ({stage.what}): {does}{model}\n\nOptions: {options}"
    if (call := COMBINATORS.get(name)) is not None:
        options = "; ".join(f"`{one}`: {rule.wants}" for one, rule in call.options.items())
        if call.others is not None:
            options = f"the name of a field: {call.others.wants}"
        return f"**{name}**: {call.what}\n\n```chain\n{call.example}\n```\n\n{options}".rstrip()
    return None


def _word(text: str, offset: int) -> tuple[int, int]:
    """Return the start and end of the identifier around an offset."""
    start = end = offset
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return start, end
