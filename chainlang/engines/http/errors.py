"""Errors of servers: their kinds, and the messages of their responses."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias

from chainlang.engines.protocol import encoding_error
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import Failure, Request

_LONGEST_EXCERPT = 300  # characters of a server's text in a message

ErrorKind: TypeAlias = FailureKind | Literal["several", "filtered"]
"""Kind of an error response; `several` if the server rejects more than one sample per request,
`filtered` if its content filter rejects this prompt."""


class Rejected(Exception):
    """An error response that a retry would not change.

    `most`: the maximum number of tokens of a reply with which it may pass, if the server says so.
    """

    def __init__(self, kind: ErrorKind, message: str, most: int | None = None) -> None:
        self.kind = kind
        self.most = most
        super().__init__(message)


def check_request(request: Request) -> Failure | None:
    """Return a failure for a request that can't be sent; None if it can.

    Text that is not valid Unicode is refused here, because servers silently replace parts of it,
    each in its own way.
    """
    for message in request.messages:
        if (why := encoding_error(message)) is not None:
            return Failure(request.id, "refused", why)
    if request.schema is not None:
        try:
            json.loads(request.schema)
        except (ValueError, RecursionError):
            return Failure(request.id, "constraint", "the schema is not JSON")
    return None


def error_message(document: Any, text: str) -> str:
    """Return the message of an error response; all of its text if it has no message.

    >>> error_message({"error": {"message": "no"}}, "..."), error_message(None, "<p>")
    ('no', '<p>')
    >>> detail = [{"loc": ["body", "n"], "msg": "too large", "input": "..."}]
    >>> error_message({"detail": detail}, "...")
    'body.n: too large'
    """
    message = document
    for name in ("error", "message", "detail"):
        if isinstance(message, dict) and message.get(name):
            message = message[name]
    if isinstance(message, list) and message and all(isinstance(one, dict) for one in message):
        # Without `input`, which repeats the request and would confuse `error_kind`.
        message = "; ".join(f"{_location(one.get('loc'))}: {one.get('msg')}" for one in message)
    return message if isinstance(message, str) else text


def _location(found: object) -> str:
    return ".".join(map(str, found)) if isinstance(found, list) else str(found)


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line, without terminal control characters.

    >>> excerpt("a\\n  b\\x1b[2J")
    'a b�[2J'
    """
    line = " ".join(text.split())
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return plain if len(plain) <= _LONGEST_EXCERPT else plain[:_LONGEST_EXCERPT] + "…"
