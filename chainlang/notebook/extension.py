"""The function that ``%load_ext chainlang`` calls: it adds magics and completion to a shell."""

from __future__ import annotations

from typing import Any

from chainlang.notebook import magics
from chainlang.notebook.completion import completions


def load_ipython_extension(shell: Any) -> None:
    """Add the magics and the completion to a shell, once."""
    magics.register(shell)
    matchers = shell.Completer.custom_matchers
    if not any(getattr(one, "is_of_chainlang", False) for one in matchers):
        matchers.append(_matcher(shell))


def _matcher(shell: Any) -> Any:
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
    def chainlang_matcher(context: Any) -> Any:
        found = completions(context.full_text, _offset(context), shell.user_ns)
        if found is None:
            return {"completions": []}
        token, several = found
        made = [SimpleCompletion(text, type=kind) for text, kind in several]
        return {"completions": made, "matched_fragment": token, "suppress": bool(made)}

    chainlang_matcher.is_of_chainlang = True
    return chainlang_matcher


def _offset(context: Any) -> int:
    """Return the place of the cursor in the whole text."""
    lines: list[str] = context.full_text.split("\n")[: context.cursor_line]
    return sum(len(line) + 1 for line in lines) + int(context.cursor_position)
