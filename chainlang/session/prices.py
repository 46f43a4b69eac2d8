"""Prices of the models of a plan, and the checks of budgets that need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import error_of, warn
from chainlang.ir.declarations import Item, Model
from chainlang.models.declaration import Declaration
from chainlang.models.facts import Fact, facts_of, is_stale
from chainlang.plan.steps import Plan
from chainlang.protocol.price import Price
from chainlang.protocol.programs import sandbox_of
from chainlang.session.check_capabilities import written
from chainlang.settings import RowSettings

_BUDGETS = ("row_cost", "run_cost")
_HINT = (
    'say it where the model is declared: price={"input": 2.5, "output": 10} for a million tokens, '
    'price={"gpu_hour": 2.1}, or price="none"'
)
_WARNED: set[str] = set()
"""Sources whose age was warned of in this process."""


def prices_of(plan: Plan, items: Iterable[Item], settings: RowSettings) -> dict[str, Price]:
    """Return the price of each model of a plan for which it is known.

    Raises `SettingError` for a budget of cost if that of a model is unknown. Warns once of prices
    that are old.
    """
    declared = {one.name: one for one in items if isinstance(one, Model)}
    given: Mapping[str, object] = settings.models or {}
    found: dict[str, Price] = {}
    for name in plan.models:
        if sandbox_of(name) is not None:
            found[name] = Price()
            continue
        one = given.get(name)
        model = one.item(name) if isinstance(one, Declaration) else declared.get(name)
        fact = None if model is None else facts_of(model, settings).get("price")
        if fact is not None:
            _warn_if_stale(fact)
            found[name] = fact.value
    for budget in _BUDGETS:
        if getattr(settings, budget) is not None:
            _check(plan, found, budget)
    return found


def _check(plan: Plan, found: Mapping[str, Price], budget: str) -> None:
    for name in plan.models:
        if name not in found:
            message = f"{budget} can't be held: the price of the model {name!r} is not known"
            raise error_of(
                "setting", message, _HINT, span=written(plan, name), subject=name, setting=budget
            )


def _warn_if_stale(fact: Fact) -> None:
    if fact.source not in _WARNED and is_stale(fact, date.today()):
        _WARNED.add(fact.source)
        message = f"prices of {fact.source} are of {fact.date}, so they may be wrong"
        hint = "a newer chainlang has newer ones; a price= of a model goes before them"
        warn(Diagnostic("old-prices", message, hint=hint))
