"""Start each step once what it reads is there, instead of after all that stands before it."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import CAUGHT, Refused, Rewritten, side_effects
from chainlang.plan.graph import unit, wiring
from chainlang.plan.steps import Call, Decide, Generate, Graph, Plan, Step
from chainlang.plan.visit import caught, leaves, mapped, rebuilt


def start_early(plan: Plan) -> Rewritten[Plan]:
    """Start each step once what it reads is there, instead of after all that stands before it.

    A step waits for the named parts and the candidates that its templates, its kind and its
    conditions read. A combinator is a single step. Exact: what a step makes depends on nothing
    else, and a failure is that of the first failing step in written order, once all before it have
    ended. Functions may have side effects, so they wait for all that stands before them. Nothing
    starts early inside `fallback` and `retry`, which act on a failure, nor if the calls, tokens or
    cost of a row are limited: what starts early uses up what a failed step gives back.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> from chainlang.plan.render import render
    >>> plan = lower(chain("(a = 3:E) >> E(fresh=true) >> J").body)
    >>> print(render(start_early(plan).made))
    models: tiny
    graph
      sequence
        name a
          generate 3 × E  tiny  T=0.7  max_tokens=1024  at a
        generate 1 × E  tiny  T=0.7  max_tokens=1024  at 1  starts with a
        fold 1 × J  tiny  T=0  max_tokens=1024  schema  at 2
    """
    refused: list[Refused] = []
    inside = caught(plan.root)

    def change(step: Step) -> Step:
        """Return a combinator with each part inside it as a graph."""
        return step if unit(step) is None else mapped(step, graphed)

    def graphed(step: Step) -> Step:
        """Return a part as a graph, if a step inside it starts early."""
        if isinstance(step, Graph) or unit(step) is not None:
            return step
        why = "the row has a budget" if plan.row_budget else CAUGHT if id(step) in inside else ""
        nodes = wiring(step, once=True).nodes
        for node in nodes:
            reason = side_effects(node.step) if node.held else why if node.early else None
            if reason:
                refused.append(_refused(node.step, reason))
        return step if why or not any(one.early for one in nodes) else Graph(step)

    root = graphed(rebuilt(plan.root, change))
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _refused(step: Step, why: str) -> Refused:
    """Return the refusal of a step that would start early."""
    first = next(leaves(step))
    what = unit(step)
    match what:
        case Call(function, place, span=span):
            return Refused(f"@{function.name}", why, place, span)
        case Generate() | Decide():
            assert isinstance(first, Generate)
            return Refused(first.stage.name, why, first.place, first.stage.span)
    return Refused(type(what).__name__.lower(), why, getattr(what, "place", first.place))
