"""Rounds of tools: a reply that calls tools is followed by their results and another reply.

It is a generator that yields requests and is sent their replies, so that the reference interpreter
and the runtime have one meaning of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeAlias

from attrs import evolve, frozen

from chainlang.diagnostics.render import shown
from chainlang.protocol.messages import Completion, Failure, Message, Request, Sample, ToolCall
from chainlang.semantics.events import Event, EventKind
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import Meaning
from chainlang.semantics.tool_functions import MisuseError
from chainlang.semantics.tools import MOST_CALLS, Tool

Rounds: TypeAlias = Generator[
    tuple[Request, ...], "list[Completion | Failure]", tuple[Sample, tuple[Message, ...]]
]
_SHOWN = 200


def calls_tools(sample: Sample) -> bool:
    """Return whether a sample calls tools in place of a reply."""
    return bool(sample.calls) and sample.finish == "stop" and not sample.refusal


@frozen
class Beginning:
    """A sample that calls tools: the request of its prompt, its number, and its place."""

    request: Request
    sample: Sample
    number: int
    place: Place
    run_seed: int
    row_id: str


def rounds(stage: Meaning, begun: Beginning, events: list[Event]) -> Rounds:
    """Return the last sample of a conversation with tools, and the messages that it follows.

    It yields the requests of the calls of a reply, at the same time, and then the request of the
    next reply. `events` gets an event for each call. Raises `StageError` where a request of the
    model fails, and where it still calls tools after `tool_rounds` of them.
    """
    tools = {one.name: one for one in stage.tools}
    request, sample, place = begun.request, begun.sample, begun.place
    for number in range(1, stage.tool_rounds + 1):
        at = (*place, f"t{number}")
        calls = tuple(
            ToolCall(f"call{number:02}{index:03}", name, arguments)
            for index, (name, arguments) in enumerate(sample.calls)
        )
        said = yield from _results(tools, calls, request, begun, at, events)
        turn = Message("assistant", sample.text, calls=calls)
        request = evolve(
            request,
            id=f"{begun.request.id}.{begun.number}.{at[-1]}",
            messages=(*request.messages, turn, *said),
            seed=seed(begun.run_seed, begun.row_id, at) + begun.number,
            count=1,
            first=begun.number,
        )
        (reply,) = yield (request,)
        if isinstance(reply, Failure):
            raise StageError.of(reply)
        sample = reply.samples[0]
        if not calls_tools(sample):
            return sample, request.messages
    name = sample.calls[0][0]
    raise StageError(
        f"the model called tools in each of its {stage.tool_rounds} rounds, the last one "
        f"{shown(name)}, and gave no answer: write a larger tool_rounds=",
        "tools",
        sample,
    )


def _results(  # noqa: PLR0917
    tools: dict[str, Tool],
    calls: tuple[ToolCall, ...],
    asked: Request,
    begun: Beginning,
    at: Place,
    events: list[Event],
) -> Generator[tuple[Request, ...], list[Completion | Failure], tuple[Message, ...]]:
    """Return the messages with the results of calls, in their order."""
    found: dict[int, tuple[str, bool]] = dict(_refused(tools, calls))
    made = [index for index in range(len(calls)) if index not in found]
    requests = tuple(
        tools[calls[index].name].request(
            calls[index],
            asked,
            seed(begun.run_seed, begun.row_id, (*at, f"s{begun.number}", f"k{index}")),
            f"{begun.request.id}.{begun.number}.{at[-1]}.{index}",
        )
        for index in made
    )
    replies = (yield requests) if requests else []
    for index, reply in zip(made, replies, strict=True):
        found[index] = tools[calls[index].name].result(reply)
    said = []
    for index, call in enumerate(calls):
        text, is_error = found[index]
        kind: EventKind = "tool_error" if is_error else "tool"
        what = f"{call.name}({_short(call.arguments)}): {_short(text)}"
        events.append(Event(kind, at, what, begun.number))
        text = f"error: {text}" if is_error else text
        said.append(Message("tool", text, call_id=call.id))
    return tuple(said)


def _refused(
    tools: dict[str, Tool], calls: tuple[ToolCall, ...]
) -> Iterator[tuple[int, tuple[str, bool]]]:
    """Yield the errors of calls that are not made, by their index."""
    for index, call in enumerate(calls):
        if index >= MOST_CALLS:
            yield index, (f"a reply may have at most {MOST_CALLS} calls", True)
        elif call.name not in tools:
            yield index, (f"there is no such tool; there are: {', '.join(tools)}", True)
        else:
            try:
                tools[call.name].check(call.arguments)
            except MisuseError as error:
                yield index, (str(error), True)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
