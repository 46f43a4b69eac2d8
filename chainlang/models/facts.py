"""Facts about models: price, limits and capabilities, each with its source and date.

What a declaration says goes first; else the shipped excerpt, made by ``python -m
tests.project.facts``, of the model's provider. What nothing says is unknown, and never 0 or false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from attrs import frozen

from chainlang.engines.hosts import HOSTS
from chainlang.ir.declarations import Model
from chainlang.ir.model_facts import FACTS, PRICE
from chainlang.ir.tables import plain
from chainlang.protocol.price import Price, Tier
from chainlang.protocol.usage import ZERO
from chainlang.settings import Settings

STALE = timedelta(days=90)
"""Age from which a shipped price may be wrong."""
OWN = "its declaration"
_DATED = re.compile(r"-(latest|\d{4}-?\d{2}-?\d{2}|\d{4})$")
"""End of the name of one version of a model."""


@frozen
class Fact:
    """A fact about a model, and where it is from."""

    value: Any
    source: str
    date: str | None = None
    """Date of the source; None for a declaration."""


def facts_of(model: Model, settings: Settings | None = None) -> dict[str, Fact]:
    """Return what is known of a model, by the name of the fact.

    `settings` may say that `openai` models are on another server.

    >>> found = facts_of(Model("big", "openai", "gpt-4o"))
    >>> found["price"].value, found["context"].value, found["price"].source
    (Price(input=Decimal('2.5'), output=Decimal('10'), cached=Decimal('1.25'), ...),
     128000, 'genai-prices 0.2.3')
    """
    provider = provider_of(model, settings)
    found = {} if provider is None else dict(_shipped(provider, model.source))
    for one in model.settings:
        if one.name == PRICE:
            found[PRICE] = Fact(price_of(one.value), OWN)
        elif one.name == FACTS:
            found |= {name: Fact(value, OWN) for name, value in plain(one.value).items()}
        elif one.name == "max_model_len":
            found["context"] = Fact(one.value, OWN)
    return found


def provider_of(model: Model, settings: Settings | None = None) -> str | None:
    """Return the provider of a model; None if it is unknown."""
    given = {one.name: one.value for one in model.settings}
    if "provider" in given:
        return str(given["provider"])
    address = given.get("base_url")
    if isinstance(address, str):
        host = next((one for one in HOSTS if one.url.rstrip("/") == address.rstrip("/")), None)
        return host.prefix if host is not None else None
    if model.engine == "openai" and settings is not None and settings.openai_base_url is not None:
        return None
    is_own = address is None and any(one.engine == model.engine for one in HOSTS)
    return model.engine if is_own else None


def price_of(value: object) -> Price:
    """Return the price that a setting says."""
    if value == "none":
        return Price()
    given = {name: Decimal(str(one)) for name, one in plain(value).items()}
    tokens = given.get("input", ZERO), given.get("output", ZERO)
    return Price(*tokens, given.get("cached"), given.get("gpu_hour"))


def is_stale(fact: Fact, today: date) -> bool:
    """Return whether a shipped fact is so old that it may be wrong."""
    return fact.date is not None and today - date.fromisoformat(fact.date) > STALE


@cache
def _shipped(provider: str, source: str) -> Mapping[str, Fact]:
    """Return what the shipped excerpt says of a model of a provider."""
    found: dict[str, Fact] = {}
    prices, limits = _sections()
    if (price := _entry(prices["models"].get(provider, {}), source)) is not None:
        found[PRICE] = Fact(_price(*price), prices["source"], prices["date"])
    if (limit := _entry(limits["models"].get(provider, {}), source)) is not None:
        found |= {
            name: Fact(value, limits["source"], limits["date"]) for name, value in limit.items()
        }
    return found


def _price(
    given: str, output: str, cached: str | None, tiers: list[list[Any]] | None = None
) -> Price:
    longer = tuple(
        Tier(start, Decimal(one), Decimal(other), None if third is None else Decimal(third))
        for start, one, other, third in tiers or ()
    )
    rest = None if cached is None else Decimal(cached)
    return Price(Decimal(given), Decimal(output), rest, tiers=longer)


def _entry(models: Mapping[str, Any], source: str) -> Any:
    """Return the entry of a model: of its name, of the longest pattern, or without its date."""
    name = source.lower()
    if name in models:
        return models[name]
    stars = [key for key in models if key.endswith("*") and name.startswith(key[:-1])]
    if stars:
        return models[max(stars, key=len)]
    short = _DATED.sub("", name)
    return models.get(short)


@cache
def _sections() -> tuple[Any, Any]:
    text = resources.files("chainlang.models").joinpath("data/known.json").read_text("utf-8")
    found = json.loads(text)
    return found["prices"], found["limits"]


def shipped() -> Iterator[tuple[str, str]]:
    """Yield the provider and the name of each model of the shipped excerpt that has a price."""
    for provider, models in _sections()[0]["models"].items():
        yield from ((provider, name) for name in models if not name.endswith("*"))
