"""HTTP client of a server, with retries.

All methods but `__init__` run in the event loop that uses the client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from chainlang.engines.http.deltas import DeltaEmitter, Diverged
from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.errors import ErrorKind, Rejected, error_message, excerpt
from chainlang.engines.http.event_stream import LongEvent
from chainlang.engines.http.json_values import Malformed
from chainlang.engines.http.new_client import new_client
from chainlang.engines.http.rate_limit import Limiter, Limits, Log, log_name, shared_log
from chainlang.engines.http.redis_log import RedisLog
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import (
    RetriesExhausted,
    RetryPolicy,
    Transient,
    call_with_retries,
    retry_after,
)
from chainlang.engines.http.slots import Slots
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import FailureKind, kind_of_status

if TYPE_CHECKING:
    import httpx2

_BYTES = 3  # of a request, for each token of its prompt; few texts have less
_EVENTS = "text/event-stream"
_LONG = 20.0  # seconds of a wait in which another model is better asked
_LARGEST_REPLY = 64 << 20  # bytes: more than any reply, less than what fills the memory


class Stream(Protocol):
    """A streamed response as far as it has been received."""

    def feed(self, received: bytes) -> None:
        """Add received bytes and emit the text in them.

        Raises `ValueError` for an event that is not JSON, `Malformed` for one of another shape,
        `LongEvent` and `Diverged`.
        """
        ...

    def document(self) -> dict[str, Any] | None:
        """Return the response in the form of an unstreamed one; None if it is incomplete."""
        ...


class Dialect(Protocol):
    """The protocol of a server: how its responses are read."""

    def stream(self, deltas: DeltaEmitter, first: int, count: int) -> Stream:
        """Return a stream for `count` samples of a request, the first of which has a number."""
        ...

    def parse(self, document: object, count: int) -> Response:
        """Return the samples of a response to a request for `count`. Raises `Malformed`."""
        ...

    def error_kind(self, document: Any, said: str, *, schema: bool, several: bool) -> ErrorKind:
        """Return the kind of an error response, from its codes or else from what it says."""
        ...

    def most_tokens(self, said: str, /) -> int | None:
        """Return the maximum number of tokens that the server would take, from its error."""
        ...

    def error_code(self, error: Mapping[str, Any]) -> object:
        """Return the code of an error that its HTTP status may not tell; None without one."""
        ...


class Client:
    """Sends requests to one server, at most `concurrency` at a time, and retries them.

    A request counts against `concurrency` while it waits for its next attempt, so that a failing
    server gets fewer requests. `connect` is the timeout for a connection and `read` the longest
    pause between received bytes, in seconds. Raises `EngineError` if httpx2 is not installed or the
    address is not a URL.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        concurrency: int,
        connect: float,
        read: float,
        retry: RetryPolicy,
        limits: Limits,
        limits_redis: str | None,
    ) -> None:
        try:
            import httpx2
        except ImportError:
            refuse("an engine for servers needs httpx2", "run: pip install 'chainlang[openai]'")
        try:
            self._url = httpx2.URL(endpoint.request_url)
        except httpx2.InvalidURL as error:
            hint = 'write it like "http://host:8000/v1"'
            refuse(f"base_url can't be read: {error}", hint, setting="base_url")
        self.endpoint = endpoint
        self._dialect = dialect
        self.sent = 0
        """Number of requests sent, retries included."""
        self.repeated = 0
        """Number of retries."""
        self._retry = retry
        self._errors = httpx2.RequestError
        self.slots = Slots(concurrency)
        log: Log = shared_log(endpoint, retry.clock)
        if limits_redis is not None:
            log = RedisLog.open(limits_redis, log_name(endpoint))
        self.limiter = Limiter(log, limits, retry.clock, retry.sleep)
        self._timeout = httpx2.Timeout(read, connect=connect, pool=None)
        self._limits = httpx2.Limits(
            max_connections=concurrency, max_keepalive_connections=concurrency
        )

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """HTTP client, created with the first request."""
        return new_client(self.endpoint, timeout=self._timeout, limits=self._limits)

    async def complete(
        self,
        content: bytes,
        count: int,
        *,
        schema: bool,
        first: int,
        deltas: DeltaEmitter | None,
        most: int,
        deadline: float | None = None,
        priority: int = 0,
        mark: str = "",
        patient: bool = True,
    ) -> Response:
        """Return the response to a request body for `count` samples, with a schema or without.

        For a body with `stream`, `deltas` receives the text as it arrives; `first` is the number of
        the body's first sample in the request. `most` is the maximum number of tokens of its
        replies, which are reserved under a rate limit. `deadline` is the maximum time in seconds
        from when the request is sent, if that is less than the retry policy's. While all slots are
        taken, requests with a lower `priority` are next. Without `patient`, a server that asks for
        a long wait is taken to be unavailable: another model may answer. Raises `Rejected`, and
        `RetriesExhausted` when attempts or time are used up.
        """
        del mark  # of batches
        retry = self._retry if deadline is None else self._retry.within(deadline)
        async with self.slots.taken(priority):
            names: list[str] = []

            async def admit() -> None:
                if not patient:
                    self.check_wait(await self.limiter.held())
                names.append(await self.admitted(content, most))

            async def exchange() -> Response:
                self.repeated += len(names) > 1
                try:
                    return await self.once(
                        content, count, names[-1], schema=schema, first=first, deltas=deltas
                    )
                except Transient as failed:
                    if not patient:
                        self.check_wait(failed.after or 0.0, str(failed))
                    raise

            silence = f"{self.endpoint.url} gave no reply"
            return await call_with_retries(exchange, retry, silence, admit)

    async def admitted(self, content: bytes, most: int) -> str:
        """Wait until the rate limits admit a request; return the name that `once` takes."""
        return await self.limiter.admit(len(content) // _BYTES + most)

    async def once(
        self,
        content: bytes,
        count: int,
        name: str,
        *,
        schema: bool,
        first: int,
        deltas: DeltaEmitter | None,
    ) -> Response:
        """Return the response to a request that is admitted, under a name, and sent once.

        Raises `Transient` and `Rejected`.
        """
        used = 0
        try:
            response = await self._exchange(
                content, count, schema=schema, first=first, deltas=deltas
            )
            used = response.tokens
        except Transient as failed:
            if failed.after:
                await self.limiter.hold(min(failed.after, self._retry.longest_asked))
            raise
        finally:
            await self.limiter.settle(name, used)
        return response

    @property
    def waited(self) -> float:
        """Seconds for which rate limits held requests back."""
        return self.limiter.waited

    def check_wait(self, seconds: float, received: str = "") -> None:
        """Raise `RetriesExhausted` if the server has asked for a long wait."""
        if seconds > _LONG:
            what = f"{self.endpoint.url} has asked for a wait of {seconds:.0f} s"
            raise RetriesExhausted("; ".join(filter(None, (received, what))))

    async def close(self) -> None:
        """Close all connections."""
        await self.limiter.log.close()
        if "_client" in vars(self):
            await self._client.aclose()

    async def _exchange(
        self, content: bytes, count: int, *, schema: bool, first: int, deltas: DeltaEmitter | None
    ) -> Response:
        """Send a request once. Raises `Transient` and `Rejected`."""
        self.sent += 1
        stream = None if deltas is None else self._dialect.stream(deltas, first, count)
        try:
            response = await self._response(content, count, schema, stream)
            if deltas is not None:
                for number, sample in response.samples.items():
                    deltas.check_end(first + number, sample.text)
                    deltas.check_end(first + number, sample.reasoning, "reasoning")
        except Diverged:
            what = "broke off a stream, and sent another text on the next attempt"
            raise Rejected("transport", f"{self.endpoint.url} {what}") from None
        return response

    async def _response(
        self, content: bytes, count: int, schema: bool, stream: Stream | None
    ) -> Response:
        try:
            response, received = await self._post(content, stream)
        except self._errors as broken:
            what = " ".join(filter(None, (type(broken).__name__, str(broken))))
            raise Transient(f"{self.endpoint.url} gave no reply: {self._shown(what)}") from None
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        kind = excerpt(self.endpoint.hide(kind))
        answered = f"{self.endpoint.url} answered {response.status_code} ({kind})"
        text = received.decode("utf-8", "replace")  # for messages only
        streamed = stream is not None and kind == _EVENTS
        try:
            document = stream.document() if stream and streamed else json.loads(received)
        except (ValueError, RecursionError):
            document = None
        error = document.get("error") if isinstance(document, dict) else None
        if not response.is_success or error:
            said = error_message(document, text)
            by_text = self._dialect.error_kind(document, said, schema=schema, several=count > 1)
            message = f"{answered}: {self._shown(said)}"
            by_status = self._kind_of_error(response.status_code, error)
            if by_status == "transport" and by_text not in {"context", "filtered"}:
                raise Transient(message, retry_after(response.headers.get("retry-after")))
            kind_of_it = by_status if by_text == "refused" else by_text
            raise Rejected(kind_of_it, message, self._dialect.most_tokens(said))
        if streamed and document is None:
            raise Transient(f"{answered}, and broke off its reply")
        if document is None or not (
            streamed or kind == "application/json" or kind.endswith("+json")
        ):
            raise Transient(f"{answered}, which is not JSON: {self._shown(text)}")
        try:
            return self._dialect.parse(document, count)
        except Malformed as malformed:
            raise Transient(f"{answered}: {malformed}: {self._shown(text)}") from None

    async def _post(self, content: bytes, stream: Stream | None) -> tuple[httpx2.Response, bytes]:
        received = bytearray()
        async with self._client.stream("POST", self._url, content=content) as response:
            events = _EVENTS in response.headers.get("content-type", "")
            async for part in response.aiter_bytes():
                received += part
                if events and stream is not None:
                    try:
                        stream.feed(part)
                    except LongEvent as long:
                        raise Transient(f"{self.endpoint.url} sent {long}") from None
                    except Malformed as malformed:
                        shown = self._shown(part.decode("utf-8", "replace"))
                        what = f"{self.endpoint.url} sent a malformed event: {malformed}: {shown}"
                        raise Transient(what) from None
                    except (ValueError, RecursionError):
                        shown = self._shown(part.decode("utf-8", "replace"))
                        what = f"{self.endpoint.url} sent an event that is not JSON: {shown}"
                        raise Transient(what) from None
                if len(received) > _LARGEST_REPLY:
                    raise Transient(f"{self.endpoint.url} sent more than {_LARGEST_REPLY:,} bytes")
        return response, bytes(received)

    def _shown(self, text: str) -> str:
        """Return a server's text for use in a message: quoted, shortened, without the API key."""
        return f'"{excerpt(self.endpoint.hide(text))}"'

    def _kind_of_error(self, status: int, error: Any) -> FailureKind:
        """Return the kind of an error response, from its status and code."""
        code = self._dialect.error_code(error) if isinstance(error, dict) else None
        if status < 400 and isinstance(code, int):  # with the status in the body
            status = code
        return kind_of_status(status, code)
