"""A body and the declarations its names refer to: read, check, and take apart again."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, field, frozen

from chainlang.analysis.check_file import MAIN, resolve_file
from chainlang.analysis.field_checks import field_faults
from chainlang.analysis.memo import Memo
from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import MeaningError, raise_errors
from chainlang.ir.declarations import Definition, File, Input, Item, bodies_of
from chainlang.ir.nodes import Expr, Ref
from chainlang.ir.visit import walk
from chainlang.notation import Parsed, source, unparse
from chainlang.notation.files import read_chain_file
from chainlang.notation.parse import read_expression
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.input_schema import Door


@frozen
class Program:
    """What there is to run: a body, the declarations its names refer to, the objects behind them.

    It has been checked: whoever runs it need not look a name up again.
    """

    body: Expr
    items: tuple[Item, ...] = ()
    bound: Bound = NOTHING
    memo: Memo = field(factory=Memo, init=False, eq=False, repr=False)
    """What this program was compiled to."""

    @property
    def door(self) -> Door:
        """What its rows must be."""
        return self.memo.get("door", lambda: Door.of(self.items, self.bound))


def read(text: str, items: tuple[Item, ...] = ()) -> tuple[Expr, tuple[Diagnostic, ...]]:
    """Return the expression of a notation string that may use the ops and models of some items.

    Raises what `chainlang.notation.parse` raises for text that is not in the language.
    """
    parsed = read_expression(source(text))
    body, found = resolve(parsed.node, Scope.of(items))
    return body, (*parsed.diagnostics, *found)


def check(
    body: Expr, items: tuple[Item, ...]
) -> tuple[Expr, tuple[Item, ...], tuple[Diagnostic, ...]]:
    """Return a body and its items with canonical names, and everything found wrong with them.

    A body that operators built has no text to point into; its errors point into its notation.
    """
    body, items, found = _resolved(body, items)
    if body.span is None and any(one.severity == "error" for one in found):
        found = _resolved(read_expression(source(unparse(body))).node, items)[2]
    return body, items, found


def _resolved(
    body: Expr, items: tuple[Item, ...]
) -> tuple[Expr, tuple[Item, ...], tuple[Diagnostic, ...]]:
    uses_definitions = any(isinstance(node, Ref) for node in walk(body)) and items
    if not uses_definitions and not any(isinstance(item, Definition | Input) for item in items):
        body, found = resolve(body, Scope.of(items))
        if not any(one.severity == "error" for one in found):
            found = (*found, *field_faults((*items, Definition(MAIN, body)), MAIN))
        return body, items, found
    file, found = resolve_file(File((*items, Definition(MAIN, body))))
    body, items = main_of(file)
    return body, items, tuple(one for one in found if one.code != "unused-definition")


def examine(file: Path | Parsed[File]) -> tuple[File, tuple[Diagnostic, ...]]:
    """Return a file with the files it uses, its names resolved, and everything found in it.

    Raises what cannot be read at all.
    """
    parsed = read_chain_file(file) if isinstance(file, Path) else file
    span = parsed.node.span
    resolved, found = resolve_file(parsed.node, span.source if span else None, parsed.lost)
    broken = [one for one in parsed.diagnostics if one.severity == "error"]
    if broken:  # where something could not be read, something harmless stands in its place
        found = tuple(
            one
            for one in found
            if one.severity == "error" and not any(_overlap(one, it) for it in broken)
        )
    return resolved, (*parsed.diagnostics, *found)


def _overlap(one: Diagnostic, other: Diagnostic) -> bool:
    """Return whether two findings are about the same stretch of one text."""
    first, second = one.span, other.span
    if first is None or second is None or first.source is not second.source:
        return False
    return first.start < second.end and second.start < first.end


def main_of(file: File) -> tuple[Expr, tuple[Item, ...]]:
    """Return the body that a file defines as ``main``, and its other items.

    Raises `MeaningError` if it defines none.
    """
    bodies = bodies_of(file.items)
    if MAIN not in bodies:
        where = file.span and evolve(file.span, end=file.span.start)
        hint = f"add `main = ${[*bodies][-1]}`" if bodies else "add `main = ...`"
        raise MeaningError([Diagnostic("definition", "this file has no main", where, hint)])
    others = (one for one in file.items if not (isinstance(one, Definition) and one.name == MAIN))
    return bodies[MAIN], tuple(others)


def from_document(text: str) -> tuple[Expr, tuple[Item, ...]]:
    """Return the body and items of a JSON document.

    Raises `DocumentError` for what is none, and everything that is wrong with what it says.
    """
    from chainlang.ir.json import from_json

    node = from_json(text)
    if isinstance(node, File):
        node, found = resolve_file(node)
        raise_errors(found)
        return main_of(node)
    if not isinstance(node, Expr):
        message = f"a {type(node).__name__} alone is not a chain"
        raise_errors([Diagnostic("json", message)])
        raise AssertionError("unreachable")
    body, items, found = check(node, ())
    raise_errors(found)
    return body, items
