"""Execution of a graph of steps for one row: each starts once what it reads is there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import reduce
from typing import Any

from attrs import define, evolve, field

from chainlang.plan.graph import START, Apart, End, Lot, Node, Wiring, wired
from chainlang.plan.steps import Graph, Step
from chainlang.runtime.effects import All, Effect, RowContext, RowFailed, Work
from chainlang.semantics.combinators import is_caught
from chainlang.semantics.record import Branched, Candidate, Flow, Record, added, below, gathered

Start = Callable[[Step, Record, RowContext], Work]
"""Returns the work of a step."""


def graph(step: Graph, record: Record, context: RowContext, start: Start) -> Work:
    """Return the work of a graph. It raises the first failure in written order.

    If a branch at its end stays apart, a failure in an arm is the result of that arm.
    """
    run = _Run(wired(step), record, context, start)
    nodes = run.wiring.nodes
    works = tuple(run.node(number, node) for number, node in enumerate(nodes))
    waits, ends = tuple(one.waits for one in nodes), tuple(one.end for one in nodes)
    run.results = yield All(works, waits=waits, ends=ends)
    for number, (node, one) in enumerate(zip(nodes, run.results, strict=True)):
        if isinstance(one, RowFailed) and not (node.branch and is_caught(one)):
            raise one.beside(run.flows(0, number), record)
    return run.result(run.wiring.end, 0, len(nodes), record, ())


@define(eq=False)
class _Run:
    """A graph in progress."""

    wiring: Wiring
    record: Record
    """Record that it began with."""
    context: RowContext
    start: Start
    results: Sequence[Any] = ()
    """The record of each node, or its failure; None if it was aborted."""
    records: dict[int, Record] = field(factory=dict)
    """The record of each node that has ended."""

    def node(self, number: int, node: Node) -> Generator[Effect, Any, Record]:
        """Return the work of a node, which begins once those that it waits for have ended."""
        history = self.record.history
        for one in node.parts:
            history = {**history, **added(self.records[one].history, self.record.history)}
        start = self.record.reading(self.candidates(node.lot) if node.fed else (), history)
        found = yield from self.start(node.step, start, self.context_of(node))
        assert isinstance(found, Record)  # a branch is no node
        self.records[number] = found
        return found

    def context_of(self, node: Node) -> RowContext:
        """Return the context of a node inside repeats and arms."""
        context = self.context
        if node.runs or node.branch:
            runs, branch = (*context.runs, *node.runs), self.path(node.branch)
            context = evolve(context, runs=runs, branch=branch)
        return context

    def path(self, branch: tuple[str, ...]) -> str:
        """Return the path of an arm."""
        return reduce(below, branch, self.context.branch)

    def candidates(self, lot: Lot) -> tuple[Candidate, ...]:
        """Return the candidates of nodes that have ended, joined."""
        if len(lot) == 1:
            return (self.record if lot[0] == START else self.records[lot[0]]).candidates
        return tuple(candidate for one in lot for candidate in self.candidates((one,)))

    def flows(self, first: int, last: int) -> list[Flow]:
        """Return the records and the failures of some nodes, in written order."""
        some = (one for one in self.results[first:last] if one is not None)
        return [one.failure if isinstance(one, RowFailed) else one for one in some]

    def result(
        self, end: End, first: int, last: int, before: Record, branch: tuple[str, ...]
    ) -> Flow:
        """Return the result of the nodes from `first` to `last` of an arm, after a record."""
        if not isinstance(end, Apart):
            found = gathered(self.flows(first, last), before, self.record)
            return found.holding(self.candidates(end))
        begin = gathered(self.flows(first, end.first), before, self.record)
        begin = begin.holding(self.candidates(end.lot))
        arms = (
            (name, self.arm(one, first, last, begin, (*branch, name)))
            for name, first, last, one in end.arms
        )
        return Branched(tuple(arms), begin)

    def arm(self, end: End, first: int, last: int, before: Record, branch: tuple[str, ...]) -> Flow:
        """Return the result of an arm: its first failure, but for those of arms inside it."""
        for number in range(first, last):
            one = self.results[number]
            if isinstance(one, RowFailed) and self.wiring.nodes[number].branch == branch:
                failed = one.beside(self.flows(first, number), before, self.record)
                return evolve(failed.failure, branch=self.path(branch))
        return self.result(end, first, last, before, branch)
