"""Base of engines for servers: requests in flight, streamed text, several samples of a request."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import define, evolve, field

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.http.addresses import Addresses, AddressState
from chainlang.engines.http.batches import BatchApi, BatchClient
from chainlang.engines.http.client import Client, Dialect
from chainlang.engines.http.deltas import DeltaEmitter, OnDelta
from chainlang.engines.http.endpoint import Endpoint, Service
from chainlang.engines.http.errors import Rejected, check_request, excerpt
from chainlang.engines.http.rate_limit import Limits
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import RetriesExhausted, RetryPolicy
from chainlang.engines.protocol import Metrics, refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Reader,
    Request,
    Sample,
    TextKind,
    Usage,
)
from chainlang.protocol.secret import Secret
from chainlang.settings.address import trimmed

_STEP = 0.05  # seconds that `step` waits for something to finish


class ServerEngine(ABC):
    """An engine whose requests go to a server, at most `max_concurrency` at a time.

    A subclass says how a server is probed (`_probe`) and how a request for some samples is sent and
    answered (`_complete`), in the event loop's thread.
    """

    def __init__(
        self,
        model: str | None,
        *,
        service: Service,
        dialect: Dialect,
        base_url: str | Sequence[str] | None,
        api_key: str | None,
        max_concurrency: int,
        max_model_len: int | None,
        headers: Mapping[str, str] | None,
        allowed_hosts: Collection[str],
        connect_timeout: float,
        read_timeout: float,
        retry: RetryPolicy | None,
        limits: Limits,
        limits_redis: str | None,
        batches: BatchApi | None = None,
        batch_folder: Path | None = None,
    ) -> None:
        api_key = None if api_key is None else Secret(api_key)
        if max_concurrency < 1:
            hint = "write a whole number of at least 1"
            refuse(f"max_concurrency is {max_concurrency}", hint, setting="max_concurrency")
        if model is not None and model.startswith(("http://", "https://")):
            refuse("the model is an address", "pass that as base_url", model=model)
        self.model = model
        self.max_concurrency = max_concurrency
        self.max_model_len = max_model_len
        base_url = service.url if base_url is None else base_url
        urls = [base_url] if isinstance(base_url, str) else [*base_url]
        if not urls or len({*map(trimmed, urls)}) < len(urls):
            what = "an address twice" if urls else "no address"
            refuse(f"base_url has {what}", "name each server once", setting="base_url")
        self._endpoints = [
            Endpoint.of(service, one, api_key, allowed_hosts, headers) for one in urls
        ]
        self._endpoint = self._endpoints[0]
        self._connect = connect_timeout
        self._probed: set[str | None] = set()
        make: Callable[..., Client] = Client
        if batches is not None:
            if limits.any:
                hint = "leave requests_per_minute and tokens_per_minute out, or batch"
                refuse("rate limits do not hold for batches", hint, setting="batch")
            if batch_folder is None:
                refuse("batch=True needs a folder", "pass batch_folder=...", setting="batch")
            if len(urls) > 1:
                refuse("batches have one address", "leave the others out", setting="base_url")
            make = partial(BatchClient, api=batches, folder=batch_folder)
        clients = [
            make(
                one,
                dialect,
                concurrency=max_concurrency,
                connect=connect_timeout,
                read=read_timeout,
                retry=retry or RetryPolicy(),
                limits=limits,
                limits_redis=None if limits_redis is None else Secret(limits_redis),
            )
            for one in self._endpoints
        ]
        self._client: Client | Addresses
        self._client = Addresses(clients, retry or RetryPolicy()) if clients[1:] else clients[0]
        self._background: EventLoopThread[Completion | Failure | Delta]
        self._background = EventLoopThread(f"chainlang-{service.name}", closing=self._client.close)
        self._several = True  # until the server turns out to return one sample per request
        self._submitted = 0
        self._usage = Usage()
        # Requests in flight. An id may be used again after an abort; a ticket is never.
        self._tickets: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def __repr__(self) -> str:
        name = type(self).__name__
        if "_endpoint" not in vars(self):  # a traceback shows an engine that could not be made
            return f"{name}(...)"
        model = "" if self.model is None else f"{self.model!r}, "
        where = repr(self.url) if len(self.urls) == 1 else repr([*self.urls])
        return f"{name}({model}base_url={where}, max_concurrency={self.max_concurrency})"

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Guarantees of the server, as far as it is known."""

    @property
    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """The server's address and its name of the model; its weights are unknown."""

    @property
    def url(self) -> str:
        """The URL before the path of requests; of several, the first."""
        return self._endpoint.url

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs of all addresses."""
        return tuple(one.url for one in self._endpoints)

    @property
    def addresses(self) -> tuple[AddressState, ...]:
        """The counts of each address, where there are several."""
        client = self._client
        return tuple(one.state for one in client.each) if isinstance(client, Addresses) else ()

    @property
    def several(self) -> bool:
        """Whether the server returns several samples to one request, as far as it is known."""
        return self._several

    @property
    def sent(self) -> int:
        """Number of HTTP requests sent, retries included."""
        return self._client.sent

    @property
    def metrics(self) -> Metrics:
        """Counters of completions, with the usage that the server reports."""
        client = self._client
        return Metrics(self._submitted, self._usage, retries=client.repeated, waited=client.waited)

    @property
    def reader(self) -> Reader | None:
        """None: the server's tokenizer is unknown."""
        return None

    def probe(self, models: Iterable[str] = ()) -> None:
        """Check once for each model that the server is there and has it.

        `models`: names to check if the engine has no model of its own. Raises `EngineError` if no
        server answers, it has another protocol, it rejects the key, or it lacks the model.
        """
        own = () if self.model is None else (self.model,)
        for model in dict.fromkeys(own or tuple(models) or (None,)):
            if model not in self._probed:
                # A server that has answered before may be down for a while; requests are retried.
                # Of several addresses, one has to answer.
                several = len(self._endpoints) > 1
                met = bool(self._probed) or several
                answers = [self._probe(one, model, met=met) for one in self._endpoints]
                if several and not self._probed and not any(answers):
                    self._probe(self._endpoint, model, met=False)
                self._probed.add(model)

    def submit(self, requests: Iterable[Request]) -> None:
        """Start to send requests. Raises `EngineError` once closed, and as `probe` does."""
        if self._background.closed:
            refuse("the engine is closed", "make a new one")
        batch = list(requests)
        self.probe(request.model for request in batch)
        work = []
        for request in batch:
            ticket = self._submitted = self._submitted + 1
            self._tickets[request.id], self._ids[ticket] = ticket, request.id
            work.append((ticket, partial(self._answer, request, self._deltas(ticket, request))))
        self._background.start(work)

    def step(self) -> list[Completion | Failure | Delta]:
        """Return new results, after waiting at most 50 ms for the first."""
        results: list[Completion | Failure | Delta] = []
        if not self._ids:
            return results
        for ticket, result in self._background.take(_STEP):
            name = self._ids.get(ticket)
            if name is None:  # aborted
                continue
            if isinstance(result, Delta):
                results.append(result)
                continue
            del self._ids[ticket], self._tickets[name]
            if isinstance(result, BaseException):
                what = excerpt(self._endpoint.hide(f"{type(result).__name__}: {result}"))
                results.append(Failure(name, "engine", f"the engine itself failed: {what}"))
            else:
                self._usage += result.usage
                results.append(result)
        return results

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests and close their connections."""
        tickets = [self._tickets.pop(name) for name in tuple(ids) if name in self._tickets]
        for ticket in tickets:
            del self._ids[ticket]
        self._background.cancel(tickets)

    def close(self) -> None:
        """Drop all requests, close all connections and join the thread."""
        self._tickets.clear()
        self._ids.clear()
        self._background.close()

    @abstractmethod
    def _probe(self, endpoint: Endpoint, model: str | None, *, met: bool) -> bool:
        """Check that a server is there and has a model; `met`: it has answered before.

        Return whether it has answered.
        """

    # ---- in the event loop's thread

    @abstractmethod
    async def _complete(
        self, request: Request, first: int, count: int, deltas: DeltaEmitter | None
    ) -> Response:
        """Return the samples `first` to `first + count - 1` of a request. Raises `Rejected`."""

    def _posting(self, post: OnDelta) -> OnDelta:
        """Return the receiver of text as the server streams it, in front of another."""
        return post

    def _deltas(self, ticket: int, request: Request) -> DeltaEmitter | None:
        """Return the receiver of a request's streamed text; None if it does not stream."""
        if not request.stream:
            return None

        def post(sample: int, text: str, kind: TextKind) -> None:
            self._background.post(ticket, Delta(request.id, sample, text, kind))

        return DeltaEmitter(self._posting(post))

    async def _answer(self, request: Request, deltas: DeltaEmitter | None) -> Completion | Failure:
        if (failure := check_request(request)) is not None:
            return failure
        done = _Done()
        try:
            await self._draw(request, deltas, done)
        except Rejected as error:
            kind: FailureKind
            match error.kind:
                case "several" | "filtered":
                    kind = "refused"
                case kind:
                    pass
            return done.failure(request, kind, str(error))
        except RetriesExhausted as error:
            return done.failure(request, "transport", str(error))
        in_order = tuple(_called(request, done.samples[one]) for one in range(request.drawn))
        return Completion(request.id, in_order * (request.count // request.drawn), done.usage)

    async def _draw(self, request: Request, deltas: DeltaEmitter | None, done: _Done) -> None:
        """Draw all samples of a request, with as many HTTP requests as the server needs.

        The first failure cancels the others; what is done is kept.
        """
        count = request.drawn
        if count > 1 and self._several:
            try:
                response = await self._complete(request, 0, count, deltas)
            except Rejected as error:
                if error.kind != "several":
                    raise
                self._several = False
            else:
                done.add(0, response)
                self._several = len(response.samples) > 1

        async def one(number: int) -> None:
            done.add(number, await self._complete(request, number, 1, deltas))

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    if number not in done.samples:
                        group.create_task(one(number))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


@define
class _Done:
    """The samples of a request that are done, by number, and their usage."""

    samples: dict[int, Sample] = field(factory=dict)
    usage: Usage = field(factory=Usage)

    def add(self, first: int, response: Response) -> None:
        """Add the samples of a response."""
        self.samples |= {first + number: one for number, one in response.samples.items()}
        self.usage += response.usage

    def failure(self, request: Request, kind: FailureKind, message: str) -> Failure:
        """Return the failure of the other samples."""
        kept = tuple(sorted(self.samples.items())) if request.drawn == request.count else ()
        return Failure(request.id, kind, message, samples=kept, usage=self.usage)


def _called(request: Request, sample: Sample) -> Sample:
    """Return a sample whose calls of tools are its reply if its request has tools; else none."""
    if not sample.calls:
        return sample
    return evolve(sample, refusal="") if request.tools else evolve(sample, calls=())
