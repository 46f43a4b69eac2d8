"""Fields that each row needs because prompts read them, for chains without an `input`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.template_reads import expression_reads, template_reads
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.ir.builtins import EXPRESSIONS, FIELDS, TEMPLATES, WORDS
from chainlang.ir.declarations import Item, Op, bodies_of, is_typed
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
from chainlang.notation.literals import inside
from chainlang.semantics.expressions import faults
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.prelude import prelude


def read_fields(main: Expr, items: Iterable[Item]) -> dict[str, Span | None]:
    """Return the fields that stages read in every row, with their places in the file.

    What may be absent is left out: a name with a default, in an `if`, or in a part that may not
    run.

    >>> from chainlang.notation import parse, parse_file
    >>> file = parse_file('op tell : generate { user = "{{ text }} {{ tone | default(1) }}" }')
    >>> sorted(read_fields(parse("tell >> J").node, file.node.items))
    ['query', 'text']
    """
    items = tuple(items)
    ops: Mapping[str, Op] = {**prelude(), **{one.name: one for one in items if isinstance(one, Op)}}
    bodies = bodies_of(items)
    named = own_names(main, items) | {
        one.name
        for body in (main, *bodies.values())
        for one in walk(body)
        if isinstance(one, Named)
    }
    own = (named | WORDS.keys()) - {"query"}
    found: dict[str, Span | None] = {}
    for name in dict.fromkeys(stage.name for stage in _always(main, bodies, set())):
        for field, span in _reads(ops[name]) if name in ops else ():
            if field not in own:
                found.setdefault(field, span)
    return found


def _always(node: Expr, bodies: Mapping[str, Expr], seen: set[str]) -> Iterator[Stage]:
    """Yield the stages that run in every row; `seen` has the definitions that are done."""
    match node:
        case Stage():
            yield node
        case Then() | Join() | Branch() | Named() | Repeat() | Retry() | Timeout() | Loop():
            for part in parts_of(node):
                yield from _always(part, bodies, seen)
        case Ref(name):
            if name in bodies and name not in seen:
                seen.add(name)
                yield from _always(bodies[name], bodies, seen)
        case Fallback() | Route() | Each() | Function() | Combine():
            pass
        case _:
            assert_never(node)


def _reads(op: Op) -> Iterator[tuple[str, Span | None]]:
    for one in op.settings:
        text = one.value
        if one.name not in (*TEMPLATES, *EXPRESSIONS) or not isinstance(text, str):
            continue
        is_expression = one.name in EXPRESSIONS
        if faults(text) if is_expression else template_fault(text) is not None:
            continue
        literal = part_span(one.span, "value")
        for read in expression_reads(text) if is_expression else template_reads(text):
            if read.root is None or read.is_guarded or not read.is_certain:
                continue
            if read.root == FIELDS and is_typed(op):
                continue
            end = read.start + len(read.root)
            span = Span(Source(text, "<template>"), read.start, end)
            yield read.root, span if literal is None else inside(literal, read.start, end)
