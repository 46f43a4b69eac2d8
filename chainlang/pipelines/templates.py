"""Templates of a file of steps into templates of a chain: ``steps.plan.output`` is ``plan.answer``.

A template is translated once, when the file is read; what a model writes is never read as one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from functools import lru_cache
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.pipelines.document import Word
from chainlang.pipelines.names import COMPLETED, OUTPUT, STATUS, Names, Reads, Use
from chainlang.pipelines.values import Scalar

_STRING = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_BLOCK = re.compile(rf"(\{{\{{|\{{%)((?:{_STRING}|(?!\{{\{{|\{{%|[%}}]\}})[\s\S])*+)([%}}]\}})")
_COMMENT = re.compile(r"\{#[\s\S]*?#\}")
_WORD = re.compile(
    rf"(?P<string>{_STRING})"
    r"|(?<![\w.$])(?P<steps>\$?steps)(?:\.(?P<id>[A-Za-z][\w-]*)|\[\s*(?P<quoted>'[^']*'|\"[^\"]*\")\s*\])"
    r"|(?<![\w.$])(?P<table>inputs|context|parameters)\.(?P<entry>[A-Za-z_]\w*)"
    r"|(?<![\w.$|])(?P<name>\$?[A-Za-z_]\w*)(?!\s*\()"
)
_FIELD = re.compile(r"\s*(?:\.\s*(?P<name>[A-Za-z_]\w*)|\[\s*(?P<quoted>'[^']*'|\"[^\"]*\")\s*\])")
_FILTER = re.compile(r"\|\s*\Z|\bis\s+(?:not\s+)?\Z")
_LOOK_BACK = 20
_WINDOW = 2_000  # characters in which the next word of a value is looked for in its scalar
Places: TypeAlias = "tuple[tuple[int, int], ...]"
"""Offsets in the source of some characters of a text, by their index; those between follow."""
Piece: TypeAlias = "tuple[str, int]"
"""A text, and the index in the value from which it is."""


@frozen
class Template:
    """A translated template or expression, with the span of its scalar."""

    text: str
    span: Span


def is_template(text: str) -> bool:
    """Return whether a text has something to fill in."""
    return "{{" in text or "{%" in text


def blocks_of(text: str) -> list[re.Match[str]]:
    """Return the ``{{ … }}`` and ``{% … %}`` of a text, without those in comments."""
    comments = [match.span() for match in _COMMENT.finditer(text)]
    return [match for match in _BLOCK.finditer(text) if not _inside(match.start(), comments)]


def expression_in(template: Template) -> tuple[str, Places] | None:
    """Return the expression of a template that is a single ``{{ … }}``; None for any other."""
    blocks = blocks_of(template.text)
    if len(blocks) != 1 or blocks[0][1] != "{{" or blocks[0][0] != template.text:
        return None
    inner = blocks[0][2]
    expression = inner.strip().removeprefix("-").removesuffix("-").strip()
    return expression, _moved(template.span.places, 2 + inner.index(expression))


def _moved(places: Places, by: int) -> Places:
    """Return the places of a text without its first characters."""
    kept = [(index - by, offset) for index, offset in places if index >= by]
    if not kept or kept[0][0] > 0:
        kept.insert(0, (0, _at(list(places), by)))
    return tuple(kept)


@define
class Translator:
    """Translator of the templates of one step; collects what they read, and what is wrong."""

    names: Names
    reads: Reads = field(factory=Reads)
    found: list[Diagnostic] = field(factory=list)

    def template(self, scalar: Scalar, use: Use = "text") -> Template:
        """Return a text with its templates translated."""
        text = str(scalar.value)
        pieces: list[Piece] = []
        at = 0
        blocks = blocks_of(text)
        for match in blocks:
            pieces.append((text[at : match.start(2)], at))
            pieces += self.expression_pieces(match[2], match.start(2), scalar, use)
            at = match.start(3)
        pieces.append((text[at:], at))
        made = "".join(piece for piece, _ in pieces)
        span = placed(scalar, pieces)
        if len(blocks) != 1 or blocks[0][1] != "{{" or blocks[0][0] != text.strip():
            return Template(made, span)
        cut = len(made) - len(made.lstrip())  # a single value keeps its type
        return Template(made.strip(), evolve(span, places=_moved(span.places, cut)))

    def expression(self, scalar: Scalar, use: Use = "text") -> Template:
        """Return a condition or a list as an expression, with or without braces around it."""
        if isinstance(scalar.value, bool):
            return Template(str(scalar.value).lower(), placed(scalar, []))
        text = str(scalar.value)
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        is_whole = text.strip().startswith("{{") and text.strip().endswith("}}")
        if is_whole and not is_template(text[start + 2 : end]):
            start, end = start + 2, end - 2
        elif is_template(text):
            message = "this is an expression, and has a template inside"
            hint = "write one expression: \"{{ steps.check.output == 'yes' }}\""
            self.found.append(Diagnostic("expression", message, scalar.span, hint))
        inner = text[start:end]
        start += len(inner) - len(inner.lstrip())
        pieces = self.expression_pieces(inner.strip(), start, scalar, use)
        return Template("".join(piece for piece, _ in pieces), placed(scalar, pieces))

    # ------------------------------------------------------------ expressions

    def expression_pieces(self, text: str, start: int, scalar: Scalar, use: Use) -> list[Piece]:
        """Return an expression in pieces; `start` is its index in the value of the scalar."""
        pieces: list[Piece] = []
        at = 0
        for match in _WORD.finditer(text):
            if match.start() < at or match["string"] is not None:
                continue
            made = self.word(match, text, start, scalar, use)
            if made is None:
                continue
            new, end = made
            pieces += [(text[at : match.start()], start + at), (new, start + match.start())]
            at = end
        pieces.append((text[at:], start + at))
        return pieces

    def word(
        self, match: re.Match[str], text: str, start: int, scalar: Scalar, use: Use
    ) -> tuple[str, int] | None:
        """Return what stands for a name, and where what it replaces ends; None to leave it."""
        if match["steps"] is not None:
            quoted = match["quoted"]
            name = match["id"] if quoted is None else quoted[1:-1]
            end = match.end()
            if quoted is None and name not in self.names.steps:
                shorter = _known_start(name, self.names.steps)
                end -= 0 if shorter is None else len(name) - len(shorter)
                name = shorter or name
            where = self.place(scalar, start + match.start(), start + end, name)
            return self.step(name, text, end, where, use)
        if match["table"] is not None:
            return self.entry(match, scalar, start)
        name = match["name"]
        if _FILTER.search(text[max(0, match.start() - _LOOK_BACK) : match.start()]):
            return None
        bare = name.removeprefix("$")
        if bare in self.names.local:
            return self.names.local[bare], match.end()
        if bare in self.names.fields:
            return self.names.fields[bare], match.end()
        if bare in self.names.steps and _FIELD.match(text, match.end()):
            where = self.place(scalar, start + match.start(), start + match.end(), bare)
            return self.step(bare, text, match.end(), where, use)
        return None

    def entry(self, match: re.Match[str], scalar: Scalar, start: int) -> tuple[str, int] | None:
        """Return the field of the row that ``inputs.NAME`` means."""
        name = match["entry"]
        if name in self.names.fields:
            return self.names.fields[name], match.end()
        if not self.names.is_open:
            where = self.place(scalar, start + match.start("entry"), start + match.end(), name)
            hint = suggest(name, self.names.fields) or "declare it in `inputs`"
            self.found.append(unknown("field", name, self.names.fields, where.span, hint=hint))
        return name, match.end()

    def step(self, name: str, text: str, end: int, where: Word, use: Use) -> tuple[str, int] | None:
        """Return the part of a chain that is a step, with its field."""
        followed = _FIELD.match(text, end)
        field_name = None
        if followed is not None:
            field_name = followed["name"] or followed["quoted"][1:-1]
            end = followed.end() if field_name.isidentifier() else end
        if name in self.names.hidden:
            self.found.append(Diagnostic("unknown-name", self.names.hidden[name], where.span))
            return None
        label = self.names.steps.get(name)
        if label is None:
            known = tuple(self.names.steps)
            hint = suggest(name, known) or "add a step with this id"
            self.found.append(unknown("step", name, known, where.span, hint=hint))
            return None
        if name == self.names.own:
            label, self.reads.own = "candidates[0]", True
        else:
            self.reads.note(name, field_name, use)
        if field_name is None or field_name == OUTPUT or not field_name.isidentifier():
            return f"{label}.answer", end
        if field_name == STATUS:
            return f"({label}.status | default('{COMPLETED}'))", end
        return f"{label}.{field_name}", end

    def place(self, scalar: Scalar, start: int, end: int, name: str) -> Word:
        """Return a name with its place in the source."""
        span = placed(scalar, [])
        first, last = offset_of(span, start), offset_of(span, end)
        return Word(name, Span(span.source, first, max(last, first + 1)))


def _known_start(name: str, known: Collection[str]) -> str | None:
    """Return the longest known id at the start of a name that goes on with ``-``."""
    parts = name.split("-")
    starts = ("-".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((one for one in starts if one in known), None)


def _inside(at: int, ranges: list[tuple[int, int]]) -> bool:
    """Return whether an index is in one of some sorted ranges."""
    position = bisect_right(ranges, at, key=lambda one: one[0]) - 1
    return position >= 0 and at < ranges[position][1]


# ---------------------------------------------------------------- places


def placed(scalar: Scalar, pieces: list[Piece]) -> Span:
    """Return the span of a scalar, with the place of each character of a translated text."""
    starts = _aligned(str(scalar.value), scalar.span)
    if not pieces:
        return evolve(scalar.span, places=tuple(starts))
    found, index = [], 0
    for piece, origin in pieces:
        found.append((index, _at(starts, origin)))
        first = bisect_right(starts, origin, key=lambda one: one[0])
        last = bisect_left(starts, origin + len(piece), key=lambda one: one[0])
        found += [(index + one - origin, place) for one, place in starts[first:last]]
        index += len(piece)
    return evolve(scalar.span, places=tuple(found))


@lru_cache(maxsize=64)
def _aligned(value: str, span: Span) -> list[tuple[int, int]]:
    """Return where each word of a value stands in the text of its scalar: quotes and folding."""
    raw, at = span.text, 0
    found = [(0, span.start)]
    for match in re.finditer(r"\S+", value):
        there = raw.find(match[0], at, at + len(match[0]) + _WINDOW)
        if there >= 0:
            found.append((match.start(), span.start + there))
            at = there + len(match[0])
    return found


def _at(starts: list[tuple[int, int]], index: int) -> int:
    position = bisect_right(starts, index, key=lambda one: one[0]) - 1
    first, place = starts[max(position, 0)]
    return place + index - first


def offset_of(span: Span, index: int) -> int:
    """Return the offset in the source of a character of a value whose span has places."""
    return min(_at(list(span.places), index), span.end)
