"""Findings about the values and the names of settings, with the place that each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import unknown
from chainlang.settings.setting import PREFIX, Takes
from chainlang.settings.sources import SettingsFile, Variable


def misfit(
    takes: Takes,
    name: str,
    given: Mapping[str, Any],
    variables: Mapping[str, Variable],
    file: SettingsFile,
) -> Diagnostic:
    """Return the finding about an invalid value: of a call, of the environment, or of a file."""
    if name in given:
        value, where = given[name], name
    elif name in variables:
        value, where = variables[name].value, f"{variables[name].name} in the environment"
    else:
        value, where = file.table[name], f"{name} in {file.name}"
    message = f"invalid value for {where}"
    message += "" if takes.is_secret else f": {shown(value)}"
    why = takes.why(value)
    hint = f"expected {takes.words}" + (f"; {why}" if why else "")
    if name in given and isinstance(value, str) and takes.python in ("int", "float"):
        hint += ", found a text"
    return Diagnostic("setting", message, hint=hint, kind="setting", subject=name, setting=name)


def misfit_of_flag(takes: Takes, name: str, value: object) -> Diagnostic:
    """Return the finding about an invalid value of a flag, with what to write in a shell."""
    message = f"invalid value for --{name.replace('_', '-')}"
    message += "" if takes.is_secret else f": {shown(_wrong_of(value))}"
    why = takes.why(value)
    hint = f"expected {takes.in_shell or takes.words}" + (f"; {why}" if why else "")
    return Diagnostic("setting", message, hint=hint, kind="setting", subject=name, setting=name)


def _wrong_of(value: object) -> object:
    """Return the wrong value of a flag, or the first one of a flag that was given several times."""
    if not isinstance(value, list):
        return value
    return next((one for one in value if "=" not in one), value[0])


def too_wide(allowed: Iterable[str], file: SettingsFile) -> Iterator[Diagnostic]:
    """Yield a finding for each pattern of a file that allows variables that it does not name."""
    for name in allowed:
        if set(name) & set("*?["):
            message = f"allowed_env in {file.name} can't allow {shown(name)}"
            hint = f"name each variable; or allow patterns yourself: {PREFIX}ALLOWED_ENV='{name}'"
            yield Diagnostic(
                "setting", message, hint=hint, kind="setting", subject=name, setting="allowed_env"
            )


def unknown_in(file: SettingsFile, known: Iterable[str]) -> Iterator[Diagnostic]:
    """Yield a finding for each name in a file that is no setting."""
    names = sorted(known)
    for name in file.table:
        if name not in names:
            yield unknown("setting", name, names, code="setting", of=f" in {file.name}")
