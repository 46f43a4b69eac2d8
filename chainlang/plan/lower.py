"""Chain -> plan: names become meanings, positions become places."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from chainlang.diagnostics import Diagnostic
from chainlang.errors import MeaningError
from chainlang.ir import nodes
from chainlang.ir.items import Definition, Item
from chainlang.ir.nodes import Expr
from chainlang.ir.normal import inlined, normal, part_name
from chainlang.ops.bound import NOTHING, Bound
from chainlang.ops.stages import Vote, meaning
from chainlang.places import Place
from chainlang.plan.steps import Count, Fork, Gather, Generate, Name, Plan, Repeat, Sequence, Step
from chainlang.tiny import NAME as TINY


def lower(
    body: Expr, declared: Iterable[Item] = (), bound: Bound = NOTHING, *, model: str = TINY
) -> Plan:
    """Return the plan of a chain that has been checked.

    `model` is that of the stages which name none; no place depends on it.
    Raises `MeaningError` for a part that cannot be run.

    >>> from chainlang import chain
    >>> lower(chain("3:E:tiny >> J:big").body).models
    ('tiny', 'big')
    """
    items = tuple(declared)
    bodies = {item.name: item.body for item in items if isinstance(item, Definition)}
    lowering = _Lowering(items, bound, model)
    root = lowering.visit(normal(inlined(body, bodies)), (), 0)
    return Plan(root, tuple(lowering.models))


@define
class _Lowering:
    declared: tuple[Item, ...]
    bound: Bound
    model: str
    models: dict[str, None] = field(factory=dict)

    def visit(self, node: Expr, place: Place, depth: int) -> Step:
        match node:
            case nodes.Stage():
                found = meaning(node, self.declared, self.bound, model=self.model)
                if isinstance(found, Vote):
                    return Count(found, place)
                self.models[found.model] = None
                return Generate(found, place, depth)
            case nodes.Then(parts):
                return Sequence(
                    tuple(
                        self.visit(part, _at(place, part, str(index)), depth + index)
                        for index, part in enumerate(parts)
                    )
                )
            case nodes.Join(parts):
                return Gather(tuple(self.operands(parts, place, depth)))
            case nodes.Repeat():
                return Gather(tuple(self.operands((node,), place, depth)))
            case nodes.Branch(parts):
                return Fork(
                    tuple(
                        (
                            part_name(part) or str(index),
                            self.visit(part, _at(place, part, f"|{index}"), depth),
                        )
                        for index, part in enumerate(parts)
                    )
                )
            case nodes.Named(name, body):
                return Name(name, self.visit(body, place, depth))
        what = f"@{node.name}" if isinstance(node, nodes.Function) else "this part"
        if isinstance(node, nodes.Ref):
            raise MeaningError(
                [Diagnostic("unknown-name", f"there is no definition '{node.name}'", node.span)]
            )
        if isinstance(node, nodes.Combine):
            what = f"{node.name}()"
        message = f"{what} can be read and checked, but this version cannot run it"
        raise MeaningError([Diagnostic("combinator", message, node.span)])

    def operands(self, parts: tuple[Expr, ...], place: Place, depth: int) -> Iterable[Step]:
        """Yield the operands of a join. A repeated one takes as many positions as it has runs."""
        position = 0
        for part in parts:
            if isinstance(part, nodes.Repeat):
                # The place of run i is made when it runs: a plan does not grow with a count.
                yield Repeat(part.count, self.visit(part.body, (*place, "&*"), depth), position)
                position += part.count
            else:
                yield self.visit(part, _at(place, part, f"&{position}"), depth)
                position += 1


def _at(place: Place, part: Expr, position: str) -> Place:
    return (*place, part.name if isinstance(part, nodes.Named) else position)
