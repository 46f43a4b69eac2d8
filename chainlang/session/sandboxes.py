"""Sandboxes of a plan, which its requests name in place of a model."""

from __future__ import annotations

from chainlang.errors import EngineError
from chainlang.plan.steps import Plan
from chainlang.protocol.programs import sandbox_of
from chainlang.sandboxes.available import sandbox


def sandboxes_of(plan: Plan) -> dict[str, str]:
    """Return the versions of each sandbox of a plan, or why it can't run here."""
    found: dict[str, str] = {}
    for model in plan.models:
        if (name := sandbox_of(model)) is not None:
            try:
                found[model] = sandbox(name).version
            except EngineError as error:
                found[model] = error.diagnostics[0].message
    return found
