"""Arguments of a call: which keywords are settings, and which are fields of the row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from chainlang.analysis.program import Program
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import misspelt, unknown
from chainlang.errors import OperandError
from chainlang.ir.sampling_options import DRAWS
from chainlang.semantics.input_schema import declared_fields

if TYPE_CHECKING:
    from chainlang.settings import CallSettings

STAGE_OPTIONS = frozenset({*DRAWS, "temperature"})
"""Options of a stage that are often looked for in a call."""
_ROW = 'write qa("..."), qa({"text": "..."}) or qa(text="...")'


def call_arguments(
    program: Program, row: Any, keywords: Mapping[str, Any], *, beside: Iterable[str] = ()
) -> tuple[Any, CallSettings]:
    """Return the row and the settings of a call.

    Beside a row every keyword is a setting. Without one, a keyword that is neither a setting nor
    close to one is a field; `beside` are other parameters of the method that were given. Raises
    `SettingError` for keywords that could be meant as either, `OperandError` where there is no row.
    """
    of_call = _call_settings()
    names = of_call.names()
    fields = {name: value for name, value in keywords.items() if name not in names}
    if row is not None:
        if fields:
            _refuse_fields(fields)
        return row, of_call.of(keywords)
    unclear = [
        *_unclear((*keywords, *beside), sorted({*names, *beside}), declared_fields(program.items))
    ]
    if not fields and not unclear:
        raise OperandError([Diagnostic("operand", "this call has no row", hint=_ROW)])
    given = {name: value for name, value in keywords.items() if name in names}
    return fields, of_call.of(given, unclear)


@cache  # an `import` in each call takes more
def _call_settings() -> type[CallSettings]:
    """Return the class of the settings; its import takes 100 ms that `import chainlang` saves."""
    from chainlang.settings import CallSettings

    return CallSettings


def refuse_rows(more: tuple[Any, ...]) -> NoReturn:
    """Raise `OperandError` for a call with more than one row; `more` are those after the first."""
    message = f"a call takes one row, found {len(more) + 1}"
    hint = "for several rows write qa.map([...]); in a function with @trace, J(a, b) reads results"
    raise OperandError([Diagnostic("operand", message, hint=hint)])


def _refuse_fields(names: Iterable[str]) -> None:
    """Raise `OperandError` for keywords beside a row that are not meant as settings."""
    from chainlang.settings import NAMES

    fields = [name for name in names if name not in NAMES and not misspelt(name, NAMES)]
    if fields:
        message = f"this call has a row, and fields of a row beside it: {', '.join(fields)}"
        options = [name for name in fields if name in STAGE_OPTIONS]
        hint = f"{options[0]} is an option of a stage: E({options[0]}=...)\n" if options else ""
        raise OperandError([Diagnostic("operand", message, hint=hint + _ROW)])


def _unclear(
    keywords: Iterable[str], settings: Collection[str], declared: frozenset[str]
) -> Iterator[Diagnostic]:
    """Yield a finding for each keyword that could be meant as a setting and as a field."""
    from chainlang.settings import NAMES, ways_of

    for name in keywords:
        others, hint = ways_of(name), None
        if name in settings:
            if name in declared:
                message = f"'{name}' is a setting of a call, and a field of the row"
                hint = f'write the row as a dict, and settings beside it: qa({{"{name}": ...}})'
                yield Diagnostic("setting", message, hint=hint, kind="setting", subject=name)
            continue
        if others:
            hint = f"it is a setting of {others}"
        elif name not in declared and name in STAGE_OPTIONS:
            hint = f"it is an option of a stage: E({name}=...)"
        elif name not in declared and (near := misspelt(name, sorted(NAMES))):
            hint = f"did you mean the setting '{near}'?"
        if hint:
            hint += f'\nfor a field of the row with this name, write qa({{"{name}": ...}})'
            yield unknown("setting", name, settings, code="setting", of=" of a call", hint=hint)
