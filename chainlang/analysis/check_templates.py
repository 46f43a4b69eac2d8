"""What is wrong with a template, before any row: that it is none, or reads what is not there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from chainlang.diagnostics.diagnostic import closest
from chainlang.semantics.expressions import Fault
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
) -> tuple[Fault, ...]:
    """Return everything wrong with a template, in the order of its text.

    `known` are the names that it may read, None where anybody's guess is as good; `fields` are
    those of some of these names; `never` are names that it may not read, with why and a hint.

    >>> [one.message for one in faults("{{ txt }} {{ a.vote }}", ["text", "a"], {"a": ["answer"]})]
    ["there is no 'txt' to read", "'a' has no field 'vote'"]
    >>> faults("{% if x %}a")[0].message
    "this template can't be read: 'if' is never ended"
    """
    from jinja2 import TemplateSyntaxError

    try:
        environment().from_string(template)
        names = reads(template)
    except TemplateSyntaxError as error:
        return (_unreadable(template, error),)
    found = []
    for one in names:
        if never is not None and one.name in never:
            message, hint = never[one.name]
            found.append(Fault(message, one.start, one.end, hint))
        elif known is not None and one.name not in known:
            hint = _hint(one.name, known, "it can read")
            found.append(Fault(f"there is no '{one.name}' to read", one.start, one.end, hint))
        elif one.field is not None and one.field not in (fields or {}).get(one.name, (one.field,)):
            hint = _hint(one.field, (fields or {})[one.name], "it has")
            message = f"'{one.name}' has no field '{one.field}'"
            found.append(Fault(message, one.start, one.end, hint))
    return tuple(found)


def _hint(name: str, known: Collection[str], these: str) -> str:
    near = closest(name, known)
    return f"did you mean '{near}'?" if near else f"{these} {', '.join(sorted(known)) or 'nothing'}"


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


def _unreadable(template: str, error: TemplateSyntaxError) -> Fault:
    """Return what to say of a template that jinja can't read; it tells the line, and a word."""
    said = _SIGNS.sub(lambda match: "'}}'" if match[1] == "print" else "'%}'", error.message or "")
    said = re.sub(r"expected token (.*), got (.*)", r"\2 stands where \1 belongs", said)
    said = re.sub(r" at \d+$", "", said)
    start = sum(len(line) + 1 for line in template.split("\n")[: error.lineno - 1])
    line = template[start:].split("\n", 1)[0]
    ended = re.search(r"looking for the following tags: '(?:elif|else|end)", said)
    if ended or "end of template" in said:
        opened = [(at, word) for at, word in _openings(template)]
        at, word = opened[-1] if opened else (start, line)
        return Fault(f"this template can't be read: '{word}' is never ended", at, at + len(word))
    quoted = _QUOTED.findall(said)
    word = quoted[0] if quoted else ""
    at = line.find(word) if word else -1
    if at < 0:
        at, word = len(line) - len(line.lstrip()), line.strip() or " "
    hint = None
    if said.startswith("No filter named"):
        near = closest(quoted[0], environment().filters)
        hint = f"did you mean '{near}'?" if near else None
        said = f"there is no filter '{quoted[0]}'"
    elif said.startswith("No test named"):
        near = closest(quoted[0], environment().tests)
        hint = f"did you mean '{near}'?" if near else None
        said = f"there is no test '{quoted[0]}'"
    message = said[:1].lower() + said[1:].split(". ")[0].rstrip(".")
    return Fault(
        f"this template can't be read: {message}", start + at, start + at + len(word), hint
    )


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
