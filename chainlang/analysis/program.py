"""`Program`: a checked body with the declarations and bindings that it uses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from chainlang.analysis.check_file import MAIN, resolve_file
from chainlang.analysis.field_checks import field_faults
from chainlang.analysis.memo import Memo
from chainlang.analysis.permissions import permission_faults
from chainlang.analysis.prompt_lints import item_lints
from chainlang.analysis.read_fields import fields_in_statements, read_fields
from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.analysis.unread_lints import unread_given, unread_parts
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.errors import error_of, raise_errors
from chainlang.ir.declarations import Definition, File, Input, Item, bodies_of
from chainlang.ir.nodes import Expr, Ref
from chainlang.ir.references import uses
from chainlang.ir.visit import walk
from chainlang.notation import Parsed, source, unparse
from chainlang.notation.files import read_chain_file
from chainlang.notation.parse import read_expression
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.input_schema import RowValidator


@frozen
class Program:
    """A body with its declarations and bindings, checked, so that all its names are known."""

    body: Expr
    items: tuple[Item, ...] = ()
    bound: Bound = NOTHING
    variants: Mapping[str, Program] = field(factory=dict, eq=False, repr=False)
    """The program with each model that a policy may choose for a row; empty without one."""
    policy: str = field(default="", eq=False)
    """Name of that policy."""
    kept: Mapping[tuple[str, str], str] = field(factory=dict, eq=False, repr=False)
    """Models that policies have chosen when the run was started, by policy and type of stage."""
    memo: Memo = field(factory=Memo, init=False, eq=False, repr=False)
    """Cache of compiled plans."""

    @property
    def row_validator(self) -> RowValidator:
        """Validator of its rows."""
        return self.memo.get("row_validator", lambda: RowValidator.of(self.items, self.bound))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that its stages and ops name."""
        return self.memo.get("models", lambda: _models_of(self.body, self.items))

    @property
    def printed_fields(self) -> tuple[str, ...]:
        """The fields that prompts print in every row, and that no statement of theirs tests."""
        return self.memo.get("printed_fields", self._printed_fields)

    def _printed_fields(self) -> tuple[str, ...]:
        tested = fields_in_statements(self.body, self.items)
        return tuple(name for name in self.read_fields if name not in tested)

    @property
    def read_fields(self) -> Mapping[str, Span | None]:
        """Fields that each row needs, where no `input` declares them."""
        return self.memo.get("read_fields", lambda: read_fields(self.body, self.items))


def _models_of(body: Expr, items: tuple[Item, ...]) -> tuple[str, ...]:
    """Return the names of the models that a body and its items use, once each."""
    every = (Definition(MAIN, body), *items)
    found = (name for one in every for kind, name in uses(one) if kind == "model" and name)
    return tuple(dict.fromkeys(found))


def read(text: str, items: tuple[Item, ...] = ()) -> tuple[Expr, tuple[Diagnostic, ...]]:
    """Parse an expression that may use the ops and models of some items.

    Raises the errors of `chainlang.notation.parse`.
    """
    parsed = read_expression(source(text))
    body, found = resolve(parsed.node, Scope.of(items))
    return body, (*parsed.diagnostics, *found)


def check(
    body: Expr, items: tuple[Item, ...]
) -> tuple[Expr, tuple[Item, ...], tuple[Diagnostic, ...]]:
    """Return a body and its items with canonical names, and their diagnostics.

    The diagnostics of a body built in Python point into its notation.
    """
    body, items, found = _resolved(body, items)
    if body.span is None and found:
        found = _resolved(read_expression(source(unparse(body))).node, items)[2]
    return body, items, found


_OF_FILES = frozenset({"one-candidate", "unused-definition"})
"""Warnings for whole files: in Python a chain may be an example, or a part of another."""
_BODY = "<chain>"
"""Name of the body beside its items, which no reference has: ``$main`` in it is not the body."""


def _resolved(
    body: Expr, items: tuple[Item, ...]
) -> tuple[Expr, tuple[Item, ...], tuple[Diagnostic, ...]]:
    uses_definitions = any(isinstance(node, Ref) for node in walk(body)) and items
    if not uses_definitions and not any(isinstance(item, Definition | Input) for item in items):
        body, found = resolve(body, Scope.of(items))
        if not any(one.severity == "error" for one in found):
            found = (*found, *field_faults((*items, Definition(_BODY, body)), _BODY))
            found = (*found, *item_lints(items))
            found = (*found, *unread_given(body, items), *unread_parts(body, items))
        return body, items, found
    file, found = resolve_file(File((*items, Definition(MAIN, body))))
    body, items = main_of(file)
    return body, items, tuple(one for one in found if one.code not in _OF_FILES)


def examine(
    file: Path | Parsed[File],
    allow: Collection[str] = (),
    texts: Mapping[Path, str] | None = None,
) -> tuple[File, tuple[Diagnostic, ...]]:
    """Load and resolve a file with the files that it uses; return it with its diagnostics.

    `allow`: names of settings that may run code. `texts`: of files that are open in an editor.
    Raises an error if the file can't be read.
    """
    parsed = read_chain_file(file, texts) if isinstance(file, Path) else file
    span = parsed.node.span
    resolved, found = resolve_file(parsed.node, span.source if span else None, parsed.lost)
    broken = [one for one in parsed.diagnostics if one.severity == "error"]
    if broken:  # unparsed parts have placeholders
        found = tuple(
            one
            for one in found
            if one.severity == "error" and not any(_overlap(one, it) for it in broken)
        )
    denied = permission_faults(resolved.items, allow)
    empty = () if resolved.items or broken or parsed.lost else (_empty(parsed.node),)
    return resolved, (*parsed.diagnostics, *found, *denied, *empty)


def _empty(file: File) -> Diagnostic:
    """Return the error of a file that declares nothing."""
    text = "" if file.span is None else file.span.source.text
    end = len(text.rstrip())
    where = file.span and evolve(file.span, start=end, end=end)
    said = "has only comments" if text.strip() else "is empty"
    hint = "the shortest file is one stage: main = E"
    return Diagnostic("empty", f"this file {said}", where, hint)


def _overlap(one: Diagnostic, other: Diagnostic) -> bool:
    """Return whether the spans of two diagnostics overlap."""
    first, second = one.span, other.span
    if first is None or second is None or first.source is not second.source:
        return False
    return first.start < second.end and second.start < first.end


def main_of(file: File) -> tuple[Expr, tuple[Item, ...]]:
    """Return the body of a file's ``main``, and its other items.

    Raises `MeaningError` if the file has no ``main``.
    """
    bodies = bodies_of(file.items)
    if MAIN not in bodies:
        where = file.span and evolve(file.span, end=file.span.start)
        hint = f"add `main = ${[*bodies][-1]}`" if bodies else "add `main = ...`"
        raise error_of("definition", "this file has no main", hint, span=where)
    others = (one for one in file.items if not (isinstance(one, Definition) and one.name == MAIN))
    return bodies[MAIN], tuple(others)


def from_document(text: str, allow: Collection[str] = ()) -> tuple[Expr, tuple[Item, ...]]:
    """Return the body and items of a JSON document. `allow`: as in `examine`.

    Raises `DocumentError` for an invalid document, and the errors of its chain.
    """
    from chainlang.ir.json import from_json

    node = from_json(text)
    if isinstance(node, File):
        node, found = resolve_file(node)
        raise_errors([*found, *permission_faults(node.items, allow)])
        return main_of(node)
    if not isinstance(node, Expr):
        raise error_of("json", f"a {type(node).__name__} alone is not a chain")
    body, items, found = check(node, ())
    raise_errors(found)
    return body, items
