"""An engine over any server that speaks the chat completions protocol of OpenAI.

`vllm serve`, llama.cpp, Ollama, the cloud.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from importlib.metadata import version

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.client import ChatClient, Refused
from chainlang.engines.openai.endpoint import CLOUD, DEFAULT_URL, Endpoint
from chainlang.engines.openai.health_check import probe
from chainlang.engines.openai.retry import GaveUp, RetryPolicy
from chainlang.engines.openai.sse import Teller
from chainlang.engines.protocol import Metrics, refuse
from chainlang.protocol.messages import (
    Capabilities,
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Request,
    Sample,
    Usage,
)

_STEP = 0.05  # seconds that `step` waits for something to finish


class OpenAIEngine:
    """Answers requests by asking a server, `max_concurrency` questions at a time.

    `model` is the server's name of the model; None for that of each request. `base_url` is the
    address before ``/chat/completions``. It has to lead to this machine or to OpenAI itself, unless
    its host is in `allowed_hosts`: a chain may come from somebody else, and must not send prompts
    and keys where it likes. `api_key` is the key itself; it is sent in a header and shown nowhere.
    `max_model_len` is the context of the server in tokens, where you know it.

    Timeouts are in seconds: `connect_timeout` for a connection, `read_timeout` for the silence of
    the server, which says nothing until a reply is complete, unless it is to be streamed. What
    fails for a while is asked again as `retry` says, which has the deadline too. Before the first
    question, `probe` looks whether anybody is there.

    What this engine can't promise is in its `capabilities`: a server reads special tokens in values
    as such, a reply may depend on what else is in its batch, and a schema is kept as far as the
    server knows how. It counts the tokens of a request and not of each sample, so those are shares.
    A server may pass over options that it does not know, and have settings of its own for those
    that a chain leaves at their usual value: start ``vllm serve`` with ``--generation-config vllm``
    to get the usual ones.

    Raises `EngineError` for an address or a key that can't be used, and without httpx2.

    >>> OpenAIEngine("tiny", base_url="http://127.0.0.1:8000/v1", api_key="sk-1")
    OpenAIEngine('tiny', base_url='http://127.0.0.1:8000/v1', max_concurrency=32)
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        max_concurrency: int = 32,
        max_model_len: int | None = None,
        allowed_hosts: Collection[str] = (),
        connect_timeout: float = 10.0,
        read_timeout: float = 600.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        if max_concurrency < 1:
            hint = "write a whole number of at least 1"
            refuse(f"max_concurrency is {max_concurrency}", hint, setting="max_concurrency")
        if model is not None and model.startswith(("http://", "https://")):
            refuse("the model is an address", "pass that as base_url", model=model)
        self.model = model
        self.max_concurrency = max_concurrency
        self.max_model_len = max_model_len
        # A bound that no prompt leaves room for is refused whatever the prompt.
        self._longest = sys.maxsize if max_model_len is None else max(1, max_model_len - 1)
        self._endpoint = Endpoint.of(base_url, api_key, allowed_hosts)
        self._connect = connect_timeout
        self._probed: set[str | None] = set()
        self._client = ChatClient(
            self._endpoint,
            concurrency=max_concurrency,
            connect=connect_timeout,
            read=read_timeout,
            retry=retry or RetryPolicy(),
        )
        self._background: EventLoopThread[Completion | Failure | Delta]
        self._background = EventLoopThread("chainlang-openai", closing=self._client.close)
        self._several = True  # until the server shows that it gives one sample at a time
        self._submitted = 0
        self._usage = Usage()
        # Requests that have not come back. An id may be used again after an abort; a ticket is not.
        self._tickets: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def __repr__(self) -> str:
        model = "" if self.model is None else f"{self.model!r}, "
        where = f"base_url={self.url!r}, max_concurrency={self.max_concurrency}"
        return f"OpenAIEngine({model}{where})"

    @property
    def capabilities(self) -> Capabilities:
        """Seeds, as far as the server knows them, streams, and how likely tokens were; no more."""
        return Capabilities(
            name="openai",
            schemas=False,
            seeds=True,
            batch_invariant=False,
            plain_values=False,
            logprobs=True,
            streams=True,
            deadlines=True,
        )

    @property
    def url(self) -> str:
        """The address before ``/chat/completions``."""
        return self._endpoint.url

    @property
    def fingerprint(self) -> Fingerprint:
        """The server's address and its name of the model; what it computes with can't be known."""
        found = {"engine": "openai", "version": version("chainlang"), "url": self.url}
        return {**found, "model": self.model, "weights": None}

    @property
    def sent(self) -> int:
        """How many questions went to the server, repeated ones included."""
        return self._client.sent

    @property
    def metrics(self) -> Metrics:
        """What came back, by what the server says of it; what it computes with can't be known."""
        return Metrics(self._submitted, self._usage, retries=self._client.repeated)

    @property
    def reader(self) -> None:
        """Only the server can count a prompt."""

    def probe(self, models: Iterable[str] = ()) -> None:
        """Look whether there is a server that can be asked: once, and once for each model.

        `models` are those of requests, where the engine has none of its own. Raises `EngineError`
        where nobody listens, somebody else does, the key is not taken, or there is no such model.
        """
        own = () if self.model is None else (self.model,)
        for model in dict.fromkeys(own or tuple(models) or (None,)):
            if model not in self._probed:
                # One that has answered before may be away for a while: calls wait for that.
                probe(self._endpoint, model, connect=self._connect, met=bool(self._probed))
                self._probed.add(model)

    def submit(self, requests: Iterable[Request]) -> None:
        """Take requests and begin to ask. Raises `EngineError` once closed, and as `probe` does."""
        if self._background.closed:
            refuse("the engine is closed", "make a new one")
        asked = list(requests)
        self.probe(request.model for request in asked)
        work = []
        for request in asked:
            ticket = self._submitted = self._submitted + 1
            self._tickets[request.id], self._ids[ticket] = ticket, request.id
            work.append((ticket, partial(self._answer, request, self._teller(ticket, request))))
        self._background.start(work)

    def step(self) -> list[Completion | Failure | Delta]:
        """Return what has finished or gone on, after waiting for at most 50 ms."""
        found: list[Completion | Failure | Delta] = []
        if not self._ids:
            return found
        for ticket, result in self._background.take(_STEP):
            name = self._ids.get(ticket)
            if name is None:  # aborted
                continue
            if isinstance(result, Delta):
                found.append(result)
                continue
            del self._ids[ticket], self._tickets[name]
            if isinstance(result, BaseException):
                what = chat_protocol.excerpt(
                    self._endpoint.hide(f"{type(result).__name__}: {result}")
                )
                found.append(Failure(name, "engine", f"the engine itself failed: {what}"))
            else:
                if isinstance(result, Completion):
                    self._usage += result.usage
                found.append(result)
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests, and hang up where one is being answered."""
        found = [self._tickets.pop(name) for name in tuple(ids) if name in self._tickets]
        for ticket in found:
            del self._ids[ticket]
        self._background.cancel(found)

    def close(self) -> None:
        """Forget everything, hang up and join the thread. Closing twice does no harm."""
        self._tickets.clear()
        self._ids.clear()
        self._background.close()

    # ---- in the background

    def _teller(self, ticket: int, request: Request) -> Teller | None:
        """Return who hears of the reply to a request as it comes; None where nobody asked to."""
        if not request.stream:
            return None

        def tell(sample: int, text: str) -> None:
            self._background.post(ticket, Delta(request.id, sample, text))

        return Teller(tell)

    async def _answer(self, request: Request, teller: Teller | None) -> Completion | Failure:
        if (failure := chat_protocol.unaskable(request)) is not None:
            return failure
        try:
            samples, usage = await self._samples(request, teller)
        except Refused as error:
            kind = "refused" if error.kind == "several" else error.kind
            return Failure(request.id, kind, str(error))
        except GaveUp as error:
            return Failure(request.id, "transport", str(error), transient=True)
        return Completion(request.id, samples, usage)

    async def _samples(
        self, request: Request, teller: Teller | None
    ) -> tuple[tuple[Sample, ...], Usage]:
        """Return all samples of a request, however few of them the server gives at a time."""
        count = request.drawn
        found: dict[int, Sample] = {}
        usage = Usage()
        if count > 1 and self._several:
            try:
                reply = await self._ask(request, 0, count, teller)
            except Refused as error:
                if error.kind != "several":
                    raise
                self._several = False
            else:
                found.update(reply.samples)
                usage += reply.usage
                self._several = len(found) > 1
        missing = [number for number in range(count) if number not in found]
        for number, reply in zip(missing, await self._each(request, missing, teller), strict=True):
            found[number] = reply.samples[0]
            usage += reply.usage
        samples = tuple(found[number] for number in range(count))
        return samples * (request.count // count), usage

    async def _each(
        self, request: Request, numbers: list[int], teller: Teller | None
    ) -> list[chat_protocol.Reply]:
        """Return a reply for each sample number; the first failure ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask(request, one, 1, teller)) for one in numbers]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _ask(
        self, request: Request, first: int, count: int, teller: Teller | None
    ) -> chat_protocol.Reply:
        # The cloud's newer models refuse the old name, and other servers may not know the new one.
        name = "max_completion_tokens" if self._endpoint.host == CLOUD else "max_tokens"
        most = min(request.sampling.max_tokens, self._longest)
        try:
            return await self._put(request, first, count, teller, {name: most})
        except Refused as error:
            if error.kind != "context":
                raise
        # It may be only that prompt and bound do not fit together. Without a bound, a server gives
        # what the context leaves, which is less. A prompt that is too long by itself fails again.
        return await self._put(request, first, count, teller, {})

    async def _put(
        self,
        request: Request,
        first: int,
        count: int,
        teller: Teller | None,
        most: Mapping[str, int],
    ) -> chat_protocol.Reply:
        model = self.model or request.model
        content = chat_protocol.body(request, model=model, first=first, count=count, most=most)
        held = request.schema is not None
        reply = await self._client.ask(
            content, count, schema=held, first=first, teller=teller, deadline=request.deadline
        )
        untold = any(one.text and not one.logprobs for one in reply.samples.values())
        if request.logprobs and untold:
            raise Refused("refused", f"{self.url} does not tell how likely tokens were (logprobs)")
        return reply
