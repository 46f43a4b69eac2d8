"""Asking a server: one question at a time, and again where that helps.

A method here runs in the loop that uses the client; only `__init__` may run elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.endpoint import Endpoint
from chainlang.engines.openai.retry import RetryPolicy, Transient, ask_until_answered, retry_after
from chainlang.engines.openai.sse import Diverged, Gathered, Teller
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import FailureKind, kind_of_status

if TYPE_CHECKING:
    import httpx2

_EVENTS = "text/event-stream"
_LARGEST_REPLY = 64 << 20  # bytes: more than any answer, less than what fills a machine


class Refused(Exception):
    """The server said no, and would say it again."""

    def __init__(self, kind: chat_protocol.Refusal, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class ChatClient:
    """Asks one server, `concurrency` questions at a time, each as often as `retry` says.

    A question that waits for its next attempt keeps its place, so that a server in trouble is asked
    less. Timeouts are in seconds: `connect` for a connection, `read` for each silence. Raises
    `EngineError` without httpx2, and for an address that it can't read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int,
        connect: float,
        read: float,
        retry: RetryPolicy,
    ) -> None:
        try:
            import httpx2
        except ImportError:
            refuse("the openai engine needs httpx2", "run: pip install 'chainlang[openai]'")
        try:
            self._url = httpx2.URL(endpoint.questions)
        except httpx2.InvalidURL as error:
            hint = 'write it like "http://host:8000/v1"'
            refuse(f"base_url can't be read: {error}", hint, setting="base_url")
        self.endpoint = endpoint
        self.sent = 0
        """How many questions were sent, repeated ones included."""
        self.repeated = 0
        """How many of them repeated one before."""
        self._retry = retry
        self._errors = httpx2.RequestError
        self._places = asyncio.Semaphore(concurrency)
        self._timeout = httpx2.Timeout(read, connect=connect, pool=None)
        self._limits = httpx2.Limits(
            max_connections=concurrency, max_keepalive_connections=concurrency
        )

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """What connections are made with: it reads all certificates, which takes its time."""
        import httpx2

        return httpx2.AsyncClient(
            headers=self.endpoint.headers,
            timeout=self._timeout,
            limits=self._limits,
            trust_env=not self.endpoint.loopback,  # no proxy stands before this machine itself
        )

    async def ask(
        self,
        content: bytes,
        count: int,
        *,
        schema: bool,
        first: int,
        teller: Teller | None,
        deadline: float | None = None,
    ) -> chat_protocol.Reply:
        """Return the reply to a question for `count` samples, held to a schema or not.

        Where the question asks for a stream, `teller` hears of its text as it comes; `first` is the
        number of its first sample there. `deadline` is the seconds it may take from when it is
        sent, if that is less than `retry` says. Raises `Refused`, and `GaveUp` when attempts or
        time are used up.
        """
        retry = self._retry if deadline is None else self._retry.within(deadline)
        async with self._places:
            attempts = itertools.count()

            async def exchange() -> chat_protocol.Reply:
                self.repeated += next(attempts) > 0
                return await self._exchange(
                    content, count, schema=schema, first=first, teller=teller
                )

            silence = f"{self.endpoint.url} gave no reply"
            return await ask_until_answered(exchange, retry, silence)

    async def close(self) -> None:
        """Hang up."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def _exchange(
        self, content: bytes, count: int, *, schema: bool, first: int, teller: Teller | None
    ) -> chat_protocol.Reply:
        """Ask once. Raises `Transient` and `Refused`."""
        self.sent += 1
        gathered = None if teller is None else Gathered(teller, first)
        try:
            reply = await self._answered(content, count, schema, gathered)
            if teller is not None:
                for number, sample in reply.samples.items():
                    teller.end(first + number, sample.text)
        except Diverged:
            what = "broke off a reply, and began it again with another text than was told of"
            raise Refused("transport", f"{self.endpoint.url} {what}") from None
        return reply

    async def _answered(
        self, content: bytes, count: int, schema: bool, gathered: Gathered | None
    ) -> chat_protocol.Reply:
        try:
            response, received = await self._post(content, gathered)
        except self._errors as broken:
            what = " ".join(filter(None, (type(broken).__name__, str(broken))))
            raise Transient(f"{self.endpoint.url} gave no reply: {self._shown(what)}") from None
        kind = response.headers.get("content-type", "no content type").partition(";")[0].strip()
        answered = f"{self.endpoint.url} answered {response.status_code} ({kind})"
        text = received.decode("utf-8", "replace")  # to be shown; what is read is read as it came
        streamed = gathered is not None and kind == _EVENTS
        try:
            document = gathered.document(count) if gathered and streamed else json.loads(received)
        except (ValueError, RecursionError):
            document = None
        error = document.get("error") if isinstance(document, dict) else None
        if not response.is_success or error:
            told = chat_protocol.said(document, text)
            why = chat_protocol.refusal(document, told, schema=schema, several=count > 1)
            message = f"{answered}: {self._shown(told)}"
            by_status = _of_error(response.status_code, error)
            if by_status == "transport" and why != "context":
                raise Transient(message, retry_after(response.headers.get("retry-after")))
            raise Refused(by_status if why == "refused" else why, message)
        if streamed and document is None:
            raise Transient(f"{answered}, and broke off its reply")
        if document is None or not (
            streamed or kind == "application/json" or kind.endswith("+json")
        ):
            raise Transient(f"{answered}, which is no JSON: {self._shown(text)}")
        try:
            return chat_protocol.read(document, count)
        except chat_protocol.Malformed as malformed:
            raise Transient(f"{answered}: {malformed}: {self._shown(text)}") from None

    async def _post(
        self, content: bytes, gathered: Gathered | None
    ) -> tuple[httpx2.Response, bytes]:
        received = bytearray()
        async with self._client.stream("POST", self._url, content=content) as response:
            events = _EVENTS in response.headers.get("content-type", "")
            async for part in response.aiter_bytes():
                received += part
                if events and gathered is not None:
                    try:
                        gathered.take(part)
                    except (ValueError, RecursionError):
                        shown = self._shown(part.decode("utf-8", "replace"))
                        what = f"{self.endpoint.url} sent an event that is no JSON: {shown}"
                        raise Transient(what) from None
                if len(received) > _LARGEST_REPLY:
                    raise Transient(f"{self.endpoint.url} sent more than {_LARGEST_REPLY:,} bytes")
        return response, bytes(received)

    def _shown(self, text: str) -> str:
        """Return what somebody else said as a message may show it: never with the key in it."""
        return f'"{chat_protocol.excerpt(self.endpoint.hide(text))}"'


def _of_error(status: int, error: Any) -> FailureKind:
    """Return which failure an error of the server is, as far as its status says."""
    code = error.get("code") if isinstance(error, dict) else None
    if status < 400 and isinstance(code, int):  # a gateway's own status is fine, and says no more
        status = code
    return kind_of_status(status, code)
