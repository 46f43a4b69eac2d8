"""Settings of a stage that depend on the row: their templates, and the values of one row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from chainlang.ir.auto import Auto, auto_of
from chainlang.ir.build import options
from chainlang.ir.declarations import Op
from chainlang.ir.nodes import Option, Stage
from chainlang.ir.row_settings import MODELS, MOST_TOKENS, SAMPLES, listed, templates
from chainlang.semantics.auto_formats import choice, op_of, type_of_option
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.given_fields import expression_of
from chainlang.semantics.prompts import RenderError, render, variables
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.template_values import in_short

if TYPE_CHECKING:
    from chainlang.semantics.record import Record

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 2.0
"""Bounds of a temperature above 0; engines silently raise lower ones."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?\Z")
_TYPICAL: Mapping[str, Any] = {"max_tokens": MOST_TOKENS, "temperature": 1.0}
"""Values of a stage before its row is known: the bound, and a temperature that samples."""


@frozen
class RowSettings:
    """Templates of the settings of a stage, by name, and the bounds of their values."""

    templates: tuple[tuple[str, str], ...]
    models: tuple[str, ...] = ()
    """Models that the template of `model` may name."""
    most: int = 1
    """Largest number of samples."""
    ignores_candidates: bool = False
    autos: tuple[tuple[str, Op], ...] = ()
    """Ops that decide settings in the row, by the names of these."""
    known: dict[tuple[tuple[str, Any], ...], Any] = field(
        factory=dict, eq=False, repr=False, init=False
    )
    """The stage with each of the values that rows had, so that equal ones are made once."""

    @property
    def is_settled(self) -> bool:
        """Whether the record alone has the settings, and no model decides one."""
        return not self.autos

    @property
    def reads(self) -> frozenset[str]:
        """The names that the templates read."""
        texts = (*self.templates, *((name, _user(op)) for name, op in self.autos))
        return frozenset().union(*(_names(template) for _, template in texts))

    def has(self, name: str) -> bool:
        """Return whether a setting depends on the row."""
        return any(one == name for one, _ in (*self.templates, *self.autos))

    def values(self, record: Record, decided: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Return the settings of a record, of which some were `decided` in it.

        Raises `StageError` for one that is out of range.
        """
        values = record.values_for(self.reads)
        if self.ignores_candidates:
            values["candidates"] = []
        made = {name: self._value(name, template, values) for name, template in self.templates}
        for name, value in decided.items():  # a schema has no gap between 0 and 0.01
            value = round(value, 2) if name == "temperature" else value  # noqa: PLW2901
            made[name] = self.checked(name, value)
        return made

    def typical(self, model: str | None = None) -> dict[str, Any]:
        """Return settings for checks and bounds before a run; `model` is one of the list."""
        given = {**_TYPICAL, SAMPLES: self.most, "model": model or (self.models or ("",))[0]}
        return {name: given[name] for name, _ in (*self.templates, *self.autos)}

    def _value(self, name: str, template: str, values: Mapping[str, Any]) -> Any:
        expression = expression_of(template)
        try:
            made = render(template, values) if expression is None else evaluate(expression, values)
        except RenderError as error:
            raise StageError(f"{name}= can't be filled in: {error}", "input") from error
        return self.checked(name, made)

    def checked(self, name: str, made: Any) -> Any:
        """Return the value of a setting. Raises `StageError` for one that is out of range."""
        if name == "model":
            if made not in self.models:
                known = ", ".join(in_short(one) for one in self.models)
                raise StageError(f"model= is {in_short(made)}, and models= has {known}", "input")
            return made
        value = _number(made)
        if name == "temperature":
            value = (
                round(value, 2)
                if isinstance(value, float) and dict(self.autos).get(name)
                else value
            )
            if value is None or not (value == 0 or MIN_TEMPERATURE <= value <= MAX_TEMPERATURE):
                wants = f"0, or from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
                raise StageError(f"temperature= is {in_short(made)}: it is {wants}", "input")
            return float(value)
        most = MOST_TOKENS if name == "max_tokens" else self.most
        if value is None or value != int(value) or not 1 <= value <= most:
            wants = f"a whole number from 1 to {most:,}"
            raise StageError(f"{name}= is {in_short(made)}: it is {wants}", "input")
        return int(value)


def given(stage: Stage, values: Mapping[str, Any]) -> Stage:
    """Return a stage with constants in place of its templates.

    >>> given(Stage("E", 9), {"samples": 3, "temperature": 0.5})
    Stage(name='E', count=3, model=None, temperature=0.5, options=())
    """
    left = [one for one in stage.options if one.name not in {*values, MODELS}]
    if "max_tokens" in values:
        left.append(Option("max_tokens", values["max_tokens"]))
    return evolve(
        stage,
        count=values.get(SAMPLES, stage.count),
        model=values.get("model", stage.model),
        temperature=values.get("temperature", stage.temperature),
        options=options(left),
    )


def row_settings(stage: Stage, settings: Mapping[str, Any]) -> RowSettings | None:
    """Return the settings of a stage that templates give; None if there are none.

    `settings` are those of its op and its options; its own model and temperature come first.
    """
    found = templates(settings)
    for name, fixed in (("model", stage.model), ("temperature", stage.temperature)):
        if fixed is not None:
            found.pop(name, None)
    if not found:
        return None
    models = listed(settings.get(MODELS)) if "model" in found else ()
    autos = tuple(
        (name, _decider(name, auto, known_type(stage, name, models)))
        for name, text in found.items()
        if (auto := auto_of(text)) is not None
    )
    rest = tuple(one for one in found.items() if one[0] not in dict(autos))
    return RowSettings(rest, models, stage.count, settings.get("fresh") is True, autos)


def known_type(stage: Stage, name: str, models: tuple[str, ...]) -> str:
    """Return the type of a setting of a stage."""
    if name == SAMPLES:
        return f"int(1..{stage.count})"
    return choice(models) if name == "model" else type_of_option(name) or "float"


def _decider(name: str, auto: Auto, known: str) -> Op:
    """Return the op that decides a setting in the row."""
    user = f'{name}: {auto.words}\nReply in JSON with the "value" alone.'
    op = op_of(f"auto_{name}", auto.type or known, user)
    assert op is not None  # its type has been checked
    return op


def _user(op: Op) -> str:
    return next(str(one.value) for one in op.settings if one.name == "user")


def described(settings: RowSettings) -> Iterator[str]:
    """Yield each setting with its template and its bound, for the display of a plan."""
    said = ((name, _user(op).splitlines()[0]) for name, op in settings.autos)
    decided = tuple((name, line.replace(f"{name}: ", "auto ", 1)) for name, line in said)
    for name, template in (*settings.templates, *decided):
        bound = {
            "max_tokens": f" (at most {MOST_TOKENS})",
            "model": f" ({' | '.join(settings.models)})",
            SAMPLES: f" (at most {settings.most})",
        }.get(name, "")
        yield f"{name}={template}{bound}"


def _names(template: str) -> frozenset[str]:
    expression = expression_of(template)
    return variables(template) if expression is None else names(expression)


def _number(value: Any) -> int | float | None:
    """Return a number, also that of a text; None for another value."""
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
