"""Anthropic's Messages API, as the HTTP client reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.engines.anthropic import messages_protocol
from chainlang.engines.anthropic.read_response import parse_response
from chainlang.engines.anthropic.sse import StreamedMessage
from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.endpoint import Service
from chainlang.engines.http.errors import ErrorKind
from chainlang.engines.http.response import Response

SERVICE = Service(
    "anthropic",
    "https://api.anthropic.com/v1",
    path="/messages",
    key_header="x-api-key",
    headers=(("anthropic-version", "2023-06-01"),),
)


class MessagesDialect:
    """The protocol as the client needs it: see `chainlang.engines.http.client.Dialect`."""

    def stream(self, deltas: DeltaEmitter, first: int, count: int) -> StreamedMessage:
        """Return a stream of a response, which has one sample."""
        assert count == 1
        return StreamedMessage(deltas, first)

    def parse(self, document: object, count: int) -> Response:
        """Return the sample of a response."""
        assert count == 1
        return parse_response(document)

    def error_kind(self, document: Any, said: str, *, schema: bool, several: bool) -> ErrorKind:
        """Return the kind of an error response."""
        assert not several
        return messages_protocol.error_kind(document, said, schema=schema)

    def error_code(self, error: Mapping[str, Any]) -> object:
        """Return the status of an error, which a stream has only by its type."""
        return messages_protocol.STATUSES.get(str(error.get("type")))

    def most_tokens(self, said: str, /) -> int | None:
        """Return the maximum number of tokens that the server would take."""
        return messages_protocol.most_tokens(said)
