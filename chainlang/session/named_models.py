"""The models that a program names, as its declarations: whatever gives each name its meaning."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from chainlang.analysis.program import Program
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import misspelt
from chainlang.errors import error_of, warn
from chainlang.ir.declarations import Model
from chainlang.ir.references import uses
from chainlang.models.lookup import lookup
from chainlang.session.decide import decided_once
from chainlang.session.policies import Choice, Use, choices_of, choosing, chosen_by
from chainlang.settings import RowSettings
from chainlang.settings.engine import only


def with_models(program: Program, settings: RowSettings) -> Program:
    """Return a program that declares every model it names, but for paths and names on the hub.

    Its AUTO are decided.

    The same program for the same meanings, so that it is compiled once. Models whose engine is
    given by the call stay as they are. Raises `SettingError` as `lookup` does.
    """
    program = decided_once(program, settings, with_models)
    choices = choices_of(program, settings)
    if not choices:
        return _declared(program, settings)
    names = chosen_by(choices)
    online = [one for one in choices if one.chosen is None]
    if not online:
        return _declared(choosing(program, names), settings)
    if len(online) > 1:
        message = f"several policies choose for each row: {', '.join(one.name for one in online)}"
        raise error_of("setting", message, 'let all but one be weighted, or learnt="folder"')
    (one,) = online
    variants = {
        arm: _declared(choosing(program, {**names, **_of(one, arm)}), settings) for arm in one.arms
    }
    return evolve(variants[one.arms[0]], variants=variants, policy=one.name)


def _of(choice: Choice, arm: str) -> dict[Use, str]:
    """Return a model for all uses of a policy."""
    return {(choice.name, kind): arm for kind in choice.types}


def _declared(program: Program, settings: RowSettings) -> Program:
    if only(settings.engine) is not None:
        return program
    given = settings.engine
    declared = {one.name: one for one in program.items if isinstance(one, Model)}
    found: dict[str, Model] = {}
    names = [*program.models, settings.model]
    for name in names:  # with the fallbacks of those that are found
        if name in (given or ()) or name in found:
            continue
        meant = lookup(name, settings, given=settings.models or {}, declared=declared)
        if meant is not None and meant.model is not declared.get(name):
            found[name] = meant.model
            names += (other for kind, other in uses(meant.model) if kind == "model")
    _check_given(settings.models or {}, names)
    if not found:
        return program
    return program.memo.get(tuple(found.values()), lambda: _declaring(program, found))


def _check_given(given: Mapping[str, object], names: list[str]) -> None:
    """Warn of a model that the call gives and no stage names, but for a slip of the keyboard."""
    for name in given:
        near = None if name in names else misspelt(name, [one for one in names if one not in given])
        if near is not None:
            message = f"no stage asks a model {name!r}, which models= gives"
            hint, code = f"did you mean {near!r}?", "misspelt-model"
            warn(Diagnostic(code, message, hint=hint, kind="model", subject=name, known=(near,)))


def _declaring(program: Program, found: Mapping[str, Model]) -> Program:
    kept = (one for one in program.items if not (isinstance(one, Model) and one.name in found))
    return evolve(program, items=(*kept, *found.values()))
