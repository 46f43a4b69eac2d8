"""Scripts of the fake engine: the replies that a test gives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from chainlang.protocol.messages import Request, changed


@attrs.frozen
class Reply:
    """A scripted reply with reasoning, one that calls tools, or one that was refused.

    `calls`: the name of each tool, and its arguments. `refusal`: the reason.

    >>> from chainlang.engines.fake import FakeEngine
    >>> engine = FakeEngine(answers={"17 + 25": Reply("42", reasoning="7 + 5 is 12, so ...")})
    >>> engine = FakeEngine(answers={"weather": Reply(calls=[("weather", {"city": "Bern"})])})
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()


Scripted: TypeAlias = str | Reply
Answers: TypeAlias = (
    Callable[[Request, int], Scripted | None] | Mapping[str, Scripted | Sequence[Scripted]]
)


def scripted(answers: Answers, request: Request, index: int) -> Scripted | None:
    """Return the reply of a script to a sample of a request; None if it has none."""
    # However the samples of a stage are split into requests, a script sees one numbering, and
    # `seed` plus the number is the seed of the sample.
    before = request.first + (0 if request.begin is None else request.begin.number)
    index += before if request.sampling.temperature > 0 else 0
    if callable(answers):
        if before:
            request = changed(request, seed=request.seed - before, first=0)
        return answers(request, index)
    prompt = request.messages[-1].text
    for part, reply in answers.items():
        if part in prompt:
            if isinstance(reply, Scripted) or not isinstance(reply, Sequence):
                return reply
            return reply[index % len(reply)]
    return None


def arguments(given: Mapping[str, Any] | str) -> str:
    """Return the arguments of a scripted call as a model writes them: a text stays as it is."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def as_list(replies: Any) -> list[Any]:
    """Return the replies of a script as JSON values."""
    if not isinstance(replies, Reply):
        return list(replies)
    rest = [replies.refusal] if replies.refusal or replies.calls else []
    calls = [[[name, arguments(one)] for name, one in replies.calls]] if replies.calls else []
    return [replies.text, replies.reasoning, *rest, *calls]
