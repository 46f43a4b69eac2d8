"""Checks of the examples of an op: each fits its prompt and its type, and there are enough."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.analysis.check_templates import template_fault
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.errors import ChainlangError
from chainlang.ir.builtins import EXAMPLES, is_rows_path
from chainlang.ir.declarations import Item, Op
from chainlang.notation.literals import at_literal
from chainlang.semantics.examples import BadExample, examples_of


def example_faults(op: Op, declared: tuple[Item, ...]) -> Iterator[Diagnostic]:
    """Yield the errors of the examples of an op."""
    given = {one.name: one for one in op.settings}
    if EXAMPLES not in given:
        for name in ("examples_count", "examples_order"):
            if name in given:
                hint = 'write the rows or their file: examples = "shots.jsonl"'
                message = f"{name} of an op without examples"
                yield Diagnostic("option", message, part_span(given[name].span, "name"), hint)
        return
    text, where = given[EXAMPLES].value, part_span(given[EXAMPLES].span, "value")
    if not isinstance(text, str):
        return
    if is_rows_path(text):
        message = f"there is no file {text!r} beside a text"
        hint = "save the text as a file beside it; or write the rows: in Python, examples=[{...}]"
        yield Diagnostic("file", message, where, hint)
        return
    user = given["user"].value if "user" in given else None
    if not isinstance(user, str) or template_fault(user) is not None:
        return
    try:
        found = examples_of(op, declared)
    except BadExample as error:
        yield _placed(error, text, where)
        return
    except ChainlangError:  # of a type that is an error already
        return
    count = given["examples_count"].value if "examples_count" in given else None
    if found is not None and isinstance(count, int) and count > len(found.turns):
        message = f"examples_count is {count}, above the number of examples: {len(found.turns)}"
        yield Diagnostic("option", message, part_span(given["examples_count"].span, "value"))


def _placed(error: BadExample, text: str, where: Span | None) -> Diagnostic:
    """Return the error of an example, with the place of its line."""
    own = Span(Source(text, "<examples>"), error.start, error.end)
    found = Diagnostic("definition", str(error), own)
    if where is None or where.text != text:
        return at_literal(found, where)
    return Diagnostic("definition", str(error), Span(where.source, error.start, error.end))
