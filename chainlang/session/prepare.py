"""Preparation of a run from a program and settings, shared by calls, `map`, folders and streams."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from attrs import evolve

from chainlang.analysis.program import Program
from chainlang.engines.functions import FunctionEngine
from chainlang.engines.protocol import Engine
from chainlang.models.bandit import Bandit
from chainlang.models.lookup import policy_of
from chainlang.optimizer.compile import planned
from chainlang.plan.steps import Generate, Plan, Step
from chainlang.plan.visit import rebuilt, stages
from chainlang.protocol.messages import ToolSpec
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.switching import switching
from chainlang.semantics.tools import FUNCTIONS, Tool
from chainlang.session.check_facts import check_facts
from chainlang.session.memory_plan import swapper_of
from chainlang.session.prices import prices_of
from chainlang.session.rewards import OnlineChooser
from chainlang.session.sample_cache import open_port_of
from chainlang.settings import RowSettings, Way


def prepare(program: Program, settings: RowSettings, *, ordered: bool = True) -> Prepared:
    """Return a prepared run: compile the program, load its models, and open the sample cache.

    Raises `SettingError` for unknown passes and outputs, `EngineError` for an unavailable model,
    and `SourceError` for a damaged cache.
    """
    if program.variants:
        return _choosing(program, settings, ordered=ordered)
    plan = planned(program, settings).plan
    prices = prices_of(plan, program.items, settings)
    check_facts(plan, program.items, settings)
    swapper = swapper_of(plan, program.items, settings)
    plan = described(plan, swapper.engines)
    return Prepared(
        plan,
        with_functions(plan, swapper.engines),
        seed=settings.seed,
        date=(settings.run_date or date.today()).isoformat(),
        window=settings.window,
        ordered=ordered,
        limits=RunLimits.of(settings),
        open_port=open_port_of(settings),
        prices=prices,
        swapper=swapper,
    )


def described(plan: Plan, engines: Mapping[str, Engine]) -> Plan:
    """Return a plan whose tools of servers have the schemas that these declare.

    Raises `EngineError` for a server that can't be reached, or lacks a tool.
    """
    if all(one.is_described for stage in plan.stages for one in stage.tools):
        return plan

    def known(tool: Tool) -> Tool:
        if tool.is_described:
            return tool
        about, schema = definition_of(engines[tool.model], tool.what)
        return evolve(tool, spec=ToolSpec(tool.name, about, schema))

    def change(step: Step) -> Step:
        if not isinstance(step, Generate) or not step.stage.tools:
            return step
        return evolve(step, stage=evolve(step.stage, tools=tuple(map(known, step.stage.tools))))

    root = rebuilt(plan.root, change)
    return evolve(plan, root=root, stages=stages(root))


def definition_of(engine: Engine, tool: str) -> tuple[str, str]:
    """Return the description of a tool, and the schema of its arguments as JSON.

    An engine that is no server of tools, as one of tests, takes any arguments.
    """
    define = getattr(engine, "definition", None)
    if define is None:
        return "", '{"type": "object"}'
    found: tuple[str, str] = define(tool)
    return found


def with_functions(plan: Plan, engines: Mapping[str, Engine]) -> Mapping[str, Engine]:
    """Return the engines of a plan, with one for the Python functions that models may call."""
    used = (one.function for stage in plan.stages for one in stage.tools)
    functions = {one.name: one for one in used if one is not None}
    return {**engines, FUNCTIONS: FunctionEngine(functions)} if functions else engines


_BANDITS: dict[tuple[object, ...], Bandit] = {}
"""Bandits of the policies of single calls, as long as the process runs."""


def _choosing(program: Program, settings: RowSettings, *, ordered: bool) -> Prepared:
    """Return a prepared run whose rows have the plans that a policy chooses."""
    policy = policy_of(program.policy, settings)
    each = {arm: prepare(one, settings, ordered=ordered) for arm, one in program.variants.items()}
    engines = {name: one for prepared in each.values() for name, one in prepared.engines.items()}
    prices = {name: one for prepared in each.values() for name, one in prepared.prices.items()}
    arms, first = tuple(each), next(iter(each.values()))
    bandit = Bandit(policy, arms)
    if settings.way is Way.CALL:
        bandit = _BANDITS.setdefault((program.policy, policy, arms), bandit)
    plans = {arm: prepared.plan for arm, prepared in each.items()}
    every = evolve(first.plan, stages=tuple(one for plan in plans.values() for one in plan.stages))
    chooser = OnlineChooser(policy, plans, settings.seed, bandit, first.plan.outputs)
    swapper = Swapper.loaded(engines)
    return evolve(
        first,
        engines=engines,
        prices=prices,
        chooser=chooser,
        swapper=swapper,
        open_port=switching(open_port_of(settings), every, engines),
    )
