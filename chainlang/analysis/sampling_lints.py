"""Warnings about samples that can't differ, and about fields of a stage in the wrong order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import assert_never

from attrs import define, evolve, field

from chainlang.analysis.option_values import MAX_TEMPERATURE
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import misspelt, unknown
from chainlang.ir.builtins import StageType
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
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.row_settings import temperature_of
from chainlang.ir.visit import parts_of, walk

_LONGEST_NAME = 255  # of a file or a folder
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


def sampling_lints(
    node: Expr, types: Mapping[str, StageType], bodies: Mapping[str, Expr]
) -> Iterator[Diagnostic]:
    """Yield a warning for each part that runs several times with equal samples.

    `bodies`: definitions that references stand for; they have no cycle.

    >>> from chainlang.ir.builtins import STAGE_TYPES
    >>> from chainlang.notation import parse
    >>> [one.message for one in sampling_lints(parse("5:E:m:0 >> M").node, STAGE_TYPES, {})]
    ['at temperature 0, all 5 samples of E are equal']
    """
    drawing = _Drawing(types, bodies)
    for one in walk(node):
        match one:
            case Stage(name, count) if count > 1 and drawing.is_at_zero(one):
                message = f"at temperature 0, all {count} samples of {name} are equal"
                hint = f"write {count}:{name}:{one.model or ''}:0.7, or leave the count out"
                if name in types and types[name].is_tool:
                    message = f"a pure tool is called once, so all {count} results are equal"
                    hint = "leave the count out, or pure=true"
                where = part_span(one.span, "count")
                yield Diagnostic("equal-samples", message, where, hint, kind="stage", subject=name)
            case Repeat(count, body) if count > 1 and drawing.is_constant(body):
                message = f"all {count} runs of this part are equal: {_NOTHING_SAMPLED}"
                where = part_span(one.span, "count")
                yield Diagnostic("equal-samples", message, where, _ONCE)
            case Join(parts) | Branch(parts) | Fallback(parts):
                for part in dict.fromkeys(parts):
                    again = [other for other in parts if other == part][1:]
                    if again and drawing.is_constant(part):
                        what = "part" if isinstance(one, Fallback) else "operand"
                        message = f"this {what} repeats another one: {_NOTHING_SAMPLED}"
                        yield Diagnostic("equal-samples", message, again[0].span, _ONCE)


_NOTHING_SAMPLED = "nothing in it is sampled above temperature 0"
_ONCE = "give its stages a temperature, or write it once"


def model_names(
    node: Expr, types: Mapping[str, StageType], models: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each model whose name was meant as a number, or as another model.

    `models`: the models of the file.

    >>> from chainlang.ir.builtins import STAGE_TYPES
    >>> from chainlang.notation import parse
    >>> [one.hint for one in model_names(parse("3:E:0.7:m").node, STAGE_TYPES, ())]
    ['the temperature stands last: 3:E:m:0.7']
    """
    for one in walk(node):
        if not isinstance(one, Stage) or one.model is None or one.model in models:
            continue
        kind, where = types.get(one.name), part_span(one.span, "model")
        if kind is None or not kind.calls_model:
            continue
        if any(
            len(part.encode("utf-8", "surrogatepass")) > _LONGEST_NAME
            for part in one.model.split("/")
        ):
            message = f"the name of a model has at most {_LONGEST_NAME} characters between slashes"
            yield Diagnostic("model", message, where)
            continue
        head, _, rest = one.model.partition(":")
        before, _, tail = one.model.rpartition(":")
        if before in models:
            hint = f"'{before}' is a model of this file, but '{tail}' is not a temperature"
            yield unknown("model", one.model, sorted(models), where, code="model", hint=hint)
        elif rest and _NUMBER.fullmatch(head):
            message = f"'{one.model}' is read as the name of a model"
            count = "" if one.count == 1 else f"{one.count}:"
            hints = []
            if float(head) <= MAX_TEMPERATURE:
                hints.append(f"the temperature stands last: {count}{one.name}:{rest}:{head}")
            if head.isdigit() and int(head) > 1 and one.count == 1:
                hints.append(f"the count stands first: {head}:{one.name}:{rest}")
            yield Diagnostic("model-like-number", message, where, "\n".join(hints) or None)
        else:
            yield from misspelt_model(one.model, models, where)


def misspelt_model(name: str, models: Collection[str], where: Span | None) -> Iterator[Diagnostic]:
    """Yield a warning if a name misspells a model of the file."""
    meant = None if name in models else misspelt(name, models)
    if meant is not None:
        hint = f"did you mean '{meant}'?"
        found = unknown("model", name, sorted(models), where, code="misspelt-model", hint=hint)
        yield evolve(found, message=f"'{name}' is no model of this file")


@define
class _Drawing:
    """Parts whose samples are a function of what they read, without a seed."""

    types: Mapping[str, StageType]
    bodies: Mapping[str, Expr]
    _known: dict[str, bool] = field(factory=dict)

    def is_at_zero(self, stage: Stage) -> bool:
        """Return whether a stage samples at temperature 0."""
        kind = self.types.get(stage.name)
        if kind is None or not kind.calls_model:
            return False
        return temperature_of(stage, kind.temperature) == 0

    def is_constant(self, node: Expr) -> bool:
        """Return whether all runs of a part have equal samples."""
        match node:
            case Stage(name):
                kind = self.types.get(name)
                return kind is not None and (not kind.calls_model or self.is_at_zero(node))
            case Ref(name):
                if name not in self._known:
                    body = self.bodies.get(name)
                    self._known[name] = body is not None and self.is_constant(body)
                return self._known[name]
            case Function() | Combine():
                return False
            case Then() | Join() | Branch() | Named() | Repeat():
                return all(map(self.is_constant, parts_of(node)))
            case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
                return all(map(self.is_constant, parts_of(node)))
            case WithFields():
                return all(map(self.is_constant, parts_of(node)))
        assert_never(node)
