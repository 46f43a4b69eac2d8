"""Log of the calls of operators, where the execution options ask for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chainlang.compat.ember.execution_options import get_execution_options

LOGGER = logging.getLogger("chainlang.compat.ember")
_LONGEST = 200


@contextmanager
def logged(name: str, inputs: Any) -> Iterator[Callable[[Any], None]]:
    """Log a call: `trace_execution` its end and its time, `debug` its inputs and its output too.

    The block calls what it gets with its output.
    """
    options = get_execution_options()
    if not options.trace_execution and not options.debug:
        yield lambda _: None
        return
    if options.debug:
        LOGGER.info("%s(%s)", name, _short(inputs))
    started = time.perf_counter()
    outputs: list[Any] = []
    try:
        yield outputs.append
    finally:
        seconds = time.perf_counter() - started
        outcome = "failed" if not outputs else "ended"
        LOGGER.info("%s %s after %.3f s", name, outcome, seconds)
        if options.debug and outputs:
            LOGGER.info("%s -> %s", name, _short(outputs[0]))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def configure_logging(verbose: bool = False) -> None:  # Ember's signature
    """Set the level of this log: information if `verbose`, else warnings."""
    LOGGER.setLevel(logging.INFO if verbose else logging.WARNING)
