"""In which order requests are asked that are ready at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chainlang.wire import Request

CHUNK = 64
"""Characters that prompts have to share to be neighbours: about the block of a cache, which holds
tokens 16 at a time or more."""


def by_prefix(requests: Sequence[Request]) -> list[Request]:
    """Return requests with those next to each other whose prompts begin alike.

    What is preferred stays first. Apart from that each group stands where its first request came,
    and so do the groups within it: where prompts share nothing, the order is that of the rows.

    >>> from chainlang.wire import Message, Sampling
    >>> def ask(id, text):
    ...     messages = (Message("user", text),)
    ...     sampling = Sampling(temperature=0.7, max_tokens=8)
    ...     return Request(id=id, model="m", messages=messages, sampling=sampling, seed=0)
    >>> one, other = "one document " * 9, "another document " * 9
    >>> asked = [ask("1", one + "Why?"), ask("2", other + "Why?"), ask("3", one + "How?")]
    >>> [request.id for request in by_prefix(asked)]
    ['1', '3', '2']
    """
    known: dict[tuple[int, str], int] = {}
    ways = [(one.priority, *_way(one, known)) for one in requests]
    return [requests[index] for index in sorted(range(len(requests)), key=ways.__getitem__)]


def _way(request: Request, known: dict[tuple[int, str], int]) -> Iterator[int]:
    """Yield the way to a prompt in the tree of all: the number of each node, as they were met."""
    node = -1
    for chunk in _chunks(request):
        node = known.setdefault((node, chunk), len(known))
        yield node


def _chunks(request: Request) -> Iterable[str]:
    yield request.model
    for message in request.messages:
        text = message.text
        for start in range(0, len(text), CHUNK):
            yield f"{message.role} {text[start : start + CHUNK]}"
