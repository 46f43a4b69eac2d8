"""One language: text and nodes are the same thing, written twice."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.diagnostics.source import Source
from chainlang.ir.canonical import verify
from chainlang.ir.nodes import Expr, Named, Node, Table
from chainlang.ir.visit import children, walk
from chainlang.notation import parse, parse_file, unparse, unparse_file
from chainlang.notation.parse import read_expression, source
from tests.laws import law
from tests.strategies import exactly, expressions, files


@law(expressions, share=2)
def test_notation_reads_back(node: Expr) -> None:
    assert exactly(parse(unparse(node)).node) == exactly(node)


@law(expressions, share=2)
def test_each_form_reads_back(node: Expr) -> None:
    assert exactly(parse(unparse(node, "call")).node) == exactly(node)


@law(expressions, share=2)
def test_printing_is_stable(node: Expr) -> None:
    for form in ("notation", "call"):
        text = unparse(node, form)
        assert unparse(parse(text).node, form) == text


@law(expressions, share=2)
def test_expressions_are_well_formed(node: Expr) -> None:
    verify(node)
    verify(parse(unparse(node)).node)
    verify(parse(unparse(node, "call")).node)


@law(files, share=2)
def test_files_read_back(file: Node) -> None:
    assert exactly(parse_file(unparse_file(file)).node) == exactly(file)


@law(files, share=2)
def test_files_are_well_formed(file: Node) -> None:
    verify(file)
    verify(parse_file(unparse_file(file)).node)


def _spans(node: Node, text: Source) -> None:
    """Every node has a span inside the text, inside its parent's, and parts inside it."""
    pending = [(node, 0, len(text.text))]
    while pending:
        one, low, high = pending.pop()
        assert one.span is not None, one
        assert one.span.source is text
        assert low <= one.span.start < one.span.end <= high or not text.text, one
        for _, part in one.span.parts:
            assert one.span.start <= part.start <= part.end <= one.span.end
        pending += [(child, one.span.start, one.span.end) for child in _below(one)]


def _below(node: Node) -> Iterator[Node]:
    """The nodes whose text lies inside that of a node; an entry of a table points at its key."""
    for child in children(node):
        yield from children(child) if isinstance(node, Table) else (child,)


@law(expressions, share=2)
def test_every_node_knows_its_place(node: Expr) -> None:
    for form in ("notation", "call"):
        text = source(unparse(node, form))
        _spans(parse(text).node, text)


@law(files, share=2)
def test_every_item_knows_its_place(file: Node) -> None:
    text = source(unparse_file(file))
    _spans(parse_file(text).node, text)


@law(expressions, share=2)
def test_the_text_under_a_part_is_that_part(node: Expr) -> None:
    for form in ("notation", "call"):
        text = source(unparse(node, form))
        for part in walk(parse(text).node):
            if isinstance(part, Expr):
                assert part.span is not None
                if isinstance(part, Named) and not part.span.text.startswith("("):
                    continue  # an argument `a=b & c`: the label names all of it only there
                again = read_expression(source(part.span.text))
                assert exactly(again.node) == exactly(part), part.span.text
