"""Settings of a stage that a template may give: each row has its own value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.ir.auto import is_auto
from chainlang.ir.nodes import Stage

MODELS, SAMPLES = "models", "samples"
ROW_SETTINGS = ("max_tokens", "model", SAMPLES, "temperature")
"""Options of a stage, and settings of an op, whose value may be a template."""
MOST_TOKENS = 16_384
"""Largest `max_tokens` that a template may give, so that the cost of a row has a bound."""


def is_template(value: object) -> bool:
    """Return whether a value is a text that reads a record, or one that a model decides.

    >>> is_template("{{ t }}"), is_template("tiny"), is_template(0.7)
    (True, False, False)
    """
    return isinstance(value, str) and ("{{" in value or is_auto(value))


def templates(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are given by templates, by name."""
    return {name: settings[name] for name in ROW_SETTINGS if is_template(settings.get(name))}


def names_template(name: str, value: object) -> bool:
    """Return whether an option is a setting that is given by a template."""
    return name in ROW_SETTINGS and is_template(value)


def temperature_of(stage: Stage, default: float) -> float:
    """Return the temperature of a stage; one that a template gives is taken to be above 0."""
    if stage.temperature is not None:
        return stage.temperature
    given = any(one.name == "temperature" for one in stage.options)
    return 1.0 if given else default


def listed(models: object) -> tuple[str, ...]:
    """Return the models of the option `models`, in written order."""
    if isinstance(models, str):
        return (models,)
    return tuple(models) if isinstance(models, Iterable) else ()
