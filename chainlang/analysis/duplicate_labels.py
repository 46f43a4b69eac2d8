"""Duplicate labels: each name stands for one part wherever it can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import define, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.ir.nodes import Combine, Each, Expr, Fallback, Named, Ref, Repeat, Route
from chainlang.ir.visit import parts_of
from chainlang.semantics.combinators import ITEM


@frozen
class _Label:
    """A label: where it stands, or the reference to the definition that has it."""

    span: Span | None
    ref: str | None = None


_Labels: TypeAlias = Mapping[str, _Label]
_NOTHING: tuple[_Labels, _Labels] = ({}, {})


def names_twice(node: Expr) -> list[Diagnostic]:
    """Return a diagnostic for each duplicate label, without looking into definitions.

    Alternatives may share a label, and so may the bodies of two `each`; a label in a body can't be
    one outside of it, nor the item.
    """
    finder = _Finder({})
    finder.visit(node)
    return [finding for finding, _ in finder.found]


def twice_by_reference(bodies: Mapping[str, Expr]) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each label that references to definitions repeat.

    The definitions have no cycle. `names_twice` finds the others.
    """
    finder = _Finder(bodies)
    for name in bodies:
        finder.of_definition(name)
    yield from (finding for finding, by_reference in finder.found if by_reference)


@define
class _Finder:
    bodies: Mapping[str, Expr]
    found: list[tuple[Diagnostic, bool]] = field(factory=list)
    """Diagnostics, and whether a reference is involved."""
    _known: dict[str, tuple[_Labels, _Labels]] = field(factory=dict)

    def of_definition(self, name: str) -> tuple[_Labels, _Labels]:
        """Return the labels of a definition, whose duplicates are found once."""
        if name not in self._known:
            self._known[name] = self.visit(self.bodies[name])
        return self._known[name]

    def visit(self, node: Expr) -> tuple[_Labels, _Labels]:
        """Return the labels that are readable after a part, and those inside its `each`."""
        if isinstance(node, Ref):
            if node.name not in self.bodies:
                return _NOTHING
            readable, hidden = self.of_definition(node.name)
            here = _Label(node.span, node.name)
            return dict.fromkeys(readable, here), dict.fromkeys(hidden, here)
        names: dict[str, _Label] = {}
        inside: dict[str, _Label] = {}
        if isinstance(node, Named):
            names[node.name] = _Label(part_span(node.span, "name"))
        # The parts of an invalid call can't be checked.
        exclusive = isinstance(node, Fallback | Route | Combine)
        for part in parts_of(node):
            more, deeper = self.visit(part)
            if not exclusive:
                self.compare(more, names, inside)
                self.compare(deeper, names)
            names |= more
            inside |= deeper
        if isinstance(node, Each):
            if (item := node.item or ITEM) in names:
                message = f"the label '{item}' hides the item '{item}' of the each"
                hint = f"rename it, as in {item}_2 = ..., and where it is read"
                self.note(message, hint, names[item])
            return {}, inside | names
        if names and isinstance(node, Repeat):
            name = next(iter(names))
            message = f"the name '{name}' would stand {node.count} times"
            hint = f"name the whole: {name} = {node.count} * (...)"
            self.note(message, hint, names[name])
            return {}, inside
        return names, inside

    def compare(self, more: _Labels, *known: _Labels) -> None:
        """Note each label of a part that other parts have."""
        for name, label in more.items():
            first = next((labels[name] for labels in known if name in labels), None)
            if first is None:
                continue
            message, hint = f"duplicate label '{name}'", "give each part a name of its own"
            if label.ref is not None:
                message += f", which ${label.ref} has"
                hint = f"label each use, as in (a = ${label.ref}), and not what is inside"
            self.note(message, hint, label, first)

    def note(self, message: str, hint: str, *labels: _Label) -> None:
        found = Diagnostic("duplicate-name", message, labels[0].span, hint)
        self.found.append((found, any(one.ref is not None for one in labels)))
