"""Parser of expressions and files, with error recovery between the items of a file."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import evolve, frozen

from chainlang.diagnostics.diagnostic import Diagnostic, in_order
from chainlang.diagnostics.source import Source, Span
from chainlang.errors import raise_errors
from chainlang.ir.declarations import File
from chainlang.ir.nodes import Expr
from chainlang.notation.declarations import read_file
from chainlang.notation.expressions import Reader
from chainlang.notation.grammar import grammar
from chainlang.notation.scan import bracketed, check_size, marks

_Node = TypeVar("_Node", Expr, File)
_ITEM_START = re.compile(r"(?:use|model|server|input|type|op)\b|[A-Za-z_]\w*[ \t]*=(?!=)")
_DECLARED = re.compile(  # possessive, so that a long word costs its length and not the square of it
    r"^(?:(?:model|type|op)[ \t]++@?(?P<name>\w++)|(?P<word>use|input)\b)"
    r"|\b(?P<label>[A-Za-z_]\w*+)[ \t]*+=(?!=)",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"use\s*[\"']|model\s+\w+\s*=|(?:input|type\s+\w+)\s*\{|op\s+\w+\s*:")
_MOST_ERRORS = 20
_Broken: TypeAlias = tuple[tuple[int, int], Diagnostic]


@frozen
class UnparsedNames:
    """Names that an item with a syntax error may have declared, which are not reported as unknown.

    >>> bool(UnparsedNames()), "x" in UnparsedNames(everything=True)
    (False, True)
    """

    names: frozenset[str] = frozenset()
    everything: bool = False
    """Whether the item may have declared any name."""

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)

    def __contains__(self, name: str) -> bool:
        return self.everything or name in self.names

    def __or__(self, other: UnparsedNames) -> UnparsedNames:
        return UnparsedNames(self.names | other.names, self.everything or other.everything)


NO_UNPARSED_NAMES = UnparsedNames()


@frozen
class Parsed(Generic[_Node]):
    """The node of a text, and the diagnostics of parsing it."""

    node: _Node
    diagnostics: tuple[Diagnostic, ...] = ()
    lost: UnparsedNames = NO_UNPARSED_NAMES


def source(text: str, name: str = "<chain>") -> Source:
    """Return a source with normalized line ends and without a byte order mark.

    >>> source("\\ufeffE >>\\r\\n M").text
    'E >>\\n M'
    """
    return Source(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), name)


def parse(text: str | Source) -> Parsed[Expr]:
    """Parse an expression; return its node and warnings.

    Names of types, models and definitions are not resolved. Raises `NotationError` for syntax
    errors and `LimitError` for a text that is too large.

    >>> parse("3:E:tiny:0.7 >> M").node
    Then(parts=(Stage(name='E', count=3, model='tiny', temperature=0.7, options=()), Stage(name=...
    """
    found = read_expression(text if isinstance(text, Source) else source(text))
    raise_errors(found.diagnostics)
    return found


def parse_file(text: str | Source) -> Parsed[File]:
    """Parse a `.chain` file; return its items and warnings. Raises as `parse` does.

    >>> parse_file("panel = 3:E\\nmain = $panel >> M").node.items[0].name
    'panel'
    """
    found = read_items(text if isinstance(text, Source) else source(text))
    raise_errors(found.diagnostics)
    return found


def read_expression(source: Source) -> Parsed[Expr]:
    """Parse an expression; return its node with all diagnostics, errors included.

    Raises `NotationError` only if the grammar does not accept the text.
    """
    check_size(source)
    tree, problem = _tree(source.text, "expression", source)
    if problem is not None:
        raise_errors([problem])
    reader = Reader(source)
    node = reader.expression(tree.children[0])
    return Parsed(node, in_order(reader.found))


def read_items(source: Source) -> Parsed[File]:
    """Parse a file; return its items with all diagnostics.

    An item that the grammar does not accept is left out and parsing resumes at the next one, so
    that several broken items are reported at once.
    """
    check_size(source)
    text = source.text
    problems: list[Diagnostic] = []
    lost = NO_UNPARSED_NAMES
    starts = _item_starts(text)
    while True:
        broken = _open_item(text, starts, source)
        if broken is None:
            tree, problem = _tree(text, "file", source)
            if problem is not None:
                broken = _broken_item(text, starts, problem, source)
        if broken is None or len(problems) == _MOST_ERRORS:
            break
        problems.append(broken[1])
        lost |= _declared(text[slice(*broken[0])])
        text = _blank(text, *broken[0])
    reader = Reader(source)
    if broken is not None:
        return Parsed(File(), in_order(problems), UnparsedNames(everything=True))
    node = read_file(reader, tree)
    return Parsed(node, in_order(problems + reader.found), lost)


def _declared(text: str) -> UnparsedNames:
    """Return the names that an item with a syntax error probably declares."""
    names = {match[match.lastgroup or 0] for match in _DECLARED.finditer(text)}
    return UnparsedNames(frozenset(names), everything="use" in names or not names)


def _open_item(text: str, starts: list[int], source: Source) -> _Broken | None:
    """Return the first item that ends in an operator, which would swallow the next item's keyword.

    ``a = E >>`` and then ``model m = ...`` would parse as ``a = E >> model`` and ``m = ...``.
    """
    last = 0
    inside = set(bracketed(text, starts))
    for begin, end in pairwise(starts):
        last = begin if text[begin:end].strip() else last
        # In an op that is not closed yet, `model` may be a value, followed by a setting.
        if end in inside or not _DECLARATION.match(text, end):
            continue
        if _is_open(text[last:end]):
            _, problem = _alone(text, last, end, source)
            if problem is not None:
                return (last, end), problem
    return None


def _broken_item(text: str, starts: list[int], problem: Diagnostic, source: Source) -> _Broken:
    """Return the item with the syntax error, and its diagnostic.

    The parser may stop only in a later item if a bracket or an operator was left open; so the items
    are parsed one by one, backwards from where it stopped.
    """
    at = problem.span.start if problem.span else 0
    for index in range(len(starts) - 1, -1, -1):
        begin, end = starts[index], starts[index + 1] if index + 1 < len(starts) else len(text)
        if begin > at or not text[begin:end].strip():
            continue
        _, own = _alone(text, begin, end, source)
        if own is not None:
            return (begin, end), own
    return (0, len(text)), problem


def _alone(text: str, begin: int, end: int, source: Source) -> tuple[Any, Diagnostic | None]:
    """Parse one item alone; return its tree or its diagnostic."""
    alone = _blank(_blank(text, 0, begin), end, len(text))
    tree, own = _tree(alone, "file", Source(alone, source.name))
    if own is None:
        return tree, None
    span = own.span and Span(source, own.span.start, min(own.span.end, end))
    return None, evolve(own, span=span)


def _is_open(item: str) -> bool:
    """Return whether an item ends in an operator, comments aside."""
    for mark in marks(item):
        if mark.kind == "comment":
            item = _blank(item, mark.start, mark.end)
    return bool(re.search(r"(?:>>|[&|*=])\s*\Z", item))


def _blank(text: str, start: int, end: int) -> str:
    """Return a text with a range replaced by blanks, so that all offsets stay the same."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _tree(text: str, start: str, source: Source) -> tuple[Any, Diagnostic | None]:
    from lark.exceptions import UnexpectedInput

    try:
        return grammar().parse(text, start=start), None
    except UnexpectedInput as error:
        from chainlang.notation.diagnose import diagnose

        return None, diagnose(error, source)


def _item_starts(text: str) -> list[int]:
    """Return the offsets at which items may start: 0, and each line that begins like an item.

    Brackets are ignored, since one may have been left open.
    """
    inside = {
        mark.start + match.end()
        for mark in marks(text)
        if mark.kind == "string"
        for match in re.finditer(r"\n", mark.text)
    }
    lines = (line.start() for line in re.finditer(r"^", text, re.MULTILINE))
    begin = (at for at in lines if at not in inside and _ITEM_START.match(text, at))
    return sorted({0, *begin})
