"""Calls of chains from Ember's API, with the settings and options in force."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from chainlang.api.chain import Chain
from chainlang.compat.ember.execution_options import get_execution_options
from chainlang.compat.ember.use import at, next_position, settings_in_use
from chainlang.session.result import Result

__all__ = ["run_chain", "settings_now"]


def settings_now(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a call: those given, those in use, and what the options set."""
    options = get_execution_options()
    settings = {**settings_in_use(repeats=options.enable_caching), **given}
    if options.timeout_seconds is not None:
        settings.setdefault("row_seconds", options.timeout_seconds)
    if options.enable_caching:
        settings.setdefault("cache", "write")
    return settings


def run_chain(chain: Chain, row: Any, given: Mapping[str, Any]) -> Result:
    """Return the result of a chain for a row; other threads may call chains at the same time."""
    with at(next_position(lambda: (str(chain), str(row)))):
        settings = settings_now(given)
    if threading.current_thread() is threading.main_thread():
        found: Result = chain(row, **settings)
        return found
    result: Result = asyncio.run(chain.acall(row, **settings))
    return result
