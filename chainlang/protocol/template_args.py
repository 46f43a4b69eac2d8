"""Arguments of chat templates, such as ``{"enable_thinking": false}``, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_OURS = frozenset(
    {"add_generation_prompt", "chat_template", "continue_final_message", "conversation"}
    | {"messages", "tokenize", "strftime_now"}
)


def fault(args: object) -> str | None:
    """Return what is wrong with arguments of a chat template; None if they can be passed.

    >>> fault({"enable_thinking": False}), fault({"tokenize": True})
    (None, "'tokenize' is no argument of the template")
    """
    if not isinstance(args, Mapping) or not all(isinstance(name, str) for name in args):
        return "they are no table with texts as keys"
    for name in args:
        if name in _OURS or name.startswith("return_"):
            return f"{name!r} is no argument of the template"
    try:
        canonical(args)
    except (TypeError, ValueError, RecursionError) as error:
        return f"JSON can't hold them: {error}"
    return None


def canonical(args: Mapping[str, Any]) -> str:
    """Return arguments as a text that is equal for equal arguments; "" for none."""
    return json.dumps(args, sort_keys=True, allow_nan=False) if args else ""
