"""Reference interpreter of stages and functions: one sample after another, with retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import define, evolve

from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Function, Stage
from chainlang.ir.wiring import parts_read
from chainlang.limits import current
from chainlang.protocol.failures import is_switched
from chainlang.protocol.messages import (
    Completion,
    Failure,
    Fallback,
    Message,
    Request,
    Sample,
    Usage,
)
from chainlang.semantics import combinators
from chainlang.semantics.bindings import Bound
from chainlang.semantics.combinators import DECIDED, Attempt, RetryPolicy, further
from chainlang.semantics.continuing import Complete, whole
from chainlang.semantics.events import Event
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.row_stages import deciders, for_record
from chainlang.semantics.sampled import FailedSample, ended, noted, too_few
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_prompts import messages, prefix
from chainlang.semantics.stage_replies import candidate_of, labels, schema
from chainlang.semantics.stages import Meaning, Vote, meaning, readings, voted
from chainlang.semantics.tool_functions import ToolFunction
from chainlang.semantics.tool_rounds import Beginning, calls_tools, rounds
from chainlang.semantics.tools import FUNCTIONS
from chainlang.semantics.wiring import fed

Made = TypeVar("Made")


def performed(functions: Mapping[str, ToolFunction | None], request: Request) -> Completion:
    """Return the completion of the call of a Python function."""
    name, arguments = (one.text for one in request.messages)
    function = functions[name]
    assert function is not None
    text = (
        asyncio.run(function.aanswer(arguments))
        if function.is_async
        else function.answer(arguments)
    )
    return Completion(request.id, (Sample(text, "stop", 0),), Usage())


@define
class StageInterpreter:
    """Interpreter of the parts of a chain that make candidates; `complete` answers a request."""

    complete: Complete
    declared: tuple[Item, ...]
    bound: Bound
    run_seed: int
    model: str
    own: frozenset[str]
    """Ops that name their own part."""

    def meaning(self, stage: Stage) -> Meaning | Vote:
        """Return a stage with all defaults filled in."""
        return meaning(stage, self.declared, self.bound, model=self.model)

    def part(self, stage: Stage, record: Record, place: Place, tries: RetryPolicy) -> Record:
        """Return the record after a stage, with its implicit label."""
        found = self.stage(self.meaning(stage), record, place, tries)
        own = stage.name in self.own
        return found.named(stage.name, found.candidates, own=True) if own else found

    def stage(
        self, stage: Meaning | Vote, record: Record, place: Place, tries: RetryPolicy
    ) -> Record:
        """Return the record after a stage; raise `StageError` for too many failed samples."""
        record = fed(record, stage.of)
        if isinstance(stage, Vote):
            return record.after("M", place, voted(stage, record))
        decided: dict[str, Any] = {}
        for name, decider in deciders(stage):
            made = self.stage(decider, record, (*place, f"{DECIDED}{name}"), tries)
            decided[name] = made.candidates[0].answer
        stage = for_record(stage, record, decided)
        found: list[Candidate] = []
        failures: list[FailedSample] = []
        events: list[Event] = []
        for number, read in enumerate(readings(stage, record)):
            end = () if read is None else (f"c{number}",)
            for sample in range(stage.count):
                draw = partial(self.sample, stage, read, sample, events)
                try:
                    found.append(
                        self.tried(draw, record, tries, events, place=place, end=end, sample=sample)
                    )
                except StageError as error:
                    failures.append(FailedSample(error, sample, (*place, *end)))
        record = record.noted(*events)
        if (why := too_few(stage, found, failures)) is not None:
            why.happened(*record.events)
            raise why
        record = record.noted(*ended(place, found, failures))
        return record.after(stage.name, place, tuple(found))

    def sample(  # noqa: PLR0917
        self,
        stage: Meaning,
        read: Candidate | None,
        number: int,
        events: list[Event],
        record: Record,
        place: Place,
    ) -> Candidate:
        """Return the candidate of one sample, and add its events."""
        first = seed(self.run_seed, record.id, place)
        request = Request(
            id="",
            model=stage.model,
            messages=messages(stage, record, read, first),
            sampling=stage.sampling,
            seed=first + number,
            first=number,
            schema=schema(stage, record),
            lenient=True,
            logprobs=stage.logprobs,
            template_args=stage.template_args,
            adapter=stage.adapter,
            fallbacks=tuple(Fallback(*one) for one in stage.fallbacks),
            prefix=prefix(stage, record, read),
            thinking_tokens=stage.thinking_tokens,
            budgets=stage.budgets,
            top_logprobs=stage.top_logprobs,
            labels=labels(stage, record),
            effects=stage.is_tool and stage.effects,
            tools=tuple(one.spec for one in stage.tools),
        )
        reply = self.answered(request)
        if isinstance(reply, Failure):
            raise StageError.of(reply)
        sample, prompt = reply.samples[0], request.messages
        if stage.tools and calls_tools(sample):
            begun = Beginning(request, sample, number, place, self.run_seed, record.id)
            sample, prompt = self.with_tools(stage, begun, events)
        events += noted(stage, sample, place, number)
        return candidate_of(stage, record, read, sample, place, prompt)

    def with_tools(
        self, stage: Meaning, begun: Beginning, events: list[Event]
    ) -> tuple[Sample, tuple[Message, ...]]:
        """Return the last sample of a conversation with tools, and its prompt."""
        functions = {one.name: one.function for one in stage.tools}
        talk = rounds(stage, begun, events)
        asked = next(talk)
        while True:
            replies = [
                performed(functions, one) if one.model == FUNCTIONS else self.answered(one)
                for one in asked
            ]
            try:
                asked = talk.send(replies)
            except StopIteration as stop:
                found: tuple[Sample, tuple[Message, ...]] = stop.value
                return found

    def answered(self, request: Request) -> Completion | Failure:
        """Return the reply to a request, of the first of its models that can answer it."""
        reply = whole(self.complete, evolve(request, fallbacks=()))
        failed: list[str] = []
        model = request.model
        for other in request.fallbacks:
            if isinstance(reply, Completion) or not is_switched(reply.kind):
                break
            failed.append(f"{model} ({reply.kind}): {reply.message}")
            model = other.model
            asked = evolve(request, model=model, adapter=other.adapter, fallbacks=())
            reply = whole(self.complete, asked)
        if not failed:
            return reply
        if isinstance(reply, Failure):
            return evolve(
                reply, message="; ".join([*failed, f"{model} ({reply.kind}): {reply.message}"])
            )
        why = "; ".join(failed)
        samples = tuple(evolve(one, model=model, switched=why) for one in reply.samples)
        return evolve(reply, samples=samples)

    def function(self, node: Function, record: Record, place: Place, tries: RetryPolicy) -> Record:
        """Return the record after a function stage."""
        read = fed(record, parts_read(node))
        function = self.bound.function(node.name)
        assert function is not None  # a checked chain has no other names
        return self.call(function, read, place, tries)

    def call(
        self, function: UserFunction, record: Record, place: Place, tries: RetryPolicy
    ) -> Record:
        """Return the record after a function, called with the candidates before it."""
        found: list[Candidate] = []
        events: list[Event] = []
        for number, read in enumerate(function.readings(record)):
            end = (f"c{number}",) if function.kind == "map" else ()
            made = partial(self.called, function, read)
            try:
                found += self.tried(made, record, tries, events, place=place, end=end)
            except StageError as error:
                error.happened(*record.events, *events)
                raise
        return record.noted(*events).after(f"@{function.name}", place, tuple(found))

    def called(
        self, function: UserFunction, read: tuple[Candidate, ...], record: Record, place: Place
    ) -> tuple[Candidate, ...]:
        """Return the candidates of one call."""
        if function.is_async:
            return asyncio.run(function.acall(record, read, place, current().samples_per_stage))
        return function.call(record, read, place)

    def tried(
        self,
        draw: Callable[[Record, Place], Made],
        record: Record,
        tries: RetryPolicy,
        events: list[Event],
        *,
        place: Place,
        end: Place = (),
        sample: int | None = None,
    ) -> Made:
        """Return the result of `draw` for a record at a place, with the retry policy `tries`."""
        one = Attempt(record)
        while True:
            try:
                return draw(one.record, (*further(place, tries.mark, one.attempt), *end))
            except StageError as error:
                again = tries.after(one, error)
                if again is None:
                    raise error.saying(combinators.tried(str(error), one.number)) from error
                one, at = again, (*further(place, tries.mark, again.attempt), *end)
                events.append(Event("retry", at, str(error), sample))
