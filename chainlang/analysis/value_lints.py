"""Warnings about values that can't occur: comparisons, arms of a route, votes, conditions.

The types of a chain bound the values of a field: a verdict is one of two words, a score is from 1
to 5. A comparison with any other value has one outcome in all rows.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, assert_never

from chainlang.analysis.candidate_types import CandidateType, reply_of
from chainlang.analysis.path_faults import Reader
from chainlang.analysis.read_paths import Compared
from chainlang.analysis.record_types import Readable, RecordType, at_any, in_expression
from chainlang.analysis.template_reads import expression_reads, path_read
from chainlang.analysis.type_flow import TypeFlow, by_of
from chainlang.datatypes.value_types import (
    NUMBER,
    TEXT,
    UNKNOWN,
    Scalar,
    ValueType,
    described,
    either,
    names_of,
    options_of,
    values_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.diagnostics.suggest import LISTED, suggest
from chainlang.ir.auto import is_auto
from chainlang.ir.nodes import Cascade, Each, Loop, Route, Stage, WithFields
from chainlang.semantics.expressions import faults

_OUTCOMES: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "in": operator.eq,
    "notin": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def value_lints(flow: TypeFlow) -> Iterator[Diagnostic]:
    """Yield the warnings about votes, arms and conditions whose outcome is known."""
    for node, seen in flow.at_nodes.values():
        records = tuple(seen)
        match node:
            case Stage():
                yield from _vote(node, records)
            case Route():
                readable = at_any([in_expression(one, flow.row) for one in records], ())
                yield from _arms(node, readable)
            case Loop(until=str(until)) if node.max != 1 and _is_settled(until, records, flow):
                message = "until= has one value: it reads nothing that a round changes"
                hint = "write a condition over `answer`, or over a field of the candidates"
                where = part_span(part_span(node.span, "until"), "value")
                yield Diagnostic("constant", message, where, hint, kind="option", subject="until")
            case Loop() | Each() | Cascade() | WithFields():
                pass
            case _:
                assert_never(node)


# ---------------------------------------------------------------- comparisons


def compared_values(reader: Reader) -> Iterator[Diagnostic]:
    """Yield a warning for each comparison that has one outcome, whatever the row.

    >>> from chainlang.analysis.record_types import Name
    >>> known = Readable({"mood": Name(either([Scalar("a text", '"good"')]))})
    >>> [one.message for one in compared_values(Reader("{% if mood == 'god' %}{% endif %}", known))]
    ["'mood' is never 'god'"]
    """
    for one in reader.all.compared:
        kind = reader.readable.type_of(one.read)
        for value, start in one.values:
            found = _outcome(one, kind, value)
            if found is None:
                continue
            written = reader.text[one.read.start : one.read.end]
            shown = "none" if value is None else repr(value)
            span = Span(Source(reader.text, f"<{reader.code}>"), start, start + len(shown))
            message, hint = found(written, shown)
            yield Diagnostic("impossible", message, span, hint, kind="field", subject=written)


def _outcome(
    one: Compared, kind: ValueType, value: object
) -> Callable[[str, str], tuple[str, str | None]] | None:
    """Return the message and the hint of a comparison with one outcome; None for others."""
    possible = values_of(kind)
    if possible is not None:
        return _of_few(one.operator, tuple(map(json.loads, possible)), value)
    options = options_of(kind)
    if not options or not all(isinstance(option, Scalar) for option in options):
        return None
    kinds = {option.whole for option in options if isinstance(option, Scalar)}
    if one.operator not in ("eq", "ne", "in", "notin"):
        return None
    if isinstance(value, str) and TEXT not in kinds:
        is_number = NUMBER in kinds and value.strip().lstrip("-").replace(".", "", 1).isdigit()
        hint = f"leave the quotes out: {value.strip()}" if is_number else None
        return lambda path, shown: (f"'{path}' is {described(kind)}, never the text {shown}", hint)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and NUMBER not in kinds and kinds == {TEXT}:
        hint = f'write it in quotes: "{value}"'
        return lambda path, shown: (
            f"'{path}' is {described(kind)}, never the number {shown}",
            hint,
        )
    return None


def _of_few(
    comparison: str, possible: tuple[Any, ...], value: Any
) -> Callable[[str, str], tuple[str, str | None]] | None:
    compare = _OUTCOMES[comparison]
    if comparison in ("eq", "ne", "in", "notin"):
        if any(_same(one, value) for one in possible):
            return None
        texts = [one for one in possible if isinstance(one, str)]
        near = suggest(value, texts, None) if isinstance(value, str) else None
        if isinstance(value, str) and any(json.dumps(one) == value.strip() for one in possible):
            near = f"leave the quotes out: {value.strip()}"
        hint = near or f"its values are {shown_values(possible)}"
        return lambda path, shown: (f"'{path}' is never {shown}", hint)
    if not possible or not all(_is_number(one) for one in (*possible, value)):
        return None
    outcomes = {compare(one, value) for one in possible}
    if len(outcomes) > 1:
        return None
    says = "always" if outcomes == {True} else "never"
    sign = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}[comparison]
    hint = f"its values are {shown_values(possible)}"
    return lambda path, shown: (f"'{path}' is {says} {sign} {shown}", hint)


def _same(left: object, right: object) -> bool:
    """Return whether two JSON values are equal; true is not 1."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown_values(possible: Iterable[object]) -> str:
    """Return values in words: at most ten, and the number of others."""
    texts = [json.dumps(one) for one in possible]
    more = f" and {len(texts) - LISTED} others" if len(texts) > LISTED else ""
    return ", ".join(texts[:LISTED]) + more


# ---------------------------------------------------------------- arms, votes, conditions


def _arms(node: Route, readable: Readable) -> Iterator[Diagnostic]:
    """Yield the warnings about the arms of a route whose key has few values."""
    if not isinstance(node.by, str) or is_auto(node.by):
        return
    where = part_span(part_span(node.span, "by"), "value")
    if not expression_reads(node.by):
        message = "by= reads nothing, so that the same arm runs for each row"
        hint = "write a field of the row or of the candidates"
        yield Diagnostic("constant", message, where, hint, kind="option", subject="by")
        return
    path = path_read(node.by)
    possible = None if path is None else values_of(readable.type_of(path))
    if path is None or not possible:
        return
    keys = [_key(one) for one in possible]
    for arm in node.arms:
        if arm.key not in keys:
            hint = suggest(arm.key, keys, None) or f"its values are {shown_values(keys)}"
            message = f"this arm never runs: '{node.by}' is never \"{arm.key}\""
            span = part_span(arm.span, "name")
            yield Diagnostic("unreachable", message, span, hint, kind="option", subject=arm.key)
    given = {arm.key for arm in node.arms}
    missing = [one for one in keys if one not in given]
    if node.default is None and missing:
        message = f"rows fail whose '{node.by}' is {shown_values(missing)}: there is no such arm"
        hint = "give them an arm, or write default="
        yield Diagnostic("missing-arm", message, where, hint, kind="option", subject=node.by)
    elif node.default is not None and not missing:
        message = f"default= never runs: each value of '{node.by}' has an arm"
        span = part_span(part_span(node.span, "default"), "name") or node.default.span
        yield Diagnostic("unreachable", message, span, "leave it out", kind="option")


def constant_answers(flow: TypeFlow) -> Iterator[Diagnostic]:
    """Yield a warning for each op whose answer does not depend on the reply."""
    for op in flow.ops.values():
        for one in op.settings:
            if one.name != "answer" or not isinstance(one.value, str) or faults(one.value):
                continue
            reply = reply_of(op, flow.types)
            own = {"text", "candidate", "candidates", *names_of(reply)}
            roots = {read.root for read in expression_reads(one.value)}
            if roots.isdisjoint(own) and (reply != UNKNOWN or not roots):
                message = f"the answer of '{op.name}' is the same for all replies"
                example = next(iter(names_of(reply)), "text")
                hint = f'read the reply in it, as answer = "{example}"'
                where = part_span(one.span, "value")
                yield Diagnostic("constant", message, where, hint, kind="option", subject="answer")


def lonely_votes(flow: TypeFlow) -> Iterator[Diagnostic]:
    """Yield a warning for each vote that always has a single candidate."""
    for node, records in flow.at_nodes.values():
        if isinstance(node, Stage) and all(one.candidates.single for one in records):
            message = "this vote has one candidate, which wins"
            hint = "give the stage before it a count, as in 5:E, or leave the vote out"
            where = part_span(node.span, "name")
            yield Diagnostic("one-candidate", message, where, hint, kind="stage", subject="M")


def _key(value: str) -> str:
    """Return the key of the arm that a value, given as JSON, selects."""
    return str(json.loads(value)) if value.startswith('"') else value


def _vote(node: Stage, records: tuple[RecordType, ...]) -> Iterator[Diagnostic]:
    """Yield the warnings about a vote whose outcome is known, and about its options."""
    by = by_of(node)
    each = [one for record in records for one in record.candidates.each]
    counted = either(_counted(one, by) for one in each)
    options = {one.name: one.span for one in node.options}
    possible = values_of(counted)
    if possible is not None and len(possible) == 1:
        what = f"the field '{by}' has" if by else "the answer has"
        message = f"{what} one value, {possible[0]}: this vote is always the same"
        hint = "vote on what can differ, as by= and the name of another field"
        where = part_span(options.get("by"), "value") or part_span(node.span, "name")
        yield Diagnostic("constant", message, where, hint, kind="stage", subject="M")
    scalars = [one for one in options_of(counted) if isinstance(one, Scalar)]
    if not scalars or len(scalars) < len(options_of(counted)):
        return
    if all(one.whole != TEXT for one in scalars):
        for name in ("extract", "normalize"):
            if name in options:
                message = f"{name}= is for texts, and what is counted is {described(counted)}"
                where = part_span(options[name], "name")
                yield Diagnostic("no-effect", message, where, "leave it out", kind="option")


def _counted(one: CandidateType, by: str | None) -> ValueType:
    return one.answer if by is None else one.fields[by] or UNKNOWN


def _is_settled(until: str, records: tuple[RecordType, ...], flow: TypeFlow) -> bool:
    """Return whether a condition reads only what is the same after each round."""
    first = [one for record in records for one in record.candidates.first]
    own = {name for one in first for name in names_of(one.view)}
    row = {*(flow.row or ()), "id", "query"} - own
    may_be_own = flow.row is None or any(one.fields.is_open for one in first)
    stable = {"id"} if may_be_own else row
    return {read.root for read in expression_reads(until)} <= stable
