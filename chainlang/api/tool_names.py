"""Tools of a stage in Python: functions as themselves, in place of their names."""

from __future__ import annotations

from typing import Any

from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.tool_functions import ToolFunction

TOOLS = "tools"
"""Option of a stage whose values may be functions."""


def named_tools(value: object) -> tuple[Any, Bound]:
    """Return the names of tools, and the functions that are given as themselves."""
    several = value if isinstance(value, list | tuple) else (value,)
    functions = {
        one.__name__: ToolFunction.of(one.__name__, one)
        for one in several
        if callable(one) and hasattr(one, "__name__")
    }
    names = [one.__name__ if callable(one) and hasattr(one, "__name__") else one for one in several]
    made = names if isinstance(value, list | tuple) else names[0]
    return made, NOTHING.with_tools(functions)
