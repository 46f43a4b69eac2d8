"""Lowering of a chain to a plan: names are resolved, and positions become places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from attrs import evolve, frozen

from chainlang.errors import error_of
from chainlang.ir import nodes
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Expr
from chainlang.ir.normalize import part_name
from chainlang.ir.wiring import parts_read
from chainlang.limits import current
from chainlang.plan.liveness import names_read
from chainlang.plan.steps import (
    Call,
    Cascade,
    Count,
    Each,
    Fallback,
    Fork,
    Gather,
    Generate,
    Loop,
    Name,
    Plan,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import models, rebuilt, stages
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.combinators import (
    DEFAULT_TIMES,
    ITEM,
    ROUND,
    alternatives,
    causes,
    mark,
    retry_policy,
)
from chainlang.semantics.given_fields import given_fields
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.outputs import EVERYTHING, Outputs
from chainlang.semantics.seeds import Place
from chainlang.semantics.stages import Vote, meaning
from chainlang.tiny import NAME as TINY


def lower(
    body: Expr,
    declared: Iterable[Item] = (),
    bound: Bound = NOTHING,
    *,
    model: str = TINY,
    outputs: Outputs = EVERYTHING,
    own: frozenset[str] | None = None,
) -> Plan:
    """Return the unoptimized plan of a checked chain.

    `body`: its normal form, without references. `model`: the model of stages that name none; places
    do not depend on it. `outputs`: the parts of results that the caller reads. `own`: the ops that
    name their own part; default: computed from `body`. Raises `MeaningError` for a part that can't
    be run.

    >>> from chainlang import chain
    >>> lower(chain("3:E:tiny >> J:big").body).models
    ('tiny', 'big')
    """
    items = tuple(declared)
    lowering = _Lowering(items, bound, model, own_names(body, items) if own is None else own)
    root = lowering.visit(body, ())
    return Plan(root, models(root), outputs, stages=stages(root))


@frozen
class _Lowering:
    declared: tuple[Item, ...]
    bound: Bound
    model: str
    own: frozenset[str]
    """Ops that name their own part."""
    arms: tuple[str, ...] = ()
    """Keys of the arms of routes around a part."""

    def visit(self, node: Expr, place: Place) -> Step:  # noqa: C901, PLR0912  # a match
        match node:
            case nodes.Stage():
                found = meaning(node, self.declared, self.bound, model=self.model)
                if isinstance(found, Vote):
                    return Count(found, place, arms=self.arms)
                step = Generate(found, place, arms=self.arms)
                return Name(node.name, step, own=True) if node.name in self.own else step
            case nodes.Then(parts):
                return Sequence(
                    tuple(
                        self.visit(part, _at(place, part, str(index)))
                        for index, part in enumerate(parts)
                    )
                )
            case nodes.Join(parts):
                return Gather(tuple(self.operands(parts, place)))
            case nodes.Repeat():
                return Gather(tuple(self.operands((node,), place)))
            case nodes.Branch(parts):
                return Fork(
                    tuple(
                        (
                            part_name(part) or str(index),
                            self.visit(part, _at(place, part, f"|{index}")),
                        )
                        for index, part in enumerate(parts)
                    )
                )
            case nodes.Named(name, part):
                return Name(name, self.visit(part, place))
            case nodes.Function():
                return self.call(node, place)
            case nodes.Fallback(parts):
                places = tuple((*place, one) if one else place for one in alternatives(node))
                each = zip(parts, places, strict=True)
                steps = tuple(self.visit(part, at) for part, at in each)
                return Fallback(steps, places, causes(node.on))
            case nodes.Cascade(parts, accept=by):
                places = tuple((*place, one) if one else place for one in alternatives(node))
                each = zip(parts, places, strict=True)
                steps = tuple(self.visit(part, at) for part, at in each)
                return Cascade(steps, self.judge(by, place), place, node.span)
            case nodes.Retry():
                return self.retry(node, place)
            case nodes.Timeout(part, seconds):
                return Timeout(self.visit(part, place), seconds, place, node.span)
            case nodes.Route(arms, by, default):
                return Route(
                    self.judge(by, place),
                    tuple((arm.key, self.arm(arm.key, arm.body, place)) for arm in arms),
                    None if default is None else self.arm("*", default, place),
                    place,
                    node.span,
                )
            case nodes.Loop(_, most, until=by):
                until, body = self.judge(by, place), self.again(node, place)
                most = DEFAULT_TIMES if most is None else most
                loop = Loop(body, until, most, mark(node), place, False, node.span)
                return evolve(loop, counts=ROUND in names_read(loop))
            case nodes.Each(_, item, over=over):
                body = _without_unread(self.again(node, place), item or ITEM)
                most = current().samples_per_stage
                return Each(body, over, item or ITEM, most, mark(node), place, node.span)
            case nodes.WithFields(part):
                fields = given_fields(node, self.declared, self.bound)
                return WithFields(self.visit(part, place), fields, place, node.span)
            case nodes.Ref(name):
                what = f"unknown definition '${name}'"
                raise error_of("unknown-name", what, span=node.span)
            case nodes.Combine(name):
                what = f"invalid call of the combinator '{name}'"
                raise error_of("unknown-name", what, span=node.span)
        assert_never(node)

    def arm(self, key: str, body: Expr, place: Place) -> Step:
        """Return the step of an arm; that of the default has the key "*"."""
        return evolve(self, arms=(*self.arms, key)).visit(body, place)

    def retry(self, node: nodes.Retry, place: Place) -> Step:
        if isinstance(node.body, nodes.Stage | nodes.Function):
            match self.visit(node.body, place):
                case Generate() | Call() as step:
                    return evolve(step, tries=retry_policy(node))
                case Name(_, Generate() as stage) as named:
                    return evolve(named, step=evolve(stage, tries=retry_policy(node)))
        return Retry(self.again(node, place), retry_policy(node), place)

    def again(self, node: nodes.Retry | nodes.Loop | nodes.Each, place: Place) -> Step:
        """Return the step of a part that may run several times; its places have a star."""
        return self.visit(node.body, (*place, f"{mark(node)}*"))

    def judge(self, by: str | nodes.Function, place: Place) -> str | Call:
        return by if isinstance(by, str) else self.call(by, place)

    def call(self, node: nodes.Function, place: Place) -> Call:
        function = self.bound.function(node.name)
        if function is None:
            what = f"'@{node.name}' is not bound to a function"
            raise error_of("unknown-name", what, span=node.span)
        of = parts_read(node)
        return Call(function, place, of=of, span=node.span, arms=self.arms)

    def operands(self, parts: tuple[Expr, ...], place: Place) -> Iterable[Step]:
        """Yield the operands of a join; a repeated one takes a position for each run."""
        position = 0
        for part in parts:
            if isinstance(part, nodes.Repeat):
                # The place of run i is made at run time, so a plan does not grow with the count.
                yield Repeat(part.count, self.visit(part.body, (*place, "&*")), position)
                position += part.count
            else:
                yield self.visit(part, _at(place, part, f"&{position}"))
                position += 1


def _without_unread(body: Step, item: str) -> Step:
    """Return the body of an `each` without the implicit labels that nothing in it reads.

    The name of the item is that of the item.
    """
    read = names_read(body) - {item}

    def change(step: Step) -> Step:
        if isinstance(step, Name) and step.own and step.name not in read:
            return step.step
        return step

    return rebuilt(body, change)


def _at(place: Place, part: Expr, position: str) -> Place:
    return (*place, part.name if isinstance(part, nodes.Named) else position)
