"""Places where a node reads named parts: `of`, templates and expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chainlang.diagnostics.source import Span, part_span
from chainlang.ir.declarations import Op
from chainlang.ir.nodes import (
    Cascade,
    Each,
    Function,
    Loop,
    Node,
    Option,
    Route,
    Stage,
    WithFields,
)

_QUOTED = re.compile(r"\w+")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?!\w|\s*\()", re.ASCII)
"""A name that stands for itself: no attribute, and no function."""
_TEXT = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_BINDS = re.compile(r"\{%-?\s*(for|set)\s+([\w\s,]+?)\s*(?=in\b|=|-?%)")
"""The beginning of a tag that gives names to values of the template."""
_ENDS = re.compile(r"\{%-?\s*endfor\b")


def reads_of(node: Node) -> Iterator[Span]:
    """Yield the span of each name that a node may read a part by; some are fields of the row."""
    match node:
        case Stage(options=options) | WithFields(fields=options):
            for one in options:
                yield from _of_option(one.name, one.value, part_span(one.span, "value"))
        case Op():
            for setting in node.settings:
                where = part_span(setting.span, "value")
                yield from _of_option(setting.name, setting.value, where)
        case Function(of=of) if of is not None and node.span is not None:
            yield from _names(_value(node.span.part("of")))
        case Loop(until=str()):
            yield from _expression(node, "until")
        case Cascade(accept=str()):
            yield from _expression(node, "accept")
        case Route(by=str()):
            yield from _expression(node, "by")
        case Each():
            yield from _expression(node, "over")
        case Option():  # a node of its own in `walk`, read with its stage
            return


def _of_option(name: str, value: object, where: Span | None) -> Iterator[Span]:
    if where is None:
        return
    if name == "of":
        yield from _names(where)
    elif isinstance(value, str):
        yield from _template(where)


def _value(span: Span) -> Span:
    """Return the part of `name=value` behind the sign."""
    at = span.text.find("=") + 1
    return Span(span.source, span.start + at, span.end)


def _names(span: Span) -> Iterator[Span]:
    for found in _QUOTED.finditer(span.text):
        yield Span(span.source, span.start + found.start(), span.start + found.end())


def _template(span: Span) -> Iterator[Span]:
    """Yield the names that a template reads, without those that it has bound itself there."""
    bound: list[set[str]] = [set()]
    for code in _CODE.finditer(span.text):
        binds = _BINDS.match(code[0])
        read = code[0] if binds is None else " " * binds.end() + code[0][binds.end() :]
        for found in _words(read):
            if not any(found[0] in names for names in bound):
                start = span.start + code.start() + found.start()
                yield Span(span.source, start, start + len(found[0]))
        if binds is not None:
            names = set(re.findall(r"\w+", binds[2]))
            if binds[1] == "for":
                bound.append(names)
            else:
                bound[-1] |= names
        elif _ENDS.match(code[0]) and len(bound) > 1:
            bound.pop()


def _expression(node: Node, part: str) -> Iterator[Span]:
    assert node.span is not None
    where = _value(node.span.part(part))
    text = where.text
    inside = _TEXT.match(text.lstrip())
    if inside is None:
        return
    begin = len(text) - len(text.lstrip()) + 1
    for found in _words(text[begin : begin + len(inside[0]) - 2]):
        start = where.start + begin + found.start()
        yield Span(where.source, start, start + len(found[0]))


def _words(code: str) -> Iterator[re.Match[str]]:
    """Yield the names in code, without those in its texts."""
    blank = _TEXT.sub(lambda found: " " * len(found[0]), code)
    return _WORD.finditer(blank)
