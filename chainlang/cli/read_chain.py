"""Reading of the chain argument of a command: notation, or the path of a file."""

from __future__ import annotations

import warnings
from pathlib import Path

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.api.parse import chain
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangWarning, raise_errors


def read_chain(text: str) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a text or a file, with its warnings; raise its errors."""
    if text.endswith(".chain"):  # no other name: a file called `E` must not change what E means
        file, found = examine(Path(text))
        raise_errors(found)
        return Chain(*main_of(file)), list(found)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]
