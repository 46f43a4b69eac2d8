"""Arguments of calls: those of `auto`, and hints for calls with the wrong ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chainlang.diagnostics.source import Span
from chainlang.ir.auto import auto_text
from chainlang.ir.nodes import Stage
from chainlang.notation.stages import Argument
from chainlang.notation.values import ValueReader


def auto_value(reader: ValueReader, given: Sequence[Argument], span: Span) -> str:
    """Return the text of a value that a model decides: its words, and its type."""
    texts = [one.value for one in given if one.name is None and isinstance(one.value, str)]
    if len(texts) != len(given) or not 1 <= len(texts) <= 2 or not texts[0].strip():
        hint = 'write auto("How many?", "int(1..5)"), or leave the type out'
        reader.note("argument", "auto() takes words, and a type, each in quotes", span, hint)
        return ""
    return auto_text(*texts)


def meant(name: str, given: Sequence[Argument]) -> str:
    """Return the hint for a call with fields and chains."""
    for argument in given:
        one = argument.value
        if isinstance(one, Stage) and one.span and (found := _OPTION.fullmatch(one.span.text)):
            return f"an option is written with =: {found[1]}={found[2]}"
        if argument.name is not None and one == Stage(getattr(one, "name", "")):
            return f'a text is quoted: {argument.name}="{one.name}"'
    return f"write the count as `3 * {name}(...)`, the rest as options"


_OPTION = re.compile(r"([a-z_]+):([\w.]+)")
