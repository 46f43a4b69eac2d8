"""Reading of the chain argument of a command: notation, or the path of a file."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path

from attrs import evolve

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.api.parse import chain
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangWarning, raise_errors
from chainlang.semantics.bindings import bound_by
from chainlang.semantics.functions_file import FunctionsFile, read_functions


def read_chain(
    text: str, functions: Path | None = None, allow: Collection[str] = ()
) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a text or a file, with its warnings; raise its errors.

    Its ``@names`` are bound to what the Python file `functions` has under them. `allow`: names of
    settings that may run code.
    """
    made, warned = _read(text, allow)
    return (made if functions is None else bind_file(made, read_functions(functions))), warned


def bind_file(made: Chain, file: FunctionsFile) -> Chain:
    """Return a chain with the functions and classes of a file. Raises what is wrong with them."""
    found, missing = bound_by(made.body, made.items, file)
    raise_errors(missing)
    bound = made.bind(**found)
    return Chain(bound.body, bound.items, bound=evolve(bound.bound, file=file))


def _read(text: str, allow: Collection[str]) -> tuple[Chain, list[Diagnostic]]:
    if text.endswith(".chain"):  # no other name: a file called `E` must not change what E means
        file, found = examine(Path(text), allow)
        raise_errors(found)
        return Chain(*main_of(file), is_checked=True), list(found)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]
