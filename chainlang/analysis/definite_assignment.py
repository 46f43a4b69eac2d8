"""Which named parts are there when a stage runs: surely, or on some ways through the chain alone.

What only an arm sets may be absent outside it, so what reads it has to say `default`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, assert_never

from attrs import define, field, frozen

from chainlang.analysis import check_templates
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.diagnostics.suggest import listed
from chainlang.ir.declarations import Item, Op, bodies_of
from chainlang.ir.nodes import (
    Branch,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
)
from chainlang.ir.visit import parts_of, walk
from chainlang.notation.literals import at_literal
from chainlang.semantics import expressions
from chainlang.semantics.implicit_labels import own_names

_BRANCHES = 64  # ways that are told apart; beyond, what is known of them is put together
_SOME = "one of the ways to it"


@frozen
class Names:
    """The named parts that are there: surely, or perhaps, each with what it depends on."""

    sure: frozenset[str] = frozenset()
    perhaps: frozenset[tuple[str, str]] = frozenset()

    def plus(self, name: str) -> Names:
        """Return these names, and one that is surely there."""
        others = frozenset(one for one in self.perhaps if one[0] != name)
        return Names(self.sure | {name}, others)

    @property
    def all(self) -> frozenset[str]:
        """The names that may be there."""
        return self.sure | {name for name, _ in self.perhaps}


def one_of(ways: Sequence[Names], why: str) -> Names:
    """Return what is there after one of several ways was gone."""
    sure = frozenset.intersection(*(way.sure for way in ways))
    perhaps = frozenset(one for way in ways for one in way.perhaps)
    some = frozenset((name, why) for way in ways for name in way.sure - sure)
    return Names(sure, perhaps | some)


def all_of(ways: Sequence[Names]) -> Names:
    """Return what is there after all of several ways were gone."""
    sure = frozenset(name for way in ways for name in way.sure)
    perhaps = frozenset(one for way in ways for one in way.perhaps if one[0] not in sure)
    return Names(sure, perhaps)


def absences(
    declared: Iterable[Item], row: frozenset[str] | None, main: str
) -> Iterator[Diagnostic]:
    """Yield what reads a named part that may be absent, or is not set before, in the main chain.

    `row` are the fields of a row, None where they are not known. The definitions have no cycle.
    """
    declared = tuple(declared)
    bodies = bodies_of(declared)
    ops = {item.name: item for item in declared if isinstance(item, Op)}
    if main not in bodies:
        return  # nobody knows what comes before what here
    body = bodies[main]
    walked = Walk(bodies, own_names(body, declared))
    walked.visit(body, Names())
    parts = walked.own | {
        one.name for each in bodies.values() for one in walk(each) if isinstance(one, Named)
    }
    named = parts - (row or frozenset())
    for name, places in walked.at_ops.items():
        if name not in ops:
            continue
        there = one_of(tuple(places), _SOME)
        for setting in ops[name].settings:
            if setting.name in ("user", "system") and isinstance(setting.value, str):
                where = part_span(setting.span, "value")
                text, reader = setting.value, f"'{name}' runs"
                for found in _missing("template", text, named, there, row, reader=reader):
                    yield at_literal(found, where)
    for node, option, text, there in walked.at_options.values():
        where = part_span(part_span(node.span, option), "value")
        reader = f"{option}= is read"
        for found in _missing("expression", text, named, there, None, reader=reader):
            yield at_literal(found, where)


def _missing(
    code: Literal["template", "expression"],
    text: str,
    parts: frozenset[str],
    there: Names,
    row: frozenset[str] | None,
    *,
    reader: str,
) -> Iterator[Diagnostic]:
    """Yield a finding for each part that is read, may be absent, and has no `default`."""
    words = _words_of(text) if code == "template" else _words_of_expression(text)
    reasons = dict(sorted(there.perhaps))
    for name in sorted(parts - there.sure):
        read = unguarded(words, name)
        if read is None:
            continue
        start, end, path = read
        span = Span(Source(text, f"<{code}>"), start, end)
        if name in reasons:
            message = f"'{name}' may be absent where {reader}: only {reasons[name]} sets it"
            hint = f'write {path} | default("")'
            if code == "template":
                hint = f'write {{{{ {path} | default("") }}}}, or {{% if {name} is defined %}}'
            yield Diagnostic(code, message, span, hint, kind="label", subject=name)
        elif row is not None:
            message = f"'{name}' is not set before {reader}"
            known = tuple(sorted(there.all | row))
            before = f"set before it: {listed(known)}" if known else None
            yield Diagnostic(code, message, span, before, kind="label", subject=name, known=known)


def unguarded(words: Sequence[tuple[int, str]], name: str) -> tuple[int, int, str] | None:
    """Return where a name is read as if it were surely there, and with which field; None if not.

    >>> words = [(3, "fr"), (5, "."), (6, "answer"), (13, "|"), (15, "default")]
    >>> unguarded(words, "fr"), unguarded(words[:3], "fr")
    (None, (3, 12, 'fr.answer'))
    """
    texts = [text for _, text in words] + [""] * 4
    found: tuple[int, int, str] | None = None
    for index, (start, text) in enumerate(words):
        if text != name or (index and texts[index - 1] in (".", "|", "is")):
            continue
        last = index
        while texts[last + 1] == "." and last + 2 < len(words):
            last += 2
        after = texts[last + 1 : last + 4]
        if (after[0] == "is" and "defined" in after) or after[:2] == ["is", "undefined"]:
            return None  # whoever asks that knows
        if after[0] == "|" and after[1] in ("default", "d"):
            continue
        end = words[last][0] + len(texts[last])
        found = found or (start, end, "".join(texts[index : last + 1]))
    return found


def _words_of(template: str) -> tuple[tuple[int, str], ...]:
    """Return the words of a template; none of one that can't be read."""
    from jinja2 import TemplateSyntaxError

    try:
        check_templates.reads(template)
        return tuple((start, text) for start, _, text in check_templates.words(template))
    except TemplateSyntaxError:
        return ()


def _words_of_expression(expression: str) -> tuple[tuple[int, str], ...]:
    return () if expressions.faults(expression) else tuple(expressions.words(expression))


@define
class Walk:
    """Goes through a chain as a row would, on all ways."""

    bodies: Mapping[str, Expr]
    own: frozenset[str]
    at_ops: dict[str, dict[Names, None]] = field(factory=dict)
    """What is there at each place of an op."""
    at_options: dict[int, tuple[Expr, str, str, Names]] = field(factory=dict)
    """What is there where a condition, a key or a list is read."""
    _known: dict[tuple[int, Names], tuple[Names, ...]] = field(factory=dict)

    def visit(self, node: Expr, there: Names) -> tuple[Names, ...]:
        """Return what is there after a part: once for each branch."""
        key = id(node), there  # a part is met as often as it is used, and in each round of a loop
        if key not in self._known:
            self._known[key] = self._after(node, there)
        return self._known[key]

    def _after(self, node: Expr, there: Names) -> tuple[Names, ...]:  # noqa: C901  # a match
        match node:
            case Stage(name):
                self.at_ops.setdefault(name, {})[there] = None
                return (there.plus(name) if name in self.own else there,)
            case Then(parts):
                ways: tuple[Names, ...] = (there,)
                for part in parts:
                    ways = tuple(after for way in ways for after in self.visit(part, way))
                    if len(ways := tuple(dict.fromkeys(ways))) > _BRANCHES:
                        ways = (one_of(ways, "a branch"),)
                return ways
            case Branch(parts):
                return tuple(after for part in parts for after in self.visit(part, there))
            case Join() | Repeat():
                return (self._gathered(parts_of(node), there),)
            case Named(name, body):
                return (self._gathered([body], there).plus(name),)
            case Ref(name):
                return self.visit(self.bodies[name], there) if name in self.bodies else (there,)
            case Function():
                return (there,)
            case Fallback(parts):
                ways = tuple(self._gathered([part], there) for part in parts)
                return (one_of(ways, "a part of the fallback"),)
            case Route(by=by):
                self._read(node, "by", by, there)
                ways = tuple(self._gathered([part], there) for part in parts_of(node))
                return (one_of(ways, "an arm of the route"),)
            case Each(body, over=over):
                self._read(node, "over", over, there)
                self._gathered([body], there)
                return (there,)  # names inside stay inside
            case Loop(body, until=until):
                once = self._gathered([body], there)
                self._gathered([body], one_of([there, once], "an earlier round"))
                self._read(node, "until", until, once)
                return (once,)
            case Retry(body) | Timeout(body):
                return (self._gathered([body], there),)
            case Combine():
                inside = parts_of(node)
                return (self._gathered(inside, there) if inside else there,)
        assert_never(node)

    def _gathered(self, parts: Sequence[Expr], there: Names) -> Names:
        return all_of([after for part in parts for after in self.visit(part, there)])

    def _read(self, node: Expr, option: str, text: str | Function, there: Names) -> None:
        if isinstance(text, str):
            _, _, _, before = self.at_options.get(id(node), (node, option, text, there))
            self.at_options[id(node)] = node, option, text, one_of([before, there], _SOME)
