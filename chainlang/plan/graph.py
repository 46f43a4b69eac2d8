"""Dataflow of steps: what each step of a graph waits for, and which candidates it reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from chainlang.plan.candidate_fields import Fields, either, fields_after
from chainlang.plan.liveness import CANDIDATES, names_made, reads
from chainlang.plan.steps import Fork, Fused, Gather, Graph, Name, Repeat, Sequence, Step
from chainlang.plan.visit import effects, is_synchronous

START = -1
"""Stands for the candidates that a graph begins with, beside numbers of nodes."""
Lot: TypeAlias = tuple[int, ...]
"""Nodes whose candidates are joined, in order."""
_KEEP = Fused(())
"""Returns the record that it gets."""


@frozen
class Node:
    """A step of a graph. Other nodes are given by their numbers, which follow the written order."""

    step: Step
    lot: Lot
    """The candidates before it."""
    fed: bool
    """Whether it reads them."""
    parts: tuple[int, ...]
    """Nodes that make named parts which it reads."""
    waits: tuple[int, ...]
    """Nodes that it waits for, without those that one of them waits for."""
    early: bool = False
    """Whether it starts before a step has ended that stands before it and takes time."""
    held: bool = False
    """Whether it calls a function, and so waits for such a step of which it reads nothing."""
    runs: tuple[str, ...] = ()
    """Replacements of the stars in its place by the repeats around it."""
    branch: tuple[str, ...] = ()
    """Names of the arms around it that stay apart."""
    end: int = field(default=0)
    """The first node after it that goes on if it fails."""


@frozen
class Apart:
    """End of a graph whose branch stays apart: candidates before it, and the end of each arm."""

    lot: Lot
    first: int
    """Number of its first node."""
    arms: tuple[tuple[str, int, int, End], ...]
    """Name of each arm, the numbers of its first node and of the first after it, and its end."""


End: TypeAlias = Lot | Apart


@frozen
class Wiring:
    """The nodes of a graph in written order, and its result."""

    nodes: tuple[Node, ...]
    end: End


@lru_cache(maxsize=256)
def wired(graph: Graph) -> Wiring:
    """Return the nodes of a graph, with one for each run of a repeat; cached."""
    return wiring(graph.step)


def wiring(step: Step, *, once: bool = False) -> Wiring:
    """Return what each step inside a sequence waits for.

    A step waits for the candidates before it if it reads them, and for the named parts that it
    reads. One that calls a function waits for all that stands before it, since functions may have
    side effects. A combinator is a single step. With `once`, only the first run of a repeat is a
    node.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> found = wiring(lower(chain("(a = E) >> E(fresh=true) >> J").body).root)
    >>> [one.waits for one in found.nodes]
    [(), (), (1,)]
    """
    made = _Builder(once)
    end = made.end(step, (START,), 0, ())
    nodes = (one if one.end else evolve(one, end=len(made.nodes)) for one in made.nodes)
    return Wiring(tuple(nodes), end)


def unit(step: Step) -> Step | None:
    """Return the step that a node is for, without its names; None if it is not a single one."""
    while isinstance(step, Name):
        step = step.step
    return None if isinstance(step, Sequence | Fused | Gather | Repeat | Fork | Graph) else step


@frozen
class _Facts:
    """Reads and effects of a step by itself."""

    reads: frozenset[str]
    fields: Fields
    """Those of its candidates."""
    makes: frozenset[str]
    calls: bool
    """Whether it calls a function, or a tool, which may have side effects."""
    instant: bool
    """Whether it takes no time."""


@define
class _Builder:
    once: bool
    nodes: list[Node] = field(factory=list)
    makers: dict[str, list[int]] = field(factory=dict)
    """Nodes that make each named part."""
    past: list[int] = field(factory=list)
    """For each node, the bit set of all nodes that end before it starts."""
    slow: int = 0
    """Bit set of the nodes that take time: all but votes and plain functions."""
    fields: list[Fields] = field(factory=list)
    """Fields of the candidates of each node."""
    facts: dict[int, _Facts] = field(factory=dict)
    """By the id of a step: it is a node for each run of a repeat."""

    def end(self, step: Step, lot: Lot, before: int, branch: tuple[str, ...]) -> End:
        """Add a step at the end of a graph, whose branch stays apart."""
        match step:
            case Sequence((*steps, (Sequence() | Fork()) as last)):
                for one in steps:
                    lot, before = self.add(one, lot, before, (), branch)
                return self.end(last, lot, before, branch)
            case Fork(arms):
                start = len(self.nodes)
                ends = tuple(self.arm(name, one, lot, before, branch) for name, one in arms)
                return Apart(lot, start, ends)
        return self.add(step, lot, before, (), branch)[0]

    def arm(
        self, name: str, step: Step, lot: Lot, before: int, branch: tuple[str, ...]
    ) -> tuple[str, int, int, End]:
        first = len(self.nodes)
        end = self.end(step, lot, before, (*branch, name))
        last = len(self.nodes)
        for number, node in enumerate(self.nodes[first:], first):
            if not node.end:  # it is in no arm inside this one
                self.nodes[number] = evolve(node, end=last)
        return name, first, last, end

    def add(
        self, step: Step, lot: Lot, before: int, runs: tuple[str, ...], branch: tuple[str, ...]
    ) -> tuple[Lot, int]:
        """Add the nodes of a step that stands after a lot and after nodes.

        Return its candidates, and the nodes that stand before what comes after it.
        """
        match step:
            case Graph(one):
                return self.add(one, lot, before, runs, branch)
            case Sequence(steps) | Fused(steps):
                for one in steps:
                    lot, before = self.add(one, lot, before, runs, branch)
                return lot, before
            case Gather(steps):
                return self.beside([(one, runs) for one in steps], lot, before, branch)
            case Fork(arms):
                return self.beside([(one, runs) for _, one in arms], lot, before, branch)
            case Repeat(count, one, first):
                numbers = range(first, first + (1 if self.once else count))
                several = [(one, (*runs, f"&{number}")) for number in numbers]
                return self.beside(several, lot, before, branch)
            case Name(name, one, own) if unit(step) is None:
                lot, before = self.add(one, lot, before, runs, branch)
                named = self.node(Name(name, _KEEP, own), lot, before, runs, branch)
                return lot, before | 1 << named
        number = self.node(step, lot, before, runs, branch)
        return (number,), before | 1 << number

    def beside(
        self,
        steps: Iterable[tuple[Step, tuple[str, ...]]],
        lot: Lot,
        before: int,
        branch: tuple[str, ...],
    ) -> tuple[Lot, int]:
        """Add steps that stand beside each other; each has runs of its own."""
        lots, after = list[int](), before
        for one, runs in steps:
            found, passed = self.add(one, lot, before, runs, branch)
            lots += found
            after |= passed
        return tuple(lots), after

    def node(
        self, step: Step, lot: Lot, before: int, runs: tuple[str, ...], branch: tuple[str, ...]
    ) -> int:
        """Add a node; return its number."""
        fields = either([None if one == START else self.fields[one] for one in lot])
        facts = self.facts.get(id(step)) or self.facts.setdefault(id(step), _facts(step, fields))
        made = (one for name in facts.reads for one in self.makers.get(name, ()))
        parts = tuple(sorted({one for one in made if before >> one & 1}))
        fed = CANDIDATES in facts.reads
        read = {*parts, *(lot if fed else ())} - {START}
        waits, past = self.least(sum(1 << one for one in read))
        unread = bool(before & ~past & self.slow)
        early, held = unread and not (facts.calls or facts.instant), unread and facts.calls
        if facts.calls:
            waits, past = self.least(before)
        number = len(self.nodes)
        self.nodes.append(Node(step, lot, fed, parts, waits, early, held, runs, branch))
        self.past.append(past)
        self.fields.append(facts.fields)
        self.slow |= 0 if facts.instant else 1 << number
        for name in facts.makes:
            self.makers.setdefault(name, []).append(number)
        return number

    def least(self, some: int) -> tuple[tuple[int, ...], int]:
        """Return the nodes of a bit set that no other of them waits for, and all that have ended.

        The latter is a bit set.
        """
        found, past = list[int](), 0
        while some:
            last = some.bit_length() - 1
            found.append(last)
            past |= self.past[last] | 1 << last
            some &= ~past
        return tuple(reversed(found)), past


def _facts(step: Step, fields: Fields) -> _Facts:
    """Return the facts of a step after candidates with some fields."""
    return _Facts(
        reads(step, fields),
        fields_after(step, fields),
        names_made(step),
        any(effects(step)),
        is_synchronous(step),
    )
