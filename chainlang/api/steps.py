"""Files of steps as chains, with the functions that do their actions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source
from chainlang.errors import raise_errors, raise_or_warn
from chainlang.pipelines.load import load_steps


def load_file_of_steps(
    file: Path | Source,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    types: Mapping[str, Any] | None = None,
    allow: Collection[str] = (),
    actions: str | None = None,
) -> Chain:
    """Return the chain of a file of steps; warn of what is doubtful. Raises as `load` does."""
    made, found = read_steps(file, functions or {}, types, allow, by_model=actions is not None)
    raise_or_warn(found)
    return made


def read_steps(
    file: Path | Source,
    functions: Mapping[str, Callable[..., Any]],
    types: Mapping[str, Any] | None = None,
    allow: Collection[str] = (),
    *,
    by_model: bool = False,
) -> tuple[Chain, tuple[Diagnostic, ...]]:
    """Return the chain of a file of steps, and its warnings. Raises its errors.

    Of the functions, those are bound that the file calls.
    """
    found = load_steps(file, functions, by_model=by_model)
    raise_errors(found.file.diagnostics)
    whole, diagnostics = examine(found.file, allow)
    raise_errors(diagnostics)
    bound = {name: functions[name] for name in found.functions}
    made = Chain(*main_of(whole), is_checked=True).bind(**bound, **(types or {}))
    return made, diagnostics
