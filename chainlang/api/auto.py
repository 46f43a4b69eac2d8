"""``auto("How deep?", "int(1..5)")``: a value of an option that a model decides."""

from __future__ import annotations

from typing import Any

from chainlang.api.chain import refuse
from chainlang.ir.auto import auto_text


def auto(words: str, returns: str | None = None) -> Any:
    """Return a value that a model decides before the first row, for an option of a chain.

    `words` say what is to be decided; `returns` is a type in the notation (default: that of the
    option, one of the texts that the words list after a colon, or one that the model chooses).

    >>> from chainlang import E, auto, chain
    >>> made = E("tiny", 9, samples=auto("How many drafts?", "int(1..5)"))
    >>> made == chain('9:E:tiny(samples=auto("How many drafts?", "int(1..5)"))')
    True
    """
    if not isinstance(words, str) or not words.strip():
        refuse("auto() takes words that say what is to be decided", 'write auto("How many?")')
    if returns is not None and not isinstance(returns, str):
        refuse("the type of auto() is a text", 'write auto("How many?", "int(1..5)")')
    return auto_text(words, returns)
