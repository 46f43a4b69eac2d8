"""SVG pictures of families: one picture of all chains, with the values of a choice in braces."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from attrs import define

from chainlang.display.blocks import PAD, Block, box, sequence, side_by_side
from chainlang.display.svg import WIDTH, Picture, page
from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import Branch, Expr, Join, Named, Stage, Then
from chainlang.ir.render import options_of

T = TypeVar("T", bound=Hashable)
_WHY = "one of these, in each chain of the family"


def family_svg(bodies: Iterable[Expr], items: Iterable[Item] = ()) -> str:
    """Return the picture of the chains of a family, with the definitions of `items` expanded.

    Parts that all chains have are drawn once, a stage with other values has them in braces, and
    other parts stand side by side in a frame.

    >>> from chainlang import chain
    >>> drawn = family_svg(chain(one).body for one in ("E >> M", "3:E >> M"))
    >>> "E ×{1, 3}" in drawn, drawn.count("<rect")
    (True, 3)
    """
    return page(_FamilyPicture(bodies_of(items)).together(distinct(bodies), WIDTH, ()))


@define
class _FamilyPicture(Picture):
    """The blocks of a picture of several chains."""

    def together(self, nodes: Sequence[Expr], room: float, around: tuple[str, ...]) -> Block:
        """Return the block of parts that stand at one place in different chains."""
        first, inside = nodes[0], (*around, "")
        if len(nodes) == 1:
            return self.draw(first, room, around)
        stages = [one for one in nodes if isinstance(one, Stage)]
        if len(stages) == len(nodes) and are_alike(nodes):
            return self.leaf(lines_of(stages), first)
        if any(isinstance(one, Then) for one in nodes):
            columns = aligned([steps_of(one) for one in nodes])
            if len(columns) > 1:
                return sequence([self.column(one, room, around) for one in columns], room)
        elif are_alike(nodes):
            match first:
                case Named(name):
                    bodies = distinct(one.body for one in nodes if isinstance(one, Named))
                    body = self.together(bodies, room - 4 * PAD, inside)
                    return self.framed(f"{name} =", body, first, "label")
                case Join() | Branch():
                    parts = (one.parts for one in nodes if isinstance(one, Join | Branch))
                    sides = zip(*parts, strict=True)
                    blocks = [self.together(distinct(one), room - 100, inside) for one in sides]
                    sign = "&" if isinstance(first, Join) else "|"
                    return side_by_side(blocks, sign, "")
        return self.column([steps_of(one) for one in nodes], room, around)

    def column(
        self, column: Sequence[tuple[Expr, ...]], room: float, around: tuple[str, ...]
    ) -> Block:
        """Return the block of what stands at one place of a sequence: nothing, or some steps."""
        if all(len(one) == 1 for one in column) and are_alike([one for (one,) in column]):
            return self.together(distinct(one for (one,) in column), room, around)
        inside = (*around, "")
        blocks = [
            self.draw(one[0] if len(one) == 1 else Then(one), room - 120, inside)
            if one
            else box(["nothing"], "", "label")
            for one in distinct(column)
        ]
        tags = [f"{number}." for number in range(1, len(blocks) + 1)]
        alternatives = side_by_side(blocks, "", _WHY, tags, "one")
        return self.framed("one of", alternatives, column[0][0] if column[0] else Then(()))


def distinct(values: Iterable[T]) -> list[T]:
    """Return the values without repetitions, in their order."""
    return [*dict.fromkeys(values)]


def steps_of(node: Expr) -> tuple[Expr, ...]:
    """Return the parts of a sequence; a single part is a sequence of one."""
    return node.parts if isinstance(node, Then) else (node,)


def are_alike(nodes: Sequence[Expr]) -> bool:
    """Return whether parts can be drawn as one: equal, or of one kind, name and width."""

    def kind(node: Expr) -> object:
        match node:
            case Stage(name):
                return Stage, name
            case Named(name):
                return Named, name
            case Join(parts) | Branch(parts):
                return type(node), len(parts)
        return node

    return len({kind(one) for one in nodes}) == 1


def aligned(sequences: Sequence[tuple[Expr, ...]]) -> list[list[tuple[Expr, ...]]]:
    """Return the columns of several sequences: each has the steps of all of them at one place.

    Steps that are alike at both ends stand in columns of their own, and so does each step if all
    sequences are equally long; what is left in the middle is one column.

    >>> from chainlang import chain
    >>> sequences = [steps_of(chain(one).body) for one in ("E >> M", "E >> J >> M")]
    >>> [[len(one) for one in column] for column in aligned(sequences)]
    [[1, 1], [0, 1], [1, 1]]
    """
    if len({len(one) for one in sequences}) == 1:
        return [[(step,) for step in steps] for steps in zip(*sequences, strict=True)]
    shortest = min(map(len, sequences))
    before = 0
    while before < shortest and are_alike([one[before] for one in sequences]):
        before += 1
    after = 0
    while after < shortest - before and are_alike([one[-1 - after] for one in sequences]):
        after += 1
    middle = [one[before : len(one) - after] for one in sequences]
    columns = [[one[at : at + 1] for one in sequences] for at in range(before)]
    ends = [[one[len(one) - left :][:1] for one in sequences] for left in range(after, 0, -1)]
    return [*columns, middle, *ends]


def lines_of(stages: Sequence[Stage]) -> list[str]:
    """Return the lines of one box for stages of one type, with other values in braces."""
    counts = distinct(one.count for one in stages)
    head = stages[0].name if counts == [1] else f"{stages[0].name} ×{_set(map(str, counts))}"
    models = distinct(one.model or "" for one in stages)
    heats = distinct("" if one.temperature is None else f"{one.temperature:g}" for one in stages)
    model = [_set(models)] if models != [""] else []
    heat = [f"T={_set(heats)}"] if heats != [""] else []
    options = distinct(one.name for stage in stages for one in stage.options)
    below = [
        "  ".join([*model, *heat]),
        ", ".join(filter(None, (_option(one, stages) for one in options))),
    ]
    return [head, *filter(None, below)]


def _option(name: str, stages: Iterable[Stage]) -> str:
    """Return an option of some stages; empty for one that pictures don't show."""
    found = [
        options_of(tuple(one for one in stage.options if one.name == name)) for stage in stages
    ]
    values = distinct("".join(one).removeprefix(f"{name}=") for one in found)
    return "" if values == [""] else f"{name}={_set(values)}"


def _set(values: Iterable[str]) -> str:
    found = [one or "default" for one in values]
    return found[0] if len(found) == 1 else f"{{{', '.join(found)}}}"
