"""Order of requests that are submitted together: grouped by common prefixes of their prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from chainlang.protocol.messages import Request

CHUNK = 64
"""Length of the compared prefixes, in characters: about one block of a prefix cache, which has at
least 16 tokens."""
_PRIORITY = attrgetter("priority")


def by_prefix(requests: Sequence[Request]) -> list[Request]:
    """Return the requests sorted by priority, those with a common prefix next to each other.

    Each group, also a nested one, is at the position of its first request; without common prefixes
    the order does not change.

    >>> from chainlang.protocol.messages import Message, Sampling
    >>> def ask(id, text):
    ...     messages = (Message("user", text),)
    ...     sampling = Sampling(temperature=0.7, max_tokens=8)
    ...     return Request(id=id, model="m", messages=messages, sampling=sampling, seed=0)
    >>> one, other = "one document " * 9, "another document " * 9
    >>> asked = [ask("1", one + "Why?"), ask("2", other + "Why?"), ask("3", one + "How?")]
    >>> [request.id for request in by_prefix(asked)]
    ['1', '3', '2']
    """
    if len(requests) == 1:
        return [*requests]
    found: list[Request] = []
    begun: dict[str, dict[object, list[Request]]] = {}
    for one in requests:
        first = one.messages[0] if one.messages else None
        start = None if first is None else (first.role, first.text[:CHUNK])
        of_model = begun.get(one.model)
        if of_model is None:
            begun[one.model] = {start: [one]}
        elif start in of_model:
            of_model[start].append(one)
        else:
            of_model[start] = [one]
    alike = [group for of_model in begun.values() for group in of_model.values()]
    if len(alike) == len(requests):
        return sorted((group[0] for group in alike), key=_PRIORITY)
    groups = [[(one, _chunks(one)) for one in group] for group in reversed(alike)]
    while groups:
        group = groups.pop()
        if len(group) == 1:  # no other request has its prefix
            found.append(group[0][0])
            continue
        parts: dict[object, list[tuple[Request, Iterator[object]]]] = {}
        for one, chunks in group:
            chunk = next(chunks, None)
            if chunk is None:
                found.append(one)
            else:
                parts.setdefault(chunk, []).append((one, chunks))
        groups += reversed(parts.values())
    return sorted(found, key=_PRIORITY)


def _chunks(request: Request) -> Iterator[object]:
    for message in request.messages:
        text = message.text
        for start in range(0, len(text), CHUNK):
            yield message.role, text[start : start + CHUNK]
