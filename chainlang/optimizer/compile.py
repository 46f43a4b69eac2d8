"""Compiler from a checked program to a plan: normal form, passes, lowering. It uses no engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import evolve, frozen

from chainlang.analysis.program import Program
from chainlang.ir.nodes import Expr
from chainlang.ir.normalize import normal_form
from chainlang.limits import current
from chainlang.optimizer import registry
from chainlang.optimizer.registry import Applied
from chainlang.plan.lower import lower
from chainlang.plan.steps import Plan
from chainlang.plan.visit import models, named, stages
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.outputs import Outputs
from chainlang.settings import RowSettings
from chainlang.tiny import NAME as TINY


@frozen
class Compiled:
    """An optimized plan, the plan before all passes, and what each pass did."""

    plan: Plan
    naive: Plan
    applied: tuple[Applied, ...]


def compiled(
    program: Program,
    *,
    model: str = TINY,
    passes: Sequence[str] | None = None,
    outputs: Collection[str] | None = None,
    row_budget: bool = False,
) -> Compiled:
    """Compile a checked program.

    `model`: model of the stages that name none.
    `passes`: names of the passes to apply, which run in the registry's order. ``default`` means all
    exact passes, as does None; ``()`` means none.
    `outputs`: what the caller reads of the results: ``answer``, ``candidates``, ``trace``,
    ``history`` or names of parts; None for everything.
    `row_budget`: whether the calls or tokens of a row are limited.

    Raises `SettingError` for an unknown pass or output.

    >>> from chainlang import chain
    >>> found = compiled(chain("3:E >> M").program())
    >>> [one.name for one in found.applied if one.fired]
    ['merge_samples', 'share_equal_work', 'order_by_prefix']
    """
    chosen = registry.chosen(passes)
    body = normal_form(program.body, program.items)
    own = own_names(program.body, program.items)  # before passes remove one of two equal names

    def lowered(body: Expr) -> Plan:
        plan = lower(body, program.items, program.bound, model=model, own=own)
        return evolve(plan, row_budget=row_budget)

    naive = lowered(body)
    parts = sorted(named(naive.root), key=lambda one: one.own)
    wanted = Outputs.of(outputs, dict.fromkeys(one.name for one in parts))
    naive = evolve(naive, outputs=wanted)
    folded, on_chain = registry.applied(body, registry.CHAIN_PASSES, chosen)
    plan = naive if folded is body else evolve(lowered(folded), outputs=wanted)
    plan, on_plan = registry.applied(plan, registry.PLAN_PASSES, chosen)
    plan = evolve(plan, models=models(plan.root), stages=stages(plan.root))
    return Compiled(plan, naive, (*on_chain, *on_plan))


def planned(program: Program, settings: RowSettings) -> Compiled:
    """Compile a program, once for equal settings and limits."""
    model, passes, outputs = settings.model, settings.passes, settings.outputs
    limits = (settings.row_calls, settings.row_tokens, settings.row_cost)
    row_budget = any(one is not None for one in limits)
    key = (model, passes, outputs, row_budget, current())
    return program.memo.get(
        key,
        lambda: compiled(
            program, model=model, passes=passes, outputs=outputs, row_budget=row_budget
        ),
    )
