"""Syntax errors of templates, as diagnostics with a span."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.declarations import Definition, Input, Item, Op, Setting, Shape
from chainlang.ir.nodes import Expr, Option, Stage, WithFields
from chainlang.ir.template_texts import templates_in
from chainlang.ir.visit import walk
from chainlang.limits import current
from chainlang.semantics.prompts import UNREADABLE, environment, unreadable

if TYPE_CHECKING:
    from jinja2 import TemplateSyntaxError

_QUOTED = re.compile(r"'([^']+)'")
_OBJECT = re.compile(r"\{(\{\s*[\"'][^{}\n]{0,60}\})\}")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*")
_OPENED = {"Missing end of comment tag": "{#", "tag name expected": "{%"}
_WORDS = re.compile(r"\{\{-?\s*([A-Za-z]\w*(?: +(?!(?:and|or|if|in|is|not|else)\b)\w+)+)\s*-?\}\}")
_SIGNS = re.compile(r"'end of (print|)(?:statement block| statement)'")


def too_many_tags(items: Iterable[Item]) -> Diagnostic | None:
    """Return the diagnostic of a file whose templates have more tags than the limit."""
    found = (one for item in items for one in _templates(item))
    return _exceeded(found, "the templates of this file")


def too_many_tags_of(body: Expr) -> Diagnostic | None:
    """Return the diagnostic of a chain whose options have more tags than the limit."""
    return _exceeded(templates_of(body), "the templates of this chain")


def _exceeded(templates: Iterable[tuple[str, Span | None]], of: str) -> Diagnostic | None:
    limits, total = current(), 0
    for text, where in templates:
        total += text.count("{{") + text.count("{%")
        if total > limits.template_tags:
            many = f"more than {limits.template_tags:,} tags in {of}"
            return limits.exceeded("template_tags", many, where)
    return None


def _templates(item: Item) -> Iterator[tuple[str, Span | None]]:
    """Yield the templates of an item, with the names that they are given to."""
    match item:
        case Op(settings=settings):
            for one in templates_in(settings):
                yield str(one.value), part_span(one.span, "name")
        case Input(Shape(fields)):
            for field in fields:
                if field.default is not None and isinstance(field.default.value, str):
                    yield field.default.value, part_span(field.span, "name")
        case Definition(_, body):
            yield from templates_of(body)
        case _:
            pass


def templates_of(body: Expr) -> Iterator[tuple[str, Span | None]]:
    """Yield the templates among the options of a chain, with the names that they are given to."""
    for node in walk(body):
        fields: Iterable[Option | Setting] = ()
        if isinstance(node, WithFields):
            fields = node.fields
        elif isinstance(node, Stage):
            fields = templates_in(node.options)
        yield from ((str(one.value), part_span(one.span, "name")) for one in fields)


@lru_cache(maxsize=1024)
def template_fault(template: str) -> Diagnostic | None:
    """Return the diagnostic of a template's syntax error; None if there is none.

    >>> template_fault("{% if x %}a").message
    "invalid template: 'if' is never closed"
    """
    from jinja2 import TemplateSyntaxError

    try:
        environment().from_string(template)
    except TemplateSyntaxError as error:
        return _unreadable(template, error)
    except UNREADABLE as error:
        why = unreadable(error)
        number = re.search(r"\w{4000,}", template) if isinstance(error, ValueError) else None
        start, end = number.span() if number else (0, len(template))
        word = why.rpartition(": ")[2]  # of a repeated argument
        if word != why and (found := re.search(rf"\b{re.escape(word)}\s*=", template)):
            start, end = found.start(), found.start() + len(word)
        span = _span(template, start, end)
        return Diagnostic("template", f"invalid template: {why}", span)
    return None


def _span(template: str, start: int, end: int) -> Span:
    return Span(Source(template, "<template>"), start, end)


def _unreadable(template: str, error: TemplateSyntaxError) -> Diagnostic:
    """Return the diagnostic of jinja's syntax error.

    Jinja reports a line and a message; the span is that of the word in quotes in the message.
    """
    said = _SIGNS.sub(lambda match: "'}}'" if match[1] == "print" else "'%}'", error.message or "")
    said = re.sub(r"expected token (.*), got (.*)", r"expected \1, found \2", said)
    said = re.sub(r" at \d+$", "", said)
    start = sum(len(line) + 1 for line in template.split("\n")[: error.lineno - 1])
    line = template[start:].split("\n", 1)[0]
    ended = re.search(r"looking for the following tags: '(?:elif|else|end)", said)
    if ended or "end of template" in said:
        opened = [(at, word) for at, word in _openings(template)]
        at, word = opened[-1] if opened else (start, line)
        span = _span(template, at, at + len(word))
        message = f"invalid template: '{word}' is never closed"
        hint = _meant(template, at + 2, is_unknown=False) if word == "{{" else None
        return Diagnostic("template", message, span, hint)
    quoted = _QUOTED.findall(said)
    word = _OPENED.get(said) or (quoted[0] if quoted else "")
    at = line.find(word) if word else -1
    if at < 0:
        at, word = len(line) - len(line.lstrip()), line.strip() or " "
    span = _span(template, start + at, start + at + len(word))
    if said.startswith("No filter named"):
        return unknown("filter", word, sorted(environment().filters), span, code="template")
    if said.startswith("No test named"):
        return unknown("test", word, sorted(environment().tests), span, code="template")
    message = said[:1].lower() + said[1:].split(". ")[0].rstrip(".")
    hint = _column_hint(template, start + max(line.find(word), 0)) or _meant(
        template, span.end, is_unknown=said.startswith("Encountered unknown tag")
    )
    return Diagnostic("template", f"invalid template: {message}", span, hint)


def _meant(template: str, end: int, *, is_unknown: bool) -> str | None:
    """Return the hint for the braces before an error: a statement, a value or text.

    `is_unknown`: the error is a statement that does not exist.
    """
    opened = [one for one in re.finditer(r"\{[{%#]", template) if one.start() < end]
    if not opened:
        return None
    at, braces = opened[-1].start(), opened[-1][0]
    content = template[at + 2 :].lstrip(" -+$")
    if braces == "{{" and content.startswith(("#", "/")):
        return "write {% if ... %}{% endif %}, or {% for ... in ... %}{% endfor %}"
    content = content.removeprefix("{").lstrip() if braces == "{{" else content
    if name := _NAME.match(content):
        after = content[name.end() : name.end() + 1]
        if is_unknown or (braces == "{{" and after == "}"):
            return f"write {{{{ {name[1]} }}}}"
        return None
    hint = f"if {braces} is meant as text, write {{% raw %}}{braces}{{% endraw %}}"
    json = _OBJECT.match(template, at)
    return hint if json is None else f"single braces are text: {json[1]}\n{hint}"


def _column_hint(template: str, at: int) -> str | None:
    """Return the hint for a column whose name has blanks, as in ``{{ Question Text }}``."""
    for found in _WORDS.finditer(template):
        if found.start() <= at < found.end():
            name = re.sub(r"\W+", "_", found[1]).lower()
            declared = f'input {{ "{found[1]}" as {name}: str }}'
            return f"a column with such a name is declared: {declared}, then write {{{{ {name} }}}}"
    return None


def _openings(template: str) -> list[tuple[int, str]]:
    """Return the unclosed blocks of a template: offset and keyword."""
    found: list[tuple[int, str]] = []
    for match in re.finditer(r"\{%[-+]?\s*(\w+)|\{\{", template):
        word = match[1]
        if word is None:
            if "}}" not in template[match.start() :]:
                found.append((match.start(), "{{"))
        elif word.startswith("end"):
            if found:
                found.pop()
        elif word in ("for", "if", "macro", "call", "filter", "block", "raw", "with"):
            found.append((match.start(1), word))
    return found
