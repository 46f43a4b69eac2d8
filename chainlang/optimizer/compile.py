"""From a chain to the plan that runs: the normal form, the passes, the steps. It asks no engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import evolve, frozen

from chainlang.analysis.program import Program
from chainlang.ir.nodes import Expr, Named
from chainlang.ir.normalize import normal_form
from chainlang.ir.visit import walk
from chainlang.limits import current
from chainlang.optimizer import registry
from chainlang.optimizer.registry import Applied
from chainlang.plan.lower import lower
from chainlang.plan.steps import Plan
from chainlang.plan.visit import models
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.outputs import Outputs
from chainlang.settings import RowSettings
from chainlang.tiny import NAME as TINY


@frozen
class Compiled:
    """A plan, the one before any pass, and what each pass did on the way."""

    plan: Plan
    naive: Plan
    applied: tuple[Applied, ...]


def compiled(
    program: Program,
    *,
    model: str = TINY,
    passes: Sequence[str] | None = None,
    outputs: Collection[str] | None = None,
) -> Compiled:
    """Return the plan of a program that has been checked.

    `passes` are the names of the passes to apply, in their own order whatever the order here; None
    or ``default`` for all that change no result, and ``()`` for the plan as the chain is written.
    `outputs` is what of the results is looked at, None for everything: ``answer``, ``candidates``,
    ``trace``, ``history`` or the names of parts. `model` is that of the stages which name none.
    Raises `SettingError` for a name of neither.

    >>> from chainlang import chain
    >>> found = compiled(chain("3:E >> M").program())
    >>> [one.name for one in found.applied if one.fired]
    ['merge_samples', 'share_equal_work', 'order_by_prefix']
    """
    chosen = registry.chosen(passes)
    body = normal_form(program.body, program.items)
    own = own_names(program.body, program.items)  # a pass may leave one where there were two
    parts = dict.fromkeys(node.name for node in walk(body) if isinstance(node, Named))
    wanted = Outputs.of(outputs, (*parts, *sorted(own)))

    def lowered(body: Expr) -> Plan:
        return lower(body, program.items, program.bound, model=model, outputs=wanted, own=own)

    naive = lowered(body)
    folded, on_chain = registry.applied(body, registry.CHAIN_PASSES, chosen)
    plan = naive if folded is body else lowered(folded)
    plan, on_plan = registry.applied(plan, registry.PLAN_PASSES, chosen)
    return Compiled(evolve(plan, models=models(plan.root)), naive, (*on_chain, *on_plan))


def planned(program: Program, settings: RowSettings) -> Compiled:
    """Return the plan of a program, compiled once for equal settings.

    Nothing else bears on a plan but the limits in force.
    """
    model, passes, outputs = settings.model, settings.passes, settings.outputs
    key = (model, passes, outputs, current())
    return program.memo.get(
        key, lambda: compiled(program, model=model, passes=passes, outputs=outputs)
    )
