"""Formatter of `.chain` files, which keeps comments and the empty lines between items.

A comment belongs to the line that it ends, or to the item after it; one inside an expression moves
above it. Everything else is printed from the nodes, so formatting is idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never

from attrs import define, field

from chainlang.diagnostics.source import Source
from chainlang.ir import declarations
from chainlang.ir.nodes import Branch, Join, Node, Then
from chainlang.notation.parse import parse_file
from chainlang.notation.parse import source as make_source
from chainlang.notation.scan import marks
from chainlang.notation.unparse import (
    OPERATORS,
    operand,
    unparse_field,
    unparse_input_head,
    unparse_item,
    unparse_op_head,
    unparse_setting,
    unparse_type,
    unparse_type_head,
)

Unit: TypeAlias = declarations.Item | declarations.Field | declarations.Setting
"""Node that starts on a line of its own."""
WIDTH = 100  # columns; a longer item is broken into one part per line


def format_text(text: str | Source) -> str:
    """Return the text of a `.chain` file in its canonical layout.

    Raises `NotationError` for syntax errors; names are not resolved.

    >>> print(format_text("main=3:E   >>M # vote\\n\\n\\n\\n# last"), end="")
    main = 3:E >> M  # vote
    <BLANKLINE>
    # last
    """
    source = text if isinstance(text, Source) else make_source(text)
    file = parse_file(source).node
    layout = _Layout(source.text, [m.start for m in marks(source.text) if m.kind == "comment"])
    layout.units(file.items, len(source.text), "", gaps=True)
    return "".join(f"{line}\n" for line in layout.lines)


@define
class _Layout:
    """Printer of units (items, settings, fields), each with the comments that belong to it."""

    text: str
    comments: list[int]
    """Offsets of the comments that have not been printed."""
    lines: list[str] = field(factory=list)
    printed: int = 0
    """Offset up to which the source has been printed."""

    def units(
        self, nodes: Sequence[Unit], end: int, indent: str, *, gaps: bool = False, after: str = ""
    ) -> None:
        """Print the units and comments of one container, which ends at `end`."""
        for index, node in enumerate(nodes):
            start, stop = _place(node)
            following = _place(nodes[index + 1])[0] if index + 1 < len(nodes) else end
            # A container prints the comments inside it with its own units.
            self.own_lines(start if _holds_units(node) else stop, indent, gaps)
            self.gap(start, gaps)
            self.unit(node, indent, after)
            self.printed = max(self.printed, stop)
            if self.comments and self.comments[0] < following:
                at = self.comments[0]
                if "\n" not in self.text[stop:at]:
                    self.lines[-1] += "  " + self.comment(self.comments.pop(0))
        self.own_lines(end, indent, gaps)

    def own_lines(self, end: int, indent: str, gaps: bool) -> None:
        """Print the comments before `end`, each on a line of its own."""
        while self.comments and self.comments[0] < end:
            at = self.comments.pop(0)
            self.gap(at, gaps)
            self.lines.append(indent + self.comment(at))

    def comment(self, at: int) -> str:
        stop = self.text.find("\n", at)
        stop = len(self.text) if stop < 0 else stop
        self.printed = max(self.printed, stop)
        return self.text[at:stop].rstrip()

    def gap(self, at: int, wanted: bool) -> None:
        """Print one empty line if the source has any."""
        if wanted and self.lines and self.text.count("\n", self.printed, at) > 1:
            self.lines.append("")
        self.printed = max(self.printed, at)

    def unit(self, node: Unit, indent: str, after: str) -> None:
        match node:
            case declarations.Op(_, _, _, settings):
                self.block(f"{unparse_op_head(node)} {{", settings, _place(node)[1], "")
            case declarations.Input(declarations.Shape(fields)) | declarations.TypeDef(
                _, declarations.Shape(fields)
            ):
                short = unparse_item(node)
                inside = any(at < _place(node)[1] for at in self.comments)
                if inside or len(short) > WIDTH:
                    head = (
                        unparse_input_head(node)
                        if isinstance(node, declarations.Input)
                        else unparse_type_head(node)
                    )
                    self.block(f"{head}{{", fields, _place(node)[1], ",")
                else:
                    self.lines.append(short)
            case declarations.Field():
                self.lines.append(indent + unparse_field(node) + after)
            case declarations.Setting():
                self.lines += (indent + unparse_setting(node)).split("\n")
            case (
                declarations.Use()
                | declarations.Model()
                | declarations.Input()
                | declarations.TypeDef()
                | declarations.PythonType()
                | declarations.Definition()
            ):
                self.lines += _broken(node)
            case _:
                assert_never(node)

    def block(self, head: str, nodes: Sequence[Unit], end: int, after: str) -> None:
        if not nodes and not any(at < end for at in self.comments):
            self.lines.append(head + "}")
            return
        self.lines.append(head)
        self.units(nodes, end, "  ", after=after)
        self.lines.append("}")


def _place(node: Node) -> tuple[int, int]:
    assert node.span is not None  # a parsed node has one
    return node.span.start, node.span.end


def _holds_units(node: Node) -> bool:
    if isinstance(node, declarations.Input | declarations.TypeDef):
        return isinstance(node.type, declarations.Shape)
    return isinstance(node, declarations.Op)


def _broken(node: declarations.Item) -> list[str]:
    """Return an item as one line, or as one line for each part if that is too long."""
    line = unparse_item(node)
    if len(line) <= WIDTH:
        return [line]
    match node:
        case declarations.Definition(name, (Then() | Join() | Branch()) as body):
            operator = OPERATORS[type(body)].strip()
            first, *rest = map(operand, body.parts)
            return [f"{name} =", f"  {first}", *(f"  {operator} {part}" for part in rest)]
        case declarations.TypeDef(_, declarations.OneOf(options)):
            first, *rest = map(unparse_type, options)
            return [unparse_type_head(node).rstrip(), f"  {first}", *(f"  | {one}" for one in rest)]
        case declarations.Model(name, engine, _, settings) if settings:
            source = unparse_item(declarations.Model(name, engine, node.source))
            inside = [unparse_setting(one).replace(" = ", "=", 1) for one in settings]
            head, first = source.removesuffix(")").split("(", 1)
            return [f"{head}(", *(f"  {part}," for part in (first, *inside)), ")"]
    return [line]
