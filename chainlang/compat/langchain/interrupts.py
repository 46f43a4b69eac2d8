"""Interrupts of LangGraph inside a chain, which are refused: a row can't wait for a person."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from attrs import evolve

from chainlang.api.chain import Chain

INTERRUPT = "__interrupt__"
"""Key of what a graph returns when it was interrupted."""
_REFUSAL = (
    "an interrupt can't leave a chain, whose rows don't wait for a person: "
    "call interrupt() in a node of the graph, before the chain or after it"
)


def interrupts() -> tuple[type[Exception], ...]:
    """Return the exceptions that LangGraph interrupts a node with; none if it is not loaded."""
    errors = sys.modules.get("langgraph.errors")
    return () if errors is None else (errors.GraphBubbleUp,)


def refusal(raised: Exception | None = None) -> RuntimeError:
    """Return the error in place of an interrupt, raised where that was."""
    error = RuntimeError(_REFUSAL)
    return error if raised is None else error.with_traceback(raised.__traceback__)


def guarded(chain: Chain) -> Chain:
    """Return a chain whose Python functions fail with a message that says so at an interrupt."""
    functions = {
        name: evolve(one, function=_guarded(one.function))
        for name, one in chain.bound.functions.items()
    }
    bound = chain.bound.with_functions(functions)
    return evolve(chain, extent=chain.extent, bound=bound) if functions else chain


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        try:
            made = function(*given, **named)
        except interrupts() as error:
            raise refusal(error) from None
        if inspect.isasyncgen(made):
            return _each(made)
        return _awaited(made) if inspect.isawaitable(made) else made

    return called


async def _awaited(made: Awaitable[Any]) -> Any:
    try:
        return await made
    except interrupts() as error:
        raise refusal(error) from None


async def _each(made: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    try:
        async for one in made:
            yield one
    except interrupts() as error:
        raise refusal(error) from None
