"""Kind of text that a place in an unfinished text expects, judged by the text before it."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from chainlang.notation.highlight import Class, classes

Expected: TypeAlias = Literal[
    "argument", "attribute", "definition", "engine", "field", "function", "item", "kind", "model",
    "nothing", "op setting", "engine setting", "stage", "type", "value",
]  # fmt: skip
_Group: TypeAlias = Literal["call", "engine", "fields", "group", "list", "settings", "table"]
_WORDS: frozenset[Class] = frozenset(
    {"name", "label", "keyword", "model", "temperature", "reference", "function"}
)
_OPENED = ("model", "server")
_OPERANDS: frozenset[Class] = frozenset({"name", "model", "temperature", "reference", "function"})
_WHOLE = re.compile(r"""r?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""")


@frozen
class Context:
    """The kind of text that a place expects, and the word that is there already."""

    expected: Expected
    start: int
    """Offset of the word before the place, which a completion replaces."""
    of: str = ""
    """Owner of an option or setting; name of the option of a value, or before the dot."""


@define
class _Scan:
    """The brackets and the item around the end of a text."""

    item: str = ""
    """Keyword of the item; ``=`` in a definition."""
    open: list[tuple[_Group, str]] = field(factory=list)
    """The brackets that are open, each with the name before it."""
    name: str = ""
    label: str = ""
    counts: bool = False
    """Whether the last part is the colon after a count."""
    before: tuple[str, Class] = ("", "space")

    def take(self, text: str, kind: Class) -> None:
        """Read the next part of the text."""
        if kind == "keyword" and text != "as":
            self.item, self.open = text, []
        elif kind == "label":
            self.label = text
            if not self.open and self.before[0] not in ("model", "server", "type"):
                self.item = "="
        elif kind == "name":
            self.name = text
        elif text == "(":
            is_call = self.before[1] in _OPERANDS or self.before[0] == ":"
            group: _Group = "engine" if self.item in _OPENED else "call" if is_call else "group"
            self.open.append((group, self.name))
        elif text == "[":
            self.open.append(("list", self.name))
        elif text == "{":
            self.open.append((self._braces(), self.name))
        elif text in (")", "]", "}") and self.open:
            _, self.name = self.open.pop()
        self.counts = text == ":" and self.before[1] in ("number", "count")
        self.before = (text, kind)

    def _braces(self) -> _Group:
        if self.item in ("input", "type"):
            return "fields"
        if self.item == "op":
            if self.open and self.open[-1][0] == "settings":
                return "table"
            in_type = self.before[0] in ("->", ":", "|", "[")
            return "fields" if in_type or self.open else "settings"
        return "table"


def part_labels(text: str) -> tuple[str, ...]:
    """Return the labels of parts in an unfinished text, each once.

    >>> part_labels("main = (a = 3:E & b = E) >> J(of=")
    ('a', 'b')
    """
    scan, found = _Scan(), dict[str, None]()
    for _, part, kind in classes(text):
        if kind in ("space", "comment"):
            continue
        if kind == "label" and scan.open and scan.open[-1][0] == "group":
            found[part.rstrip("= \t")] = None
        scan.take(part, kind)
    return tuple(found)


def context(text: str, offset: int) -> Context:
    """Return what a text expects at an offset.

    >>> context("3:E:ti", 6)
    Context(expected='model', start=4, of='')
    >>> context("E(max_tokens=64, t", 18)
    Context(expected='argument', start=17, of='E')
    """
    before = text[:offset]
    parts = [one for one in classes(before) if one[2] not in ("space", "comment")]
    last = [*classes(before)][-1:] if before else []
    if last and last[0][2] == "comment":
        return Context("nothing", offset)
    if _is_in_string(parts, before):
        return _in_template(before, offset)
    if before.endswith(("$", "@")):
        return Context("definition" if before[-1] == "$" else "function", offset - 1)
    start = offset
    if parts and parts[-1][2] in _WORDS and parts[-1][0] + len(parts[-1][1]) == offset:
        start, _, kind = parts.pop()
        if kind in ("reference", "function"):
            return Context("definition" if kind == "reference" else "function", start)
    scan = _Scan()
    for _, part, kind in parts:
        scan.take(part, kind)
    end = parts[-1][0] + len(parts[-1][1]) if parts else 0
    return _expected(scan, start, is_new_line="\n" in before[end:start] or not parts)


def _is_in_string(parts: list[tuple[int, str, Class]], before: str) -> bool:
    inside = False
    for _, part, kind in parts:
        if kind == "string" and part.removeprefix("r") == '"""':
            inside = not inside
    if inside or not parts or parts[-1][2] != "string":
        return inside
    at, part, _ = parts[-1]
    is_at_end = at + len(part) == len(before)
    return is_at_end and not part.endswith('"""') and _WHOLE.fullmatch(part) is None


def _in_template(before: str, offset: int) -> Context:
    opened = max(before.rfind("{{"), before.rfind("{%"))
    if opened < 0 or max(before.rfind("}}"), before.rfind("%}")) > opened:
        return Context("nothing", offset)
    found = re.search(r"([A-Za-z_]\w*)\.(\w*)\Z", before[opened:])
    if found:
        return Context("attribute", offset - len(found[2]), found[1])
    word = re.search(r"\w*\Z", before[opened:])
    return Context("field", offset - (len(word[0]) if word else 0))


def _expected(scan: _Scan, start: int, *, is_new_line: bool) -> Context:
    text, kind = scan.before
    if scan.open:
        return _inside(scan, start)
    match scan.item:
        case "op" if text == ":":
            return Context("kind", start)
        case "op" | "type" if text in ("->", "|") or (text == "=" and scan.item == "type"):
            return Context("type", start)
        case "input" if text == "input":
            return Context("type", start)
        case "model" | "server" if text == "=":
            return Context("engine", start)
        case "" | "=" if text == ":":
            return Context("stage" if scan.counts else "model", start)
        case "" | "=" if kind == "operator" or not text:
            return Context("stage" if text else "item", start)
    return Context("item" if is_new_line else "nothing", start)


def _inside(scan: _Scan, start: int) -> Context:
    """Return what is expected inside brackets."""
    text, kind = scan.before
    group, owner = scan.open[-1]
    starts = text in ("(", ",", "{", "[")
    match group:
        case "engine":
            return Context("engine setting" if text == "," else "nothing", start, owner)
        case "fields":
            return Context("type" if text in (":", "|") else "nothing", start)
        case "settings" if text == "=":
            return Context("value", start, scan.label)
        case "settings":
            return Context("op setting", start)
        case "list" if scan.item in ("op", "type", "input"):
            return Context("type" if text == "[" else "nothing", start)
        case _ if text == ":":
            return Context("stage" if scan.counts else "model", start)
        case "call" if starts:
            return Context("argument", start, owner)
        case "call" if text == "=":
            return Context("value", start, scan.label)
        case "group" | "call" | "table" if kind == "operator" or (group == "group" and starts):
            return Context("stage", start)
    return Context("nothing", start)
