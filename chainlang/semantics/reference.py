"""Reference interpreter: a simple, sequential implementation of the semantics of chains.

The runtime and all passes are tested against it. It takes a function that completes one request, in
place of an engine. It has no clock: a `timeout` never expires, and a backoff does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from attrs import define, evolve

from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.normalize import inlined, normal, operands, part_name
from chainlang.ir.wiring import parts_read
from chainlang.limits import current
from chainlang.semantics import combinators
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.combinators import ONCE, further, mark
from chainlang.semantics.continuing import Complete
from chainlang.semantics.events import Event
from chainlang.semantics.given_fields import given, given_fields
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.record import Branched, Flow, Record, below, gathered
from chainlang.semantics.reference_stages import StageInterpreter
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import Meaning
from chainlang.semantics.wiring import fed
from chainlang.tiny import NAME as TINY


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
    """Run a chain on a record; `model` is the model of stages that name none.

    Raises `StageError` if a stage fails, and with it the row; an arm of a branch that stays apart
    fails alone, and its result is a `RowFailure`.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> complete = FakeEngine(answers=lambda request, index: "42").complete
    >>> record = Record({"query": "17 + 25?"}, "1", "17 + 25?")
    >>> interpret(chain("3:E >> M").body, record, complete).candidates[0].fields["votes"]
    {'"42"': 3}
    """
    items = tuple(declared)
    whole = normal(inlined(body, bodies_of(items)))
    own = own_names(body, items)
    return _Interpreter(complete, items, bound, run_seed, model, own).apart(whole, record, ())


@define
class _Interpreter(StageInterpreter):
    def apart(self, node: Expr, record: Record, place: Place, path: str = "") -> Flow:
        """Run a part whose branch, if it ends with one, stays apart: each arm fails alone."""
        match node:
            case Then((*parts, end)):
                for index, part in enumerate(parts):
                    record = self.single(part, record, step(place, part, str(index)))
                return self.apart(end, record, step(place, end, str(len(parts))), path)
            case Branch(parts):
                arms: list[tuple[str, Flow]] = []
                for index, part in enumerate(parts):
                    name = part_name(part) or str(index)
                    inside, at = below(path, name), step(place, part, f"|{index}")
                    try:
                        arms.append((name, self.apart(part, record, at, inside)))
                    except StageError as error:
                        arms.append((name, _failure(error, inside)))
                return Branched(tuple(arms), record)
        return self.visit(node, record, place)

    def visit(self, node: Expr, record: Record, place: Place) -> Flow:
        """Run a part; the arms of a branch are gathered by what is around it, or fail it.

        A failure has the events up to it.
        """
        try:
            return self.run(node, record, place)
        except StageError as error:
            error.happened(*record.events)
            raise

    def run(self, node: Expr, record: Record, place: Place) -> Flow:  # noqa: C901, PLR0912  # a match
        match node:
            case Stage():
                return self.part(node, record, place, ONCE)
            case Function():
                return self.function(node, record, place, ONCE)
            case Then(parts):
                flow: Flow = record
                for index, part in enumerate(parts):
                    assert isinstance(flow, Record)  # in a normal form, branches come last
                    flow = self.visit(part, flow, step(place, part, str(index)))
                return flow
            case Join(parts):
                numbered = enumerate(operands(parts))
                each = ((part, record, step(place, part, f"&{at}")) for at, part in numbered)
                return gathered(self.all(record, each), record)
            case Repeat():
                return self.visit(Join((node,)), record, place)
            case Branch(parts):
                arms = enumerate(parts)
                each = ((part, record, step(place, part, f"|{at}")) for at, part in arms)
                flows = self.all(record, each)
                names = (part_name(part) or str(index) for index, part in enumerate(parts))
                return Branched(tuple(zip(names, flows, strict=True)), record)
            case Named(name, body):
                # A branch with a label is always an operand of a join, so it can be joined here.
                found = gathered([self.visit(body, record, place)], record)
                return found.named(name, found.candidates)
            case Fallback():
                return self.fallback(node, record, place)
            case Cascade():
                return self.cascade(node, record, place)
            case Retry():
                return self.retry(node, record, place)
            case Timeout(body):
                return self.single(body, record, place)
            case Route():
                return self.route(node, record, place)
            case Loop():
                return self.loop(node, record, place)
            case Each():
                return self.each(node, record, place)
            case WithFields(body):
                start = given(record, given_fields(node, self.declared, self.bound))
                return evolve(self.single(body, start, place), local=record.local)
            case Ref(name) | Combine(name):
                raise TypeError(f"{name} stands for nothing, so it cannot be run")
        assert_never(node)

    def single(self, node: Expr, record: Record, place: Place) -> Record:
        """Run a part that has one result."""
        flow = self.visit(node, record, place)
        assert isinstance(flow, Record)
        return flow

    def all(self, record: Record, parts: Iterable[tuple[Expr, Record, Place]]) -> list[Flow]:
        """Run parts after a record. A failure has the events of the parts before it."""
        flows: list[Flow] = []
        for part, start, place in parts:
            try:
                flows.append(self.visit(part, start, place))
            except StageError as error:
                error.events = (*gathered(flows, record).events, *error.since(record.events))
                raise
        return flows

    # ------------------------------------------------------------ combinators

    def fallback(self, node: Fallback, record: Record, place: Place) -> Record:
        failed: list[str] = []
        on = combinators.causes(node.on)
        for part, added in zip(node.parts, combinators.alternatives(node), strict=True):
            at = (*place, added) if added else place
            if failed:
                record = record.noted(Event("fallback", at, failed[-1]))
            try:
                return self.single(part, record, at)
            except StageError as error:
                last = error
                failed.append(str(error))
                if not combinators.goes_on(error, on):
                    break
                record = record.noted(*error.since(record.events))
        raise last.saying(combinators.last_of(failed))

    def cascade(self, node: Cascade, record: Record, place: Place) -> Record:
        candidates = record.candidates
        for number, (part, added) in enumerate(
            zip(node.parts, combinators.alternatives(node), strict=True), 1
        ):
            start = evolve(record, candidates=candidates)
            record = self.single(part, start, (*place, added) if added else place)
            if number == len(node.parts):
                break
            try:
                if combinators.is_accepted(self.judged(node.accept, record, place, "accept=")):
                    break
            except StageError as error:
                error.happened(*record.events)
                raise
        return record

    def retry(self, node: Retry, record: Record, place: Place) -> Record:
        part, tries = node.body, combinators.retry_policy(node)
        match part:
            case Stage() if isinstance(self.meaning(part), Meaning):
                return self.part(part, record, place, tries)
            case Function():
                return self.function(part, record, place, tries)
        events: list[Event] = []

        def draw(start: Record, at: Place) -> Record:
            whole = start.noted(*events)
            try:
                return self.single(part, whole, at)
            except StageError as error:
                events.extend(error.since(whole.events))
                raise

        return evolve(self.tried(draw, record, tries, events, place=place), local=record.local)

    def route(self, node: Route, record: Record, place: Place) -> Record:
        arms = {arm.key: arm.body for arm in node.arms}
        value = self.judged(node.by, record, place, "by=")
        key = combinators.arm(value, arms, node.default is not None)
        part = node.default if key is None else arms[key]
        assert part is not None
        return self.single(part, record, place)

    def loop(self, node: Loop, record: Record, place: Place) -> Record:
        most = combinators.DEFAULT_TIMES if node.max is None else node.max
        local = record.local
        for number in range(most):
            start = combinators.in_round(record, number)
            record = self.single(node.body, start, further(place, mark(node), number))
            try:
                if combinators.is_over(self.judged(node.until, record, place, "until=")):
                    return evolve(record, local=local)
            except StageError as error:
                error.happened(*record.events)
                raise
        return evolve(record, local=local).noted(combinators.ran_out(place, most))

    def each(self, node: Each, record: Record, place: Place) -> Record:
        value = combinators.value_of(node.over, record, "over=")
        items = combinators.listed(value, current().samples_per_stage)
        name, sign = node.item or combinators.ITEM, mark(node)
        starts = (combinators.beginning(record, name, item, at) for at, item in enumerate(items))
        each = ((node.body, one, further(place, sign, at)) for at, one in enumerate(starts))
        return evolve(gathered(self.all(record, each), record), history=record.history)

    def judged(self, by: str | Function, record: Record, place: Place, what: str) -> Any:
        if isinstance(by, str):
            return combinators.value_of(by, record, what)
        function = self.bound.function(by.name)
        assert function is not None  # a checked chain has no other names
        read = combinators.judged_by(function, fed(record, parts_read(by)))
        found = self.call(function, read, place, ONCE)
        return found.candidates[0].answer if found.candidates else None


def _failure(error: StageError, branch: str) -> RowFailure:
    return RowFailure(
        str(error),
        text=error.reply,
        cause=error.cause,
        branch=branch,
        transient=error.transient,
        events=error.events or (),
    )


def step(place: Place, part: Expr, position: str) -> Place:
    """Return the place of a part: its label, which other edits don't change, or its position."""
    return (*place, part.name if isinstance(part, Named) else position)
