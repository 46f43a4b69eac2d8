"""Warnings about prompts that say less than their author meant.

A prompt that reads nothing is the same for every row, and a placeholder of another template
language, such as ``{text}``, is plain text here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

from attrs import frozen

from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.field_checks import row_of
from chainlang.analysis.sampling_lints import misspelt_model
from chainlang.analysis.template_reads import template_reads, tokens
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.ir.builtins import EXPRESSIONS, FIELDS, TEMPLATES
from chainlang.ir.declarations import (
    Definition,
    Field,
    Input,
    Item,
    Model,
    Op,
    PythonType,
    Shape,
    TypeDef,
    Use,
    is_typed,
)
from chainlang.ir.tools import TOOL, kind_of
from chainlang.notation.literals import at_literal
from chainlang.semantics.expressions import faults, names

_BRACED = re.compile(r"[$#]?\{\s*(?P<name>[A-Za-z_]\w*)(?:[.\[:!][^{}\n]{0,40})?\s*\}")
_OTHERS = re.compile(
    r"\$(?P<shell>[A-Za-z_]\w*)|%\((?P<percent>[A-Za-z_]\w*)\)[sdr]"
    r"|<(?P<angle>[A-Za-z_]\w*)>|\[(?P<square>[A-Za-z_]\w*)\]"
)
_ALWAYS = ("query", "candidates")
"""Names that every prompt can read."""
_OF_NO_ROW = frozenset({"error", "reply", "round", "item_index"})
"""Names whose values are the same for every row."""


@frozen
class _Prompt:
    """One text of a prompt: its literal in the source, and the names that it reads."""

    text: str
    literal: Span | None
    roots: frozenset[str]

    @classmethod
    def of(cls, text: str, literal: Span | None) -> _Prompt:
        roots = frozenset(read.root for read in template_reads(text) if read.root is not None)
        return cls(text, literal, roots)

    def lint(self, start: int, end: int, message: str, hint: str, subject: str) -> Diagnostic:
        span = Span(Source(self.text, "<template>"), start, end)
        found = Diagnostic("placeholder", message, span, hint, kind="field", subject=subject)
        return at_literal(found, self.literal)


def item_lints(items: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield the warnings about the prompts of ops, and about derived fields of a row."""
    items = tuple(items)
    row = row_of(items)
    models = {one.name for one in items if isinstance(one, Model)}
    for item in items:
        match item:
            case Op():
                yield from prompt_lints(item, row)
                for one in item.settings:
                    if one.name == "model" and isinstance(one.value, str):
                        yield from misspelt_model(one.value, models, part_span(one.span, "value"))
            case Input(Shape(fields)):
                yield from derived_lints(fields)
            case Input() | Use() | Model() | TypeDef() | PythonType() | Definition():
                pass
            case _:
                assert_never(item)


def prompt_lints(op: Op, row: Collection[str] | None) -> Iterator[Diagnostic]:
    """Yield the warnings about the prompt of an op; `row` has the fields of a row, if declared."""
    given = {one.name: one for one in op.settings}
    prompts = [
        _Prompt.of(value, part_span(given[name].span, "value"))
        for name in TEMPLATES
        if name in given and isinstance(value := given[name].value, str)
    ]
    if "user" not in given or any(template_fault(one.text) is not None for one in prompts):
        return
    roots = frozenset(root for one in prompts for root in one.roots)
    for name in EXPRESSIONS:
        if name in given and isinstance(value := given[name].value, str) and not faults(value):
            roots |= names(value)
    if "answer" in given and isinstance(value := given["answer"].value, str) and not faults(value):
        roots |= names(value) & {"candidate"}  # what it says of the candidate may be all it needs
    if "continues" in given and given["continues"].value is True:
        roots |= {"candidate"}
    if is_typed(op) and FIELDS not in (row or ()):
        roots -= {FIELDS}
    named = {*(row or ()), *_ALWAYS, *(("candidate",) if kind_of(op) == "map" else ())}
    is_constant = kind_of(op) == "generate" and roots <= _OF_NO_ROW
    of_any = is_constant and row is None  # where nothing else can be meant
    placeholders = [
        found for one in prompts for found in _placeholders(one, named - roots, any_name=of_any)
    ]
    yield from placeholders
    if op.kind == TOOL:  # one without arguments may answer anew each time
        return
    if not placeholders and (row is None or len(row) > 0 or kind_of(op) != "generate"):
        yield from _unread(op, roots, row)


def derived_lints(fields: Iterable[Field]) -> Iterator[Diagnostic]:
    """Yield the warnings about the templates of derived fields of a row."""
    fields = tuple(fields)
    named = {one.name for one in fields if one.type is not None}
    for one in fields:
        if one.type is not None or one.default is None:
            continue
        text = one.default.value
        if isinstance(text, str) and template_fault(text) is None:
            prompt = _Prompt.of(text, one.default.span)
            yield from _placeholders(prompt, named - prompt.roots)


def _placeholders(
    prompt: _Prompt, named: Collection[str], *, any_name: bool = False
) -> Iterator[Diagnostic]:
    """Yield a warning for each placeholder of another language that names an unread field.

    `any_name`: the fields are not declared, so that any name in braces is taken for one.
    """
    seen: set[str] = set()
    is_raw = False
    before = ""
    for at, kind, text in tokens(prompt.text):
        is_raw = kind == "raw_begin" or (is_raw and kind != "raw_end")
        found: list[tuple[str, int, int]] = []
        if kind == "data" and not is_raw:
            found += [
                (one["name"], one.start(), one.end())
                for one in _BRACED.finditer(text)
                if any_name or one["name"] in named
            ]
            found += [
                (name, one.start(), one.end())
                for one in _OTHERS.finditer(text)
                if (name := one[one.lastgroup or 0]) in named
                and f"</{one['angle']}>" not in prompt.text  # a tag around a value
            ]
        elif kind == "string" and before == "variable_begin" and text[1:-1] in named:
            found.append((text[1:-1], 0, len(text)))
        before = before if kind == "whitespace" else kind
        for name, start, end in sorted(found, key=lambda one: one[1]):
            if name not in seen:
                seen.add(name)
                message = f"{text[start:end]} is plain text: it does not read the field '{name}'"
                hint = f"write {{{{ {name} }}}}"
                yield prompt.lint(at + start, at + end, message, hint, name)


def _unread(op: Op, roots: frozenset[str], row: Collection[str] | None) -> Iterator[Diagnostic]:
    """Yield the warning of a prompt that reads nothing of what an op of its kind is for."""
    where = part_span(op.span, "name")
    of_row = {"query", "id", *(row or ())}
    if kind_of(op) == "generate" and roots <= _OF_NO_ROW:
        example = next(iter(row or ()), "query")
        message = f"the prompt of '{op.name}' reads nothing of the row: it is the same for all rows"
        hint = f"write a field of the row in it, as {{{{ {example} }}}}"
    elif kind_of(op) == "map" and roots.isdisjoint(("candidate", "candidates")):
        message = f"the prompt of '{op.name}' reads no candidate: it is the same for each of them"
        hint = "write {{ candidate.answer }} in it"
    elif op.kind == "fold" and roots <= of_row | _OF_NO_ROW:
        message = f"the prompt of '{op.name}' reads no candidates"
        hint = "write {% for one in candidates %}{{ one.answer }}{% endfor %} in it"
    else:
        return
    yield Diagnostic("unread", message, where, hint, kind="stage type", subject=op.name)
