"""What is wrong with a template, before any row: that it is none, or reads what is not there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span
from chainlang.diagnostics.suggest import unknown
from chainlang.semantics.prompts import environment, undeclared

if TYPE_CHECKING:
    from jinja2 import TemplateSyntaxError

_QUOTED = re.compile(r"'([^']+)'")
_SIGNS = re.compile(r"'end of (print|)(?:statement block| statement)'")


@frozen
class Read:
    """A name that a template reads, perhaps with a field of it, and where that stands."""

    name: str
    start: int
    end: int
    field: str | None = None


def faults(
    template: str,
    known: Collection[str] | None = None,
    fields: Mapping[str, Collection[str]] | None = None,
    never: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[Diagnostic, ...]:
    """Return everything wrong with a template, with its places in that text.

    `known` are the names that it may read, None if any name may be right; `fields` are those of
    some of these names; `never` are names that it may not read, with the reason and a hint.

    >>> [one.message for one in faults("{{ txt }} {{ a.vote }}", ["text", "a"], {"a": ["answer"]})]
    ["unknown name 'txt'", "unknown field 'vote' of 'a'"]
    >>> faults("{% if x %}a")[0].message
    "invalid template: 'if' is never closed"
    """
    from jinja2 import TemplateSyntaxError

    try:
        environment().from_string(template)
        names = reads(template)
    except TemplateSyntaxError as error:
        return (_unreadable(template, error),)
    found = []
    for one in names:
        span = _span(template, one.start, one.end)
        if never is not None and one.name in never:
            message, hint = never[one.name]
            found.append(Diagnostic("template", message, span, hint, kind="name", subject=one.name))
        elif known is not None and one.name not in known:
            found.append(unknown("name", one.name, sorted(known), span, code="template"))
        elif one.field is not None and one.field not in (fields or {}).get(one.name, (one.field,)):
            own, of = sorted((fields or {})[one.name]), f" of '{one.name}'"
            found.append(unknown("field", one.field, own, span, code="template", of=of))
    return tuple(found)


def _span(template: str, start: int, end: int) -> Span:
    return Span(Source(template, "<template>"), start, end)


def reads(template: str) -> tuple[Read, ...]:
    """Return what a template reads of what it is given, each name and each field of it once.

    >>> [(one.name, one.field) for one in reads("{% for a in b %}{{ a }} {{ c.d }}{% endfor %}")]
    [('b', None), ('c', 'd')]
    """
    made = environment()
    given = undeclared(made.parse(template)) - made.globals.keys()
    found: dict[tuple[str, str | None], Read] = {}
    said = [*words(template), (len(template), "end", "")]
    for index, (start, kind, text) in enumerate(said):
        before = said[index - 1][2] if index else ""
        if kind != "name" or text not in given or before in (".", "|", "is"):
            continue
        following = [word for _, _, word in said[index + 1 : index + 3]]
        inner = following[1] if following[:1] == ["."] and len(following) > 1 else None
        stop, _, _ = said[index + 2] if inner else said[index]
        end = stop + len(inner or text)
        found.setdefault((text, inner), Read(text, start, end, inner))
    return tuple(found.values())


def words(template: str) -> Iterator[tuple[int, str, str]]:
    """Yield the words of a template outside its plain text: where each begins, its kind, itself."""
    at = 0
    for _, kind, text in environment().lexer.tokeniter(template, None):
        at = template.find(text, at)  # white space that a sign takes away is not told
        if kind not in ("data", "whitespace", "comment"):
            yield at, kind, text
        at += len(text)


def _unreadable(template: str, error: TemplateSyntaxError) -> Diagnostic:
    """Return the finding about a template that jinja can't read.

    Jinja gives the line and a sentence, and no place: the place is that of the word in quotes.
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
        return Diagnostic("template", f"invalid template: '{word}' is never closed", span)
    quoted = _QUOTED.findall(said)
    word = quoted[0] if quoted else ""
    at = line.find(word) if word else -1
    if at < 0:
        at, word = len(line) - len(line.lstrip()), line.strip() or " "
    span = _span(template, start + at, start + at + len(word))
    if said.startswith("No filter named"):
        return unknown("filter", word, sorted(environment().filters), span, code="template")
    if said.startswith("No test named"):
        return unknown("test", word, sorted(environment().tests), span, code="template")
    message = said[:1].lower() + said[1:].split(". ")[0].rstrip(".")
    return Diagnostic("template", f"invalid template: {message}", span)


def _openings(template: str) -> list[tuple[int, str]]:
    """Return the blocks that are open at the end of a template: where, and their words."""
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
