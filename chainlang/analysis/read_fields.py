"""Fields that each row needs because prompts read them, for chains without an `input`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias, assert_never

from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.template_reads import expression_reads, template_reads
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.ir.builtins import EXPRESSIONS, FIELDS, INPUTS, SYSTEM, TESTS, WORDS
from chainlang.ir.declarations import Item, Op, bodies_of, is_typed
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Option,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.visit import parts_of, walk
from chainlang.notation.literals import inside
from chainlang.semantics.expressions import faults
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.prelude import prelude

_REPLACED = (SYSTEM, TESTS, INPUTS)
"""Options of a stage that replace the settings of its op."""


def read_fields(main: Expr, items: Iterable[Item]) -> dict[str, Span | None]:
    """Return the fields that stages read in every row, with their places in the file.

    What a stage type of the package reads has the place of its stage. What may be absent is left
    out: a name with a default, in an `if`, or in a part that may not run.

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
    shipped = prelude().keys() - {one.name for one in items if isinstance(one, Op)}
    places: dict[_Read, Span | None] = {}
    for read, where in _always(main, bodies, set(), frozenset()):
        places.setdefault(read, where)
    for (one, given), place in places.items():
        reads: Iterable[tuple[str, Span | None]] = ()
        if isinstance(one, Option):
            reads = _certain(str(one.value), part_span(one.span, "value"))
        elif one[0] in ops:
            reads = _reads(ops[one[0]], one[1])
        for field, span in reads:
            if field not in own | given:
                is_shipped = not isinstance(one, Option) and one[0] in shipped
                found.setdefault(field, place if is_shipped else span)
    return found


_Read: TypeAlias = tuple[tuple[str, tuple[str, ...]] | Option, frozenset[str]]
"""A type of stage with the settings that options replace, or a template beside one; and the fields
that the parts around it are given."""


def fields_in_statements(main: Expr, items: Iterable[Item]) -> frozenset[str]:
    """Return the names that statements of templates read, so that a prompt may do without them.

    >>> from chainlang.notation import parse, parse_file
    >>> file = parse_file('op t : generate { user = "{{ q }}{% if a %}{{ a }}{% endif %}" }')
    >>> sorted(fields_in_statements(parse("t").node, file.node.items))
    ['a']
    """
    items = tuple(items)
    stages = (
        one
        for body in (main, *bodies_of(items).values())
        for one in walk(body)
        if isinstance(one, Stage)
    )
    found = [one for op in items if isinstance(op, Op) for one in templates_in(op.settings)]
    found += (one for stage in stages for one in templates_in(stage.options))
    texts = [one.value for one in found if isinstance(one.value, str)]
    return frozenset(
        read.root
        for text in texts
        for read in template_reads(text)
        if read.root is not None and _is_in_statement(text, read.start)
    )


def _is_in_statement(template: str, at: int) -> bool:
    """Return whether an offset is in a statement of a template, and not in what it prints."""
    return template.rfind("{%", 0, at) > template.rfind("{{", 0, at)


def _always(
    node: Expr, bodies: Mapping[str, Expr], seen: set[object], given: frozenset[str]
) -> Iterator[tuple[_Read, Span | None]]:
    """Yield what is read in every row, with the place of its stage or template.

    `given`: the fields that the parts around have. `seen`: the definitions that are done.
    """
    match node:
        case Stage(name, options=options):
            replaced = tuple(one.name for one in options if one.name in _REPLACED)
            yield ((name, replaced), given), node.span
            for one in templates_in(options):
                if isinstance(one, Option):
                    yield (one, given), one.span
        case Then() | Join() | Branch() | Named() | Repeat() | Retry() | Timeout() | Loop():
            for part in parts_of(node):
                yield from _always(part, bodies, seen, given)
        case WithFields(body, fields):
            for one in fields:
                yield (one, given), one.span
            inside = given.union(one.name for one in fields)
            yield from _always(body, bodies, seen, inside)
        case Cascade(parts):
            yield from _always(parts[0], bodies, seen, given)
        case Ref(name):
            if name in bodies and (name, given) not in seen:
                seen.add((name, given))
                yield from _always(bodies[name], bodies, seen, given)
        case Fallback() | Route() | Each() | Function() | Combine():
            pass
        case _:
            assert_never(node)


def _reads(op: Op, but: tuple[str, ...]) -> Iterator[tuple[str, Span | None]]:
    own = [one for one in op.settings if one.name not in but]
    for one in (*templates_in(own), *(one for one in own if one.name in EXPRESSIONS)):
        if not isinstance(text := one.value, str):
            continue
        is_expression = one.name in EXPRESSIONS
        if faults(text) if is_expression else template_fault(text) is not None:
            continue
        literal = part_span(one.span, "value")
        for name, span in _certain(text, literal, is_expression=is_expression):
            if name != FIELDS or not is_typed(op):
                yield name, span


def _certain(
    text: str, literal: Span | None, *, is_expression: bool = False
) -> Iterator[tuple[str, Span | None]]:
    """Yield the names that a template or an expression surely reads."""
    for read in expression_reads(text) if is_expression else template_reads(text):
        if read.root is None or read.is_guarded or not read.is_certain:
            continue
        end = read.start + len(read.root)
        span = Span(Source(text, "<template>"), read.start, end)
        yield read.root, span if literal is None else inside(literal, read.start, end)
