"""Reader of YAML: events of the parser into values with spans.

Anchors, aliases, tags, merge keys, directives and second documents are refused, so that a file is
as large as it looks, and says what it means.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define, field

from chainlang.diagnostics.source import Source, Span
from chainlang.errors import ChainlangError, error_of
from chainlang.limits import current
from chainlang.pipelines.auto_tags import auto_of, check_characters, masked, unmasked
from chainlang.pipelines.scalars import plain_scalar
from chainlang.pipelines.values import Entry, Fields, Items, Path, Scalar, Value

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def read_yaml(source: Source) -> Value:
    """Return the value of a text.

    Raises `NotationError` with a caret for what is no YAML, and for what is refused; `MeaningError`
    for a key that stands twice; `LimitError` for a text that is too large or nested too deep;
    `SettingError` without the package PyYAML.
    """
    parse, yaml_error = _parser()
    size = len(source.text.encode("utf-8", "surrogatepass"))
    current().check("source_bytes", size, f"a text of {size:,} bytes")
    if match := _UNPRINTABLE.search(source.text):
        where = Span(source, match.start(), match.end())
        message = f"the character U+{ord(match[0]):04X} can't be in a file"
        hint = r'in a quoted text, write it as an escape: "\t", "\u00e9"'
        raise error_of("character", message, hint, span=where)
    check_characters(source)
    builder = _Builder(source)
    try:
        for event in parse(masked(source.text)):
            builder.take(event)
    except yaml_error as error:
        raise _syntax(error, source) from error
    if builder.root is None:
        raise error_of(
            "empty", "this file is empty", "it has a name, and steps", span=Span(source, 0, 0)
        )
    return builder.root


def _parser() -> tuple[Any, type[Exception]]:
    try:
        import yaml
    except ImportError:
        hint = "run: pip install 'chainlang[yaml]'"
        raise error_of("setting", "reading YAML needs the package PyYAML", hint) from None
    loader = getattr(yaml, "CSafeLoader", None)
    if loader is None:
        hint = "reinstall it from a wheel: pip install --force-reinstall pyyaml"
        raise error_of("setting", "this PyYAML is built without libyaml", hint)
    return lambda text: yaml.parse(text, Loader=loader), yaml.YAMLError


@define
class _Open:
    """A list or a table that is not complete."""

    start: int
    is_table: bool
    path: Path
    items: list[Value] = field(factory=list)
    entries: dict[str, Entry] = field(factory=dict)
    key: Scalar | None = None

    def next_path(self) -> Path:
        """Return the path of the value that is read next."""
        if not self.is_table:
            return (*self.path, len(self.items))
        return self.path if self.key is None else (*self.path, str(self.key.value))


@define
class _Builder:
    source: Source
    root: Value | None = None
    stack: list[_Open] = field(factory=list)
    documents: int = 0
    nodes: int = 0

    def take(self, event: Any) -> None:
        """Read one event of the parser."""
        kind = type(event).__name__
        span = self.span(event)
        match kind:
            case "StreamStartEvent" | "StreamEndEvent" | "DocumentEndEvent":
                return
            case "DocumentStartEvent":
                self.document(event, span)
                return
            case "AliasEvent":
                raise self.refused(f"'*{event.anchor}' repeats another value", _NO_ANCHORS, span)
        self.plain(event, span)
        match kind:
            case "ScalarEvent":
                self.put(self.scalar(event, span))
            case "MappingStartEvent" | "SequenceStartEvent":
                self.open(span, is_table=kind == "MappingStartEvent")
            case "MappingEndEvent" | "SequenceEndEvent":
                self.close(span)

    def span(self, event: Any) -> Span:
        size = len(self.source.text)
        start = min(event.start_mark.index, size)
        return Span(self.source, start, max(start, min(event.end_mark.index, size)))

    def refused(self, message: str, hint: str, span: Span) -> ChainlangError:
        return error_of("syntax", message, hint, span=span)

    def document(self, event: Any, span: Span) -> None:
        self.documents += 1
        if event.version is not None or event.tags:
            raise self.refused("a directive (%)", "remove the line; a file is YAML 1.2", span)
        if self.documents > 1:
            raise self.refused("a second document", "one file has one document: remove '---'", span)

    def plain(self, event: Any, span: Span) -> None:
        """Count a node. Raise an error for one with an anchor or a tag, and at a limit."""
        if getattr(event, "anchor", None) is not None:
            raise self.refused(f"'&{event.anchor}' is an anchor", _NO_ANCHORS, span)
        if getattr(event, "tag", None) is not None:
            hint = "remove the tag: quoted values are texts, 1 is a number, true is a boolean"
            written = span.text.split(maxsplit=1)[0]
            raise self.refused(f"'{written}' is a tag", hint, span)
        self.nodes += 1
        if self.nodes > current().nodes:
            current().check("nodes", self.nodes, f"more than {current().nodes:,} values", span)

    def scalar(self, event: Any, span: Span) -> Value:
        path = self.stack[-1].next_path() if self.stack else ()
        style = event.style or None
        text = unmasked(event.value)
        is_key = bool(self.stack) and self.stack[-1].is_table and self.stack[-1].key is None
        found = auto_of(text, style, span, path)
        if found is not None:
            if is_key:
                raise self.refused("a key can't be an <AUTO>", "decide values, not keys", span)
            return found
        if style is not None or (is_key and text == "<<"):
            return Scalar(text, span, path, is_quoted=style is not None)
        return Scalar(plain_scalar(text), span, path)

    def open(self, span: Span, *, is_table: bool) -> None:
        depth = len(self.stack) + 1
        current().check("depth", depth, f"values nested {depth} deep", span)
        path: Path = ()
        if self.stack:
            if self.stack[-1].is_table and self.stack[-1].key is None:
                hint = 'a value that begins with braces is quoted: "{{ topic }}"'
                raise self.refused("a key is a text, not a list or a table", hint, span)
            path = self.stack[-1].next_path()
        self.stack.append(_Open(span.start, is_table, path))

    def close(self, span: Span) -> None:
        done = self.stack.pop()
        end = max(done.start, span.end)
        end = done.start + len(self.source.text[done.start : end].rstrip())
        whole = Span(self.source, done.start, end)
        if done.is_table:
            self.put(Fields(tuple(done.entries.values()), whole, done.path))
        else:
            self.put(Items(tuple(done.items), whole, done.path))

    def put(self, value: Value) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if not top.is_table:
            top.items.append(value)
        elif top.key is None:
            assert isinstance(value, Scalar)  # `open` and `scalar` refuse others as keys
            top.key = self.key(value, top)
        else:
            name = str(top.key.value)
            top.entries[name] = Entry(name, value, top.key.span)
            top.key = None

    def key(self, found: Scalar, top: _Open) -> Scalar:
        name = found.value
        if name == "<<" and not found.is_quoted:
            raise self.refused("'<<' merges another table", "write its entries here", found.span)
        if not isinstance(name, str):
            hint = f'to have it as a text, quote it: "{found.span.text}"'
            raise self.refused(
                f"a key is a text, and this is {found.span.text or 'empty'}", hint, found.span
            )
        if name in top.entries:
            line, _ = self.source.position(top.entries[name].key_span.start)
            message = f"the key '{name}' stands twice here"
            hint = f"the first is in line {line}: remove one of them"
            raise error_of("duplicate-name", message, hint, span=found.span, subject=name)
        return found


_NO_ANCHORS = "write the value again: a file has no anchors, so that it is as large as it looks"


def _syntax(error: Exception, source: Source) -> ChainlangError:
    """Return the error of what the parser can't read."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    at = min(getattr(mark, "index", 0), len(source.text))
    problem = str(getattr(error, "problem", None) or "this is no YAML")
    where = Span(source, at, min(at + 1, len(source.text)))
    if problem == _TOO_DEEP:
        current().check("depth", _DEEPEST + 1, f"values nested {_DEEPEST + 1} deep", where)
    message, hint = _EXPLAINED.get(problem, (problem, None))
    begun = getattr(error, "context_mark", None)
    if begun is not None and begun.index < at:
        line, _ = source.position(begun.index)
        what = _BEGUN.get(str(getattr(error, "context", "")))
        if what is not None and line < source.position(at)[0]:
            message += f": {what} begins in line {line}"
    return error_of("syntax", message, hint, span=where)


_TOO_DEEP, _DEEPEST = "exceeded maximum nesting depth", 1000
"""Message of libyaml, since 0.2.6, about values that are nested deeper than it reads. As it reads
ahead, it may come before the first of their events."""
_BEGUN = {
    "while scanning a quoted scalar": "the text in quotes",
    "while parsing a block mapping": "the table around it",
    "while parsing a block collection": "the list around it",
    "while parsing a flow mapping": "the table in braces",
    "while parsing a flow sequence": "the list in brackets",
    "while scanning a simple key": "the key",
}
_EXPLAINED: dict[str, tuple[str, str | None]] = {
    _TOO_DEEP: (
        f"values are nested deeper than {_DEEPEST:,}, which is all that YAML's parser reads",
        None,
    ),
    "mapping values are not allowed in this context": (
        "a second ': ' in one line",
        'quote a value that has a colon: prompt: "Answer: yes or no"',
    ),
    "found character that cannot start any token": (
        "no value begins with this character",
        "indent with spaces, not tabs; quote a value that begins with @, ` or %",
    ),
    "did not find expected node content": (
        "a value is expected here",
        "close the list or the table; quote a value that begins with ',', '[' or '{'",
    ),
    "did not find expected key": (
        "a key is expected here",
        "the keys of one table begin in one column; quote a value that goes on after its quotes",
    ),
    "did not find expected '-' indicator": (
        "an item of the list, which begins with '-', is expected here",
        "the items of one list begin in one column",
    ),
    "did not find expected ',' or ']'": (
        "',' or ']' is expected here",
        "close the list; quote a value with a bracket or a comma",
    ),
    "did not find expected ',' or '}'": (
        "',' or '}' is expected here",
        'close the table; quote a value that begins with a brace: "{{ topic }}"',
    ),
    "could not find expected ':'": (
        "a key without ':'",
        "write key: value; quote a text of several lines, or write it below key: |",
    ),
    "found unexpected end of stream": ("the text ends inside quotes", "close the quotes"),
    "found unknown escape character": (
        "an unknown escape in double quotes",
        r"write \\ for a backslash, or use single quotes",
    ),
}
