"""What a chain means, slow and obvious: one row, one stage, one sample after another.

This is the meaning. Every other way to run a chain is tested against it. It needs no engine: it is
given a function that completes one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from attrs import define

from chainlang.ir.items import Definition, Item
from chainlang.ir.nodes import Branch, Expr, Join, Named, Repeat, Stage, Then
from chainlang.ir.normal import inlined, normal, part_name
from chainlang.ops.bound import NOTHING, Bound
from chainlang.ops.records import Branched, Candidate, Flow, Record, gathered
from chainlang.ops.stages import (
    Meaning,
    StageError,
    Vote,
    candidate_of,
    meaning,
    messages,
    readings,
    schema,
    voted,
)
from chainlang.places import Place, seed
from chainlang.tiny import NAME as TINY
from chainlang.wire import Completion, Failure, Request

Complete: TypeAlias = Callable[[Request], Completion | Failure]


def interpret(
    body: Expr,
    record: Record,
    complete: Complete,
    *,
    declared: Iterable[Item] = (),
    bound: Bound = NOTHING,
    run_seed: int = 0,
    model: str = TINY,
) -> Flow:
    """Return what a chain makes of a record; `model` is that of the stages which name none.

    Raises `StageError` where a stage fails: then the row has failed, and no other has.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> complete = FakeEngine(answers=lambda request, index: "42").complete
    >>> record = Record({"query": "17 + 25?"}, "1", "17 + 25?")
    >>> interpret(chain("3:E >> M").body, record, complete).candidates[0].fields["votes"]
    {'"42"': 3}
    """
    items = tuple(declared)
    bodies = {item.name: item.body for item in items if isinstance(item, Definition)}
    whole = normal(inlined(body, bodies))
    return _Interpreter(complete, items, bound, run_seed, model).visit(whole, record, ())


@define
class _Interpreter:
    complete: Complete
    declared: tuple[Item, ...]
    bound: Bound
    run_seed: int
    model: str

    def visit(self, node: Expr, record: Record, place: Place) -> Flow:
        match node:
            case Stage():
                return self.stage(
                    meaning(node, self.declared, self.bound, model=self.model), record, place
                )
            case Then(parts):
                flow: Flow = record
                for index, part in enumerate(parts):
                    assert isinstance(flow, Record)  # in a normal form nothing follows a branch
                    flow = self.visit(part, flow, step(place, part, str(index)))
                return flow
            case Join(parts):
                flows = [
                    self.visit(part, record, step(place, part, f"&{index}"))
                    for index, part in enumerate(_operands(parts))
                ]
                return gathered(flows, record)
            case Repeat():
                return self.visit(Join((node,)), record, place)
            case Branch(parts):
                return Branched(
                    tuple(
                        (
                            part_name(part) or str(index),
                            self.visit(part, record, step(place, part, f"|{index}")),
                        )
                        for index, part in enumerate(parts)
                    )
                )
            case Named(name, body):
                # A label may name a branch only where a join gathers it; so it is gathered here.
                found = gathered([self.visit(body, record, place)], record)
                return found.named(name, found.candidates)
        raise TypeError(f"{type(node).__name__} cannot be run")

    def stage(self, stage: Meaning | Vote, record: Record, place: Place) -> Record:
        if isinstance(stage, Vote):
            return record.after("M", place, voted(stage, record))
        found: list[Candidate] = []
        failures: list[StageError] = []
        for number, read in enumerate(readings(stage, record)):
            at = place if read is None else (*place, f"c{number}")
            first = seed(self.run_seed, record.id, at)
            for sample in range(stage.count):
                try:
                    found.append(self.sample(stage, record, read, at, first + sample))
                except StageError as error:
                    failures.append(error)
        if failures and len(found) < (stage.need or len(found) + 1):
            raise failures[0]
        return record.after(stage.name, place, tuple(found))

    def sample(
        self, stage: Meaning, record: Record, read: Candidate | None, place: Place, number: int
    ) -> Candidate:
        request = Request(
            id="",
            model=stage.model,
            messages=messages(stage, record, read),
            sampling=stage.sampling,
            seed=number,
            schema=schema(stage, record),
            lenient=True,
        )
        reply = self.complete(request)
        if isinstance(reply, Failure):
            raise StageError.of(reply)
        return candidate_of(stage, record, read, reply.samples[0], place)


def step(place: Place, part: Expr, position: str) -> Place:
    """Return the place of a part: its label, which edits elsewhere don't move, or its position."""
    return (*place, part.name if isinstance(part, Named) else position)


def _operands(parts: tuple[Expr, ...]) -> list[Expr]:
    """Return the operands of a join with ``3 * a`` written out as ``a & a & a``."""
    found: list[Expr] = []
    for part in parts:
        if isinstance(part, Repeat):
            found += [part.body] * part.count
        else:
            found.append(part)
    return found
