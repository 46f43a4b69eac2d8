"""OpenAI's chat completions, as the HTTP client reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.endpoint import Service
from chainlang.engines.http.errors import ErrorKind
from chainlang.engines.http.response import Response
from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.read_response import parse_response
from chainlang.engines.openai.sse import StreamedResponse

SERVICE = Service(
    "openai",
    "https://api.openai.com/v1",
    path="/chat/completions",
    key_header="Authorization",
    key_prefix="Bearer ",
)


class ChatDialect:
    """The protocol as the client needs it: see `chainlang.engines.http.client.Dialect`."""

    def stream(self, deltas: DeltaEmitter, first: int, count: int) -> StreamedResponse:
        """Return a stream of a response."""
        return StreamedResponse(deltas, first, count)

    def parse(self, document: object, count: int) -> Response:
        """Return the samples of a response."""
        return parse_response(document, count)

    def error_kind(self, document: Any, said: str, *, schema: bool, several: bool) -> ErrorKind:
        """Return the kind of an error response."""
        return chat_protocol.error_kind(document, said, schema=schema, several=several)

    def most_tokens(self, _: str, /) -> int | None:
        """Return None: without a maximum, these servers generate until the context is full."""
        return None

    def error_code(self, error: Mapping[str, Any]) -> object:
        """Return the code of an error; gateways answer 200 with the status in it."""
        return error.get("code")
