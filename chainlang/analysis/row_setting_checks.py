"""Checks of settings of a stage that templates give: their bounds, and their constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.analysis.option_values import faults_in
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.ir.builtins import ROW_FIELDS, StageType
from chainlang.ir.nodes import Stage
from chainlang.ir.row_settings import (
    MODELS,
    SAMPLES,
    is_template,
    listed,
    names_template,
    templates,
)
from chainlang.ir.rules import TEMPLATE, Rule
from chainlang.notation.literals import at_literal
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.given_fields import expression_of
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.row_settings import RowSettings
from chainlang.semantics.stage_error import StageError


def field_rules(node: Stage) -> Mapping[str, Rule]:
    """Return the rules of the fields of a stage that are options, since templates give them."""
    return {one.name: ROW_FIELDS[one.name] for one in node.options if one.name in ROW_FIELDS}


def row_setting_faults(node: Stage, kind: StageType) -> Iterator[Diagnostic]:
    """Yield the errors of the settings of a stage that lack their bounds."""
    spans = {one.name: one.span for one in node.options}
    given = {**kind.given, **{one.name: one.value for one in node.options}}
    chooses = is_template(given.get("model")) and node.model is None
    if chooses and not listed(given.get(MODELS)):
        message = "a model that depends on the row is one of a list, and there is none"
        where = spans.get("model", node.span)
        yield Diagnostic("option", message, where, 'write models=["small", "large"]')
    if MODELS in spans and not chooses:
        message = "models= has an effect only where a template gives the model"
        hint = 'write model="{{ size.answer }}", or leave models= out'
        yield Diagnostic("option", message, spans.get(MODELS, node.span), hint)
    for name, text in templates(given).items() if kind.kind == "map" else ():
        if "candidate" in RowSettings(((name, text),)).reads:
            message = f"{name}= is one for all candidates, and this reads one of them"
            hint = "read them all, as {{ candidates | length }}"
            yield Diagnostic("option", message, spans.get(name, node.span), hint)
    if SAMPLES in given:
        if node.count < 2:  # one sample is no choice
            message = "samples= takes some of the samples of a stage, and there is one"
            hint = f"write the most of them: 9:{node.name}(samples=...)"
            yield Diagnostic("option", message, spans.get(SAMPLES, node.span), hint)
        elif isinstance(given.get("need"), int):
            message = "need= is a number, and samples= may be less"
            hint = "write a share: need=0.5"
            yield Diagnostic("option", message, spans.get("need", node.span), hint)


def template_faults(name: str, template: str, where: Span | None) -> Iterator[Diagnostic]:
    """Yield the errors of a setting of an op that a template gives."""
    yield from (at_literal(one, where) for one in faults_in(template, TEMPLATE))
    yield from constant_faults(name, template, where)


def constant_faults(name: str, template: str, where: Span | None) -> Iterator[Diagnostic]:
    """Yield the error of a template that reads nothing, and whose value is out of range."""
    if name in ("model", SAMPLES) or not names_template(name, template):
        return
    expression = expression_of(template)
    if expression is None or names(expression):
        return
    try:
        RowSettings(()).checked(name, evaluate(expression, {}))
    except RenderError as error:
        yield Diagnostic("option", f"{name}= can't be filled in: {error}", where)
    except StageError as error:
        yield Diagnostic("option", str(error), where)
