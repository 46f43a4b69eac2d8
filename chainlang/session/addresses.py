"""Addresses of models that have several: those that are declared, and what each has done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.engines.protocol import Engine
from chainlang.ir.declarations import Model
from chainlang.models.declaration import addresses_in


def addresses_of(named: Mapping[str, Engine | Model]) -> dict[str, tuple[str, ...]]:
    """Return the addresses of each model that has several."""
    found = {name: _urls(one) for name, one in named.items()}
    return {name: urls for name, urls in found.items() if len(urls) > 1}


def _urls(one: Engine | Model) -> tuple[str, ...]:
    if isinstance(one, Model):
        given = next((it.value for it in one.settings if it.name == "base_url"), None)
        return addresses_in(given)
    return tuple(getattr(one, "urls", ()))


def counts_of(engines: Mapping[str, Engine]) -> dict[str, list[dict[str, Any]]]:
    """Return what each address of a model with several has done in this process, as JSON."""
    found = {name: getattr(one, "addresses", ()) for name, one in engines.items()}
    return {
        name: [{"url": it.url, "requests": it.requests, "failed": it.failed} for it in states]
        for name, states in found.items()
        if states
    }
