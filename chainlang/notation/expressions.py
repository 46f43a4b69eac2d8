"""Conversion of parse trees to expression nodes, with spans.

An error does not end the conversion: a diagnostic is added, a placeholder takes the place of the
invalid part, and the rest of the text is converted too, so that one run reports all errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.ir import build
from chainlang.ir.auto import AUTO
from chainlang.ir.builtins import COMBINATORS
from chainlang.ir.calls import specific
from chainlang.ir.nodes import (
    Combine,
    Expr,
    Function,
    Literal,
    Named,
    Option,
    Ref,
    Stage,
    Table,
)
from chainlang.ir.rules import PARTS
from chainlang.ir.verify import FORMS, STAGE_FIELDS, is_name
from chainlang.notation import literals
from chainlang.notation.call_arguments import auto_value, meant
from chainlang.notation.stages import Argument, StageReader

if TYPE_CHECKING:
    from lark import Token, Tree

_OPERATORS = {
    "either": "branch",
    "bare_either": "branch",
    "both": "join",
    "bare_both": "join",
    "then": "then",
}
_METHODS = dict.fromkeys(_OPERATORS, "operator")
_FLAT = frozenset({"branch", "join", "then", "repeat"})

BY_NAME = "by_name"
"""Option of a function whose parameters are fields of the record."""


@define
class Reader(StageReader):
    """Converter of one source's parse trees to nodes; collects diagnostics."""

    # ------------------------------------------------------------ expressions

    def expression(self, tree: Tree[Token]) -> Expr:
        """Return the node of an expression tree."""
        kind = _kind(tree)
        # A group has no node, and nested equal operators are one node.
        if kind == "group" or (kind == self.around[-1] and kind in _FLAT):
            return self._node(tree)
        self.enter(kind, tree)
        node = self._node(tree)
        self.leave()
        return node

    def _node(self, tree: Tree[Token]) -> Expr:
        node: Expr = getattr(self, f"_{_METHODS.get(tree.data, tree.data)}")(tree)
        return node

    def _operator(self, tree: Tree[Token]) -> Expr:
        parts: list[Expr] = []
        for operand in tree.children[::2]:  # a plain loop: each frame counts in deep chains
            parts.append(self.expression(operand))  # type: ignore[arg-type]
            self._lint_mixed(tree, operand, parts[-1])  # type: ignore[arg-type]
        node: Expr = getattr(build, _OPERATORS[tree.data])(*parts)
        return node

    def _lint_mixed(self, tree: Tree[Token], operand: Tree[Token], part: Expr) -> None:
        if operand.data not in ("then", "both", "bare_both") or part.span is None:
            return
        outer = str(tree.children[1])
        inner = str(operand.children[1])
        text = " ".join(part.span.text.split())
        meant = f"({text})" if len(text) <= 60 else "it in parentheses"
        self.found.append(
            Diagnostic(
                "mixed-operators",
                f"'{inner}' binds tighter than '{outer}': this is one operand of '{outer}'",
                part.span,
                f"if that is meant, write {meant}\n"
                f"if not, put the operands of '{outer}' in parentheses",
                replacement=f"({part.span.text})",
            )
        )

    def _named(self, tree: Tree[Token]) -> Expr:
        token, body = tree.children
        name, span = self.label(token)  # type: ignore[arg-type]
        inside = self.expression(body)  # type: ignore[arg-type]
        end = inside.span.end if inside.span else span.end
        whole = Span(self.source, span.start, end, parts=(("name", span),))
        return Named(self.name(name, span, "a label"), inside, span=whole)

    def _repeat(self, tree: Tree[Token]) -> Expr:
        body: Any = tree
        counts = []
        while body.data == "repeat":  # 2 * 3 * a is one node, without recursion
            count, _, body = body.children
            counts.append(count)
        node = self.expression(body)
        for count in reversed(counts):
            where = self.span(count)
            end = node.span.end if node.span else where.end
            whole = Span(self.source, where.start, end, parts=(("count", where),))
            node = build.repeat(self.count(str(count), where), node, span=whole)
        return node

    def _ref(self, tree: Tree[Token]) -> Expr:
        token: Any = tree.children[0]
        span = self.span(token)
        return Ref(self.name(token[1:], span), span=span)

    def _function(self, tree: Tree[Token]) -> Expr:
        token: Any = tree.children[0]
        arguments: Any = tree.children[1]
        span = self.span(token)
        name = self.name(token[1:], span)
        if arguments is None:
            return Function(name, span=span)
        whole = Span(self.source, span.start, arguments.children[-1].end_pos)
        return self._called(name, self.arguments(arguments), whole)

    def _called(self, name: str, given: list[Argument], span: Span) -> Function:
        """Return a function with its option."""
        of: Any = None
        by_name = False
        for one in given:
            if one.name == BY_NAME:
                by_name = one.value is True
                if not isinstance(one.value, bool):
                    self.note("option", "by_name= is true or false", part_span(one.span, "value"))
                continue
            if one.name != "of":
                hint = (
                    "a function is called with the output of the part before it, or of those that "
                    f'of= names: @{name}(of="part")\n'
                    f"or with fields of the record, each by its name: @{name}(by_name=true)"
                )
                self.note(
                    "argument", f"@{name} takes no argument but of= and by_name=", one.span, hint
                )
                continue
            span = evolve(span, parts=(*span.parts, ("of", one.span or span)))
            try:
                of = PARTS.read(one.value)
            except ValueError:
                shown = (
                    "a chain" if isinstance(one.value, Expr) else literals.print_literal(one.value)
                )
                message = f"invalid value for of=: expected {PARTS.wants}, found {shown}"
                where = part_span(one.span, "value")
                self.note("option", message, where, 'write of="part" or of=["a", "b"]')
        if by_name and of is not None:
            message = f"by_name=true of @{name} reads no candidates, and of= says whose"
            self.note("argument", message, span, "leave one of them out")
        return Function(name, of, by_name, span=span)

    def _group(self, tree: Tree[Token]) -> Expr:
        left, inside, right = tree.children
        node = self.expression(inside)  # type: ignore[arg-type]
        whole = self.span(left, right)  # type: ignore[arg-type]
        parts = node.span.parts if node.span else ()
        return build.moved(node, Span(self.source, whole.start, whole.end, parts))

    # ------------------------------------------------------------ stages and calls

    def _stage(self, tree: Tree[Token]) -> Expr:
        head: Any = tree.children[0]
        fields: Any = tree.children[1:-1]
        arguments: Any = tree.children[-1]
        start: int = head.start_pos
        colon = head.find(":")
        name_span = Span(self.source, start + colon + 1, head.end_pos)
        name = self.name(head[colon + 1 :], name_span)
        parts = [("name", name_span)]
        count = None
        if colon >= 0:
            parts.append(("count", Span(self.source, start, start + colon)))
            count = self.count(head[:colon], parts[-1][1])
        found = len(self.found)
        model, temperature = self.fields(fields, parts)
        end: int = (fields[-1] if fields else head).end_pos
        given = self.arguments(arguments) if arguments else []
        if arguments:
            end = arguments.children[-1].end_pos
        span = Span(self.source, start, end, tuple(parts))
        form = bool(arguments) and name in FORMS
        # A combinator with a table of values is one with wrong values.
        tables = name in COMBINATORS and any(isinstance(one.value, Table) for one in given)
        calls = name in COMBINATORS or not all(map(_configures, given))
        if form or tables or (calls and not all(one.is_literal for one in given)):
            if (count is not None or fields) and len(self.found) == found:
                what = "spells a part" if form else "is called with chains"
                self.note(
                    "argument",
                    f"'{name}' {what}, so it takes no count and no fields",
                    Span(self.source, start, fields[-1].end_pos if fields else head.end_pos),
                    meant(name, given),
                )
            return self._form(name, given, span) if form else self._combine(name, given, span)
        return self.configured(name, count, model, temperature, given, span)

    def _combine(self, name: str, given: list[Argument], span: Span) -> Expr:
        parts: list[Expr] = []
        options: list[Option] = []
        for argument in given:
            if argument.name is not None:
                options.append(Option(argument.name, argument.value, span=argument.span))
            elif isinstance(argument.value, Expr):
                parts.append(argument.value)
            else:
                shown = "a table"
                if argument.is_literal:
                    shown = literals.print_literal(argument.value)
                known = COMBINATORS.get(name)
                hints = ["chains without quotes"] if isinstance(argument.value, str) else []
                hints += ["options as name=value"] if known is None or known.options else []
                hint = f"write {' and '.join(hints or ['chains'])}"
                hint += f", as in {known.example}" if known is not None else ""
                self.note(
                    "argument",
                    f"expected a chain, found {shown}",
                    argument.span,
                    hint,
                )
        return specific(Combine(name, tuple(parts), build.options(options), span=span))

    def _form(self, form: str, given: list[Argument], span: Span) -> Expr:
        if form in ("ref", "function"):
            named, rest = given[:1], given[1:]
            if form == "ref" or not all(one.name for one in rest):
                named = given
            value = named[0].value if len(named) == 1 and named[0].name is None else None
            if not isinstance(value, str) or not is_name(value):
                self.note("argument", f'{form}() takes one name, as in {form}("panel")', span)
                value, rest = "unknown", []
            return Ref(value, span=span) if form == "ref" else self._called(value, rest, span)
        parts: list[Expr] = []
        for argument in given:
            if not isinstance(argument.value, Expr):
                if not self.is_faulty(argument):
                    hint = "write them without quotes and without brackets, one after another"
                    self.note(
                        "argument",
                        f"expected a chain as an argument of {form}()",
                        argument.span,
                        hint,
                    )
            elif argument.name is None:
                parts.append(argument.value)
            else:
                name = self.name(argument.name, argument.name_span, "a label")
                parts.append(Named(name, argument.value, span=argument.span))
        if not parts:
            if not given:
                hint = f"write {form}(a, b) or {form}(x=a, y=b)"
                self.note("argument", f"{form}() needs at least one chain", span, hint)
            return Stage("unknown", span=span)
        if len(parts) == 1 and (form == "branch" or not isinstance(parts[0], Named)):
            what = f"a {form} of one part has no effect"
            self.note("single-branch", what, span, "write the part alone")
        node: Expr = getattr(build, form)(*parts, span=span)
        if len(parts) == 1:  # the part itself, with the span of the call
            inside = node.span.parts if node.span else ()
            node = build.moved(node, evolve(span, parts=inside))
        return node

    # ------------------------------------------------------------ arguments

    def arguments(self, tree: Tree[Token]) -> list[Argument]:
        """Return the arguments of a call; diagnose repeated and misplaced keywords."""
        found: list[Argument] = []
        seen: set[str] = set()
        for child in _trees(tree):
            argument = self._argument(child)
            if argument.name is None and seen:
                self.note(
                    "argument",
                    "positional argument after a keyword argument",
                    argument.span,
                    "write the positional arguments first",
                )
            elif argument.name in seen:
                self.note("argument", f"duplicate argument '{argument.name}'", argument.name_span)
                continue
            if argument.name is not None:
                seen.add(argument.name)
            found.append(argument)
        return found

    def _argument(self, tree: Tree[Token]) -> Argument:
        label: Any
        value: Any
        label, value = tree.children
        labelled = label is not None and self.around[-1] in ("join", "branch")
        if labelled:
            self.enter("named", value)
        what, span = self.value(value)
        if labelled:
            self.leave()
        if label is None:
            return Argument(None, what, span)
        name, name_span = self.label(label)
        whole = Span(
            self.source,
            name_span.start,
            span.end if span else name_span.end,
            (("name", name_span), ("value", span or name_span)),
        )
        return Argument(name, what, whole, name_span)

    def value(self, tree: Tree[Token]) -> tuple[Literal | Expr | Table, Span | None]:
        """Return a value: a literal, a table, or a chain."""
        kind = str(tree.data)
        if kind == "table":
            self.around.append(kind)
            table = self._table(tree)
            self.leave()
            return table
        if kind in ("string", "integer", "number", "list", "word"):
            return self.literal(tree)
        if kind == "stage" and len(tree.children) == 2 and tree.children[1] is None:
            token: Any = tree.children[0]
            if token in literals.WORDS:
                return literals.WORDS[token], self.span(token)
        if kind == "stage" and tree.children[0] == AUTO and tree.children[-1] is not None:
            name, *_, given = tree.children
            span = self.span(name, given.children[-1])  # type: ignore[arg-type, union-attr]
            return auto_value(self, self.arguments(given), span), span  # type: ignore[arg-type]
        node = self.expression(tree)
        return node, node.span

    def _table(self, tree: Tree[Token]) -> tuple[Table, Span]:
        entries: dict[str, Option] = {}
        left: Any = tree.children[0]
        right: Any = tree.children[-1]
        span = self.span(left, right)
        for child in _trees(tree):
            token: Any = child.children[0]
            value, at = self.value(child.children[-1])
            if token.type == "LABEL":
                key, where = self.label(token)
            else:
                key, where = self.string(str(token), token.start_pos), self.span(token)
            if key in entries:
                self.note("argument", f"duplicate key {literals.print_string(key)}", where)
            entries[key] = Option(key, value, span=evolve(where, parts=(("value", at or where),)))
        if not entries:
            self.note("argument", "empty table", span, 'write {"key": ..., ...}')
            entries[""] = Option("", Stage("unknown", span=span), span=span)
        return Table(tuple(entries.values()), span=span), span


def _configures(argument: Argument) -> bool:
    """Return whether an argument may be one of a stage: a value, or a function as an option."""
    is_option = argument.name is not None and argument.name not in STAGE_FIELDS
    return argument.is_literal or (is_option and isinstance(argument.value, Function))


def _kind(tree: Tree[Token]) -> str:
    """Return the kind of a tree's node; a call such as ``join(a, b)`` is an operator."""
    kind = tree.data
    if kind != "stage":
        return _OPERATORS.get(kind, kind)
    name: Any = tree.children[0]
    arguments: Any = tree.children[-1]
    if arguments is None or name not in ("join", "branch"):
        return kind
    given = _trees(arguments)
    if len(given) == 1:
        return "group" if given[0].children[0] is None else "named"
    return str(name)


def _trees(tree: Tree[Token]) -> list[Any]:
    """Return the children that are trees, without brackets, commas and absent optional parts."""
    return [child for child in tree.children if hasattr(child, "data")]
