"""Warnings about what is declared and never read: fields of a row, items of a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from attrs import define, field

from chainlang.analysis.template_reads import expression_reads, template_reads
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import listed, suggest
from chainlang.ir.builtins import EXPRESSIONS
from chainlang.ir.declarations import Field, Input, Item, Op, Shape, bodies_of
from chainlang.ir.nodes import (
    Cascade,
    Each,
    Expr,
    Function,
    Loop,
    Node,
    Option,
    Ref,
    Route,
    Stage,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.tools import kind_of
from chainlang.ir.visit import walk
from chainlang.ir.wiring import parts_read
from chainlang.semantics.combinators import ITEM
from chainlang.semantics.prelude import prelude

_OF_EVERY_ROW = frozenset({"id", "query", "responses"})
AFTER = "after"
"""Field of a `with_fields` that may be given for what it reads alone: the part waits for that."""
_ANY = "*"
"""In place of the names that a function reads."""


def unread_fields(main: Expr, items: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield a warning about the fields of ``input { ... }`` that nothing reads, beside others.

    Functions may read any field. A field with a column of its own is there to rename it, and
    ``input exact`` has to name every column.
    """
    items = tuple(items)
    declared = next((one for one in items if isinstance(one, Input)), None)
    if declared is None or declared.exact or not isinstance(declared.type, Shape):
        return
    read = _Reading.of_items(items).of(main)
    if _ANY not in read:
        yield from _fields(declared.type.fields, read | _OF_EVERY_ROW)


def unread_items(main: Expr, items: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield a warning for each `each` whose part does not read its item."""
    reading = _Reading.of_items(items)
    for node in reading.nodes(main):
        if not isinstance(node, Each):
            continue
        item, read = node.item or ITEM, reading.of(node.body)
        if read.isdisjoint((item, "item_index", _ANY)):
            message = f"nothing in this part reads '{item}': it is the same for each item"
            hint = f"write {{{{ {item} }}}} in a prompt"
            if "query" in read:
                hint += ', or item="query" to ask each item in place of the query'
            where = part_span(part_span(node.span, "item"), "value")
            where = where or part_span(part_span(node.span, "over"), "value")
            yield Diagnostic("unread", message, where, hint, kind="name", subject=item)


def unread_by(
    nodes: Iterable[WithFields], items: Iterable[Item]
) -> Iterator[tuple[Option, set[str]]]:
    """Yield each field of some `with_fields` that its part does not read, with what it reads."""
    reading = _Reading.of_items(items)
    for node in nodes:
        read = reading.of(node.body)
        for one in node.fields:
            if one.name != AFTER and read.isdisjoint((one.name, _ANY)):
                yield one, read


def unread_given(main: Expr, items: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield a warning for each field of a `with_fields` that its part does not read."""
    items = tuple(items)
    nodes = _Reading.of_items(items).nodes(main)
    for one, read in unread_by((one for one in nodes if isinstance(one, WithFields)), items):
        message = f"nothing in this part reads the field '{one.name}' that it is given"
        hint = suggest(one.name, read, None) or "leave it out"
        where = part_span(one.span, "name")
        yield Diagnostic("unread", message, where, hint, kind="field", subject=one.name)


def unread_parts(main: Expr, items: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield a warning for each `of` of a stage whose prompt reads no candidates."""
    items = tuple(items)
    reading = _Reading.of_items(items)
    kinds = {one.name: kind_of(one) for one in items if isinstance(one, Op)}
    for node in reading.nodes(main):
        if not isinstance(node, Stage) or kinds.get(node.name) != "generate":
            continue
        if parts_read(node) and reading.of(node).isdisjoint(("candidates", _ANY)):
            message = f"of= has no effect: the prompt of '{node.name}' reads no candidates"
            hint = "read `candidates` in it, or a part by its name, as {{ a.answer }}"
            span = next(one.span for one in node.options if one.name == "of")
            yield Diagnostic("no-effect", message, span, hint, kind="option", subject="of")


def _fields(fields: tuple[Field, ...], read: set[str]) -> Iterator[Diagnostic]:
    derived = [one for one in fields if one.type is None and one.default is not None]
    for one in derived:
        if isinstance(text := one.default and one.default.value, str):
            read = read | {str(path.root) for path in template_reads(text)}
    unread = [one for one in fields if one.name not in read and one.column is None]
    if unread and read.intersection(one.name for one in fields):
        names = [one.name for one in unread]
        several, it = ("s", "them") if len(names) > 1 else ("", "it")
        quoted = listed(f"'{name}'" for name in names)
        message = f"nothing reads the field{several} {quoted} of the row"
        hint = f"write {{{{ {names[0]} }}}} in a prompt, or leave {it} out: a table may have {it}"
        where = part_span(unread[0].span, "name")
        yield Diagnostic("unread", message, where, hint, kind="field", subject=names[0])


def _prompts(items: Iterable[Item]) -> dict[str, set[str]]:
    """Return the names that each op reads, by its name."""
    own = {one.name: set(_of_op(one)) for one in items if isinstance(one, Op)}
    return {**_of_prelude(), **own}


@cache
def _of_prelude() -> dict[str, set[str]]:
    return {name: set(_of_op(op)) for name, op in prelude().items()}


def _of_op(op: Op) -> Iterator[str]:
    for text in templates_in(op.settings):
        yield from _roots(str(text.value))
    for one in op.settings:
        if isinstance(one.value, str) and one.name in ("answer", *EXPRESSIONS):
            yield from (str(path.root) for path in expression_reads(one.value))


def _roots(template: str) -> set[str]:
    return {str(path.root) for path in template_reads(template)}


@define
class _Reading:
    bodies: Mapping[str, Expr]
    ops: Mapping[str, set[str]]
    _known: dict[str, set[str]] = field(factory=dict)

    @classmethod
    def of_items(cls, items: Iterable[Item]) -> _Reading:
        items = tuple(items)
        return cls(bodies_of(items), _prompts(items))

    def nodes(self, node: Expr) -> Iterator[Node]:
        """Yield the nodes of a part, and those of each definition that it leads to, once."""
        pending, seen = [node], set[str]()
        while pending:
            for one in walk(pending.pop()):
                yield one
                if isinstance(one, Ref) and one.name in self.bodies and one.name not in seen:
                    seen.add(one.name)
                    pending.append(self.bodies[one.name])

    def of(self, node: Expr) -> set[str]:
        """Return the names that a part reads, with `_ANY` if they are not known."""
        found: set[str] = set()
        for one in walk(node):
            match one:
                case Stage(name, options=options):
                    found |= self.ops.get(name, set())
                    own = templates_in(options)
                    found |= {name for text in own for name in _roots(str(text.value))}
                case WithFields(fields=fields):
                    found |= {name for one in fields for name in _roots(str(one.value))}
                case Cascade(accept=str(text)) | Route(by=str(text)) | Loop(until=str(text)):
                    found |= {str(path.root) for path in expression_reads(text)}
                case Each(over=text):
                    found |= {str(path.root) for path in expression_reads(text)}
                case Ref(name):
                    found |= self.definition(name)
                case Function() | Route() | Loop() | Cascade():
                    found.add(_ANY)
                case _:
                    pass
        return found

    def definition(self, name: str) -> set[str]:
        if name not in self._known:
            self._known[name] = self.of(self.bodies[name]) if name in self.bodies else {_ANY}
        return self._known[name]
