"""Selection of the models that a policy may choose from, and the choice by weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from chainlang.errors import error_of
from chainlang.ir.declarations import Model
from chainlang.ir.model_facts import NUMBERS
from chainlang.models.facts import Fact
from chainlang.models.machine import Machine, misfit
from chainlang.models.policy import Policy


@frozen
class Candidate:
    """A model that a policy may choose, and what is known of it."""

    name: str
    model: Model
    facts: Mapping[str, Fact] = field(factory=dict)
    base: str | None = None
    """Name of the model of which it is a quantized variant."""


@frozen
class Selection:
    """The models that a policy may choose, and why others are left out."""

    fit: tuple[Candidate, ...]
    ruled_out: Mapping[str, str]
    """Reason for each model that is left out."""
    scores: Mapping[str, float] = field(factory=dict)
    """Score of each model, where the policy has weights."""


def selected(
    policy: Policy,
    candidates: Iterable[Candidate],
    *,
    needs: Mapping[str, Any] = {},
    machine: Machine | None = None,
    name: str = "",
) -> Selection:
    """Return the models that a policy may choose: those that can do it, and fit the machine.

    `needs` are facts that the stages need; a model of which one is unknown is tried. Quantized
    variants count where their base can do it and no model fits the machine. Raises `SettingError`
    if no model is left.
    """
    ruled_out: dict[str, str] = {}
    able: list[Candidate] = []
    for one in candidates:
        reason = _lack(one, dict(policy.needs), known=True) or _lack(one, needs, known=False)
        if reason:
            ruled_out[one.name] = reason
        else:
            able.append(one)
    fit: list[Candidate] = []
    for variants in (False, True):
        for one in able if not fit else ():
            if (one.base is not None) == variants:
                reason = misfit(one.model, one.facts, machine or Machine.here())
                if reason:
                    ruled_out[one.name] = reason
                else:
                    fit.append(one)
    for one in able:
        if one not in fit and one.name not in ruled_out:
            ruled_out[one.name] = f"it is a variant of {one.base}, and a whole model fits"
    scores: Mapping[str, float] = {}
    if policy.strategy == "weighted":
        weighed = [one for one in fit if not _unweighed(policy, one)]
        ruled_out |= {one.name: _unweighed(policy, one) for one in fit if one not in weighed}
        fit = weighed
        scores = scored(policy, fit)
    if not fit:
        lines = [f"{one}: {reason}" for one, reason in ruled_out.items()]
        raise error_of("setting", f"the policy @{name} has no model to choose", lines=lines)
    return Selection(tuple(fit), ruled_out, scores)


def best(selection: Selection) -> Candidate:
    """Return the model with the highest score; of equal ones the first."""
    return max(selection.fit, key=lambda one: selection.scores[one.name])


def _lack(one: Candidate, needs: Mapping[str, Any], *, known: bool) -> str:
    """Return which need a model does not meet; empty for none. `known`: unknown is not enough."""
    for name, least in needs.items():
        fact = one.facts.get(name)
        if fact is None:
            if known:
                return f"{name} is not known"
        elif name in NUMBERS:
            if fact.value < least:
                return f"{name} is {fact.value:,}, and {least:,} is needed"
        elif isinstance(least, bool):
            if fact.value is not True:
                return f"it has no {name} ({fact.source})"
        else:
            wanted = [least] if isinstance(least, str) else least
            missing = [it for it in wanted if it not in fact.value]
            if missing:
                return f"{name} has no {', '.join(missing)}"
    return ""


def _number(facts: Mapping[str, Fact], name: str) -> float | None:
    return float(facts[name].value) if name in facts else None


def _cost(facts: Mapping[str, Fact]) -> float | None:
    """Return the price of a million tokens of prompts and as many of replies."""
    price = facts["price"].value if "price" in facts else None
    if price is None or price.gpu_hour is not None:
        return None
    total: Decimal = price.input + price.output
    return float(total)


_MEASURES: Mapping[str, Callable[[Mapping[str, Fact]], float | None]] = {
    "accuracy": lambda facts: _number(facts, "accuracy"),
    "latency": lambda facts: _number(facts, "latency"),
    "cost": _cost,
}


def _unweighed(policy: Policy, one: Candidate) -> str:
    """Return what is not known of a model that the policy weighs; empty for nothing."""
    missing = [name for name, _ in policy.weights if _MEASURES[name](one.facts) is None]
    return f"{', '.join(missing)} is not known" if missing else ""


def scored(policy: Policy, fit: Iterable[Candidate]) -> dict[str, float]:
    """Return the score of each model: the weighted sum of its scaled measures.

    A measure is scaled over the models, from 0 for the worst to 1 for the best: accuracy rises,
    cost and latency fall. If all are equal it is 1.
    """
    fit = list(fit)
    scores = dict.fromkeys((one.name for one in fit), 0.0)
    for name, weight in policy.weights:
        measures = {one.name: _MEASURES[name](one.facts) or 0.0 for one in fit}
        low, high = min(measures.values(), default=0.0), max(measures.values(), default=0.0)
        for one, value in measures.items():
            share = 1.0 if high == low else (value - low) / (high - low)
            scores[one] += weight * (share if name == "accuracy" or high == low else 1 - share)
    return scores
