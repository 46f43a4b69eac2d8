"""Engine for servers with the chat completions API: OpenAI, `vllm serve`, llama.cpp, Ollama."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from chainlang.diagnostics.suggest import suggest
from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.hosts import Host, host_of
from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.capabilities import capabilities_of
from chainlang.engines.openai.client import ChatClient, Rejected
from chainlang.engines.openai.endpoint import DEFAULT_URL, Endpoint
from chainlang.engines.openai.health_check import probe
from chainlang.engines.openai.honoured import check_honoured
from chainlang.engines.openai.read_response import Response
from chainlang.engines.openai.reasoning import DeltaSplitter, apart
from chainlang.engines.openai.retry import RetriesExhausted, RetryPolicy
from chainlang.engines.openai.sse import DeltaEmitter
from chainlang.engines.protocol import Metrics, refuse
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import (
    Capabilities,
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Request,
    Sample,
    TextKind,
    Usage,
)
from chainlang.protocol.reasoning_tags import REASONING_TAGS, parser_hint
from chainlang.protocol.secret import Secret
from chainlang.protocol.template_args import canonical, fault

__all__ = ["OpenAIEngine"]

_ANY = Host("", "", None, "", own=False)
"""A server that no document describes."""
_STEP = 0.05  # seconds that `step` waits for something to finish


class OpenAIEngine:
    """Sends requests to a server, at most `max_concurrency` at a time.

    `model`: the server's name of the model; None to use the model name of each request.
    `base_url`: the URL before ``/chat/completions``. Its host is this machine, OpenAI, or one of
    `allowed_hosts`, so that a chain from another author can't send prompts and keys elsewhere.
    `api_key`: the key itself; it is sent in a header and never shown.
    `headers`: further HTTP headers of every request.
    `max_model_len`: context of the server in tokens, if known.
    `reasoning`: name of vLLM's parser of the model's reasoning, such as "qwen3", for models that
    think before they reply. It is needed if the server leaves reasoning in the text.
    `template_args`: arguments of the chat template, such as ``{"enable_thinking": False}``, for
    servers that take `chat_template_kwargs`.
    `connect_timeout`: seconds to wait for a connection.
    `read_timeout`: longest pause between received bytes, in seconds. Without streaming, nothing is
    received until a reply is complete.
    `retry`: retry policy for transient failures, with the deadline of a request.

    Before the first request, `probe` checks that the server is there.

    Limits of this engine are in its `capabilities`: servers parse special tokens in messages, a
    reply may depend on the rest of its batch, and schemas are enforced as far as the server does.
    Servers count the tokens of a completion, not of each sample; `Sample.tokens` is an estimate. A
    server may ignore options that it does not know, and may have defaults of its own for options
    that a chain does not set: start ``vllm serve`` with ``--generation-config vllm`` to switch
    those off.

    Raises `EngineError` for an invalid address or key, and if httpx2 is not installed.

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
        headers: Mapping[str, str] | None = None,
        reasoning: str | None = None,
        template_args: Mapping[str, Any] | None = None,
        allowed_hosts: Collection[str] = (),
        connect_timeout: float = 10.0,
        read_timeout: float = 600.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        api_key = None if api_key is None else Secret(api_key)
        if max_concurrency < 1:
            hint = "write a whole number of at least 1"
            refuse(f"max_concurrency is {max_concurrency}", hint, setting="max_concurrency")
        if model is not None and model.startswith(("http://", "https://")):
            refuse("the model is an address", "pass that as base_url", model=model)
        if template_args is not None and (what := fault(template_args)) is not None:
            refuse(f"template_args can't be passed: {what}", setting="template_args")
        if reasoning is not None and reasoning not in REASONING_TAGS:
            near = parser_hint(reasoning) or suggest(reasoning, REASONING_TAGS)
            refuse(f"unknown reasoning parser {reasoning!r}", near, setting="reasoning")
        self._tags = None if reasoning is None else REASONING_TAGS[reasoning]
        self._prompting = {
            "reasoning": reasoning or "",
            "template_args": canonical(template_args or {}),
        }
        self.model = model
        self.max_concurrency = max_concurrency
        self.max_model_len = max_model_len
        # Servers refuse a `max_tokens` that leaves no room for a prompt.
        self._longest = sys.maxsize if max_model_len is None else max(1, max_model_len - 1)
        self._endpoint = Endpoint.of(base_url, api_key, allowed_hosts, headers)
        self._host = host_of(urlsplit(self._endpoint.url).netloc) or _ANY
        if template_args and self._host.own:
            what = f"{self._endpoint.host} takes no arguments of a chat template"
            refuse(what, "leave template_args out", setting="template_args")
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
        # ... or until the server turns out to return one sample per request.
        self._several = self._host.honours.get("n", True)
        self._schemas = self._host.honours.get("schema", True)
        self._bounds = True  # until the server turns out to refuse the bound of a text's length
        self._submitted = 0
        self._usage = Usage()
        # Requests in flight. An id may be used again after an abort; a ticket is never.
        self._tickets: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def __repr__(self) -> str:
        if "_endpoint" not in vars(self):  # a traceback shows an engine that could not be made
            return "OpenAIEngine(...)"
        model = "" if self.model is None else f"{self.model!r}, "
        where = f"base_url={self.url!r}, max_concurrency={self.max_concurrency}"
        return f"OpenAIEngine({model}{where})"

    @property
    def capabilities(self) -> Capabilities:
        """Seeds, streaming, log probabilities and deadlines, as far as the server supports them."""
        return capabilities_of(self._host)

    @property
    def url(self) -> str:
        """The URL before ``/chat/completions``."""
        return self._endpoint.url

    @property
    def fingerprint(self) -> Fingerprint:
        """The server's address and its name of the model; its weights are unknown."""
        known = {"engine": "openai", "version": version_of("chainlang"), "url": self.url}
        context = {} if self.max_model_len is None else {"context": self.max_model_len}
        prompting = {name: value for name, value in self._prompting.items() if value}
        return {**known, "model": self.model, "weights": None, **context, **prompting}

    @property
    def sent(self) -> int:
        """Number of HTTP requests sent, retries included."""
        return self._client.sent

    @property
    def metrics(self) -> Metrics:
        """Counters of completions, with the usage that the server reports."""
        return Metrics(self._submitted, self._usage, retries=self._client.repeated)

    @property
    def reader(self) -> None:
        """None: the server's tokenizer is unknown."""

    def probe(self, models: Iterable[str] = ()) -> None:
        """Check once for each model that the server is there and has it.

        `models`: names to check if the engine has no model of its own. Raises `EngineError` if no
        server answers, it has another protocol, it rejects the key, or it lacks the model.
        """
        own = () if self.model is None else (self.model,)
        for model in dict.fromkeys(own or tuple(models) or (None,)):
            if model not in self._probed:
                # A server that has answered before may be down for a while; requests are retried.
                probe(self._endpoint, model, connect=self._connect, met=bool(self._probed))
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
                what = chat_protocol.excerpt(
                    self._endpoint.hide(f"{type(result).__name__}: {result}")
                )
                results.append(Failure(name, "engine", f"the engine itself failed: {what}"))
            else:
                if isinstance(result, Completion):
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

    # ---- in the event loop's thread

    def _deltas(self, ticket: int, request: Request) -> DeltaEmitter | None:
        """Return the receiver of a request's streamed text; None if it does not stream."""
        if not request.stream:
            return None

        def post(sample: int, text: str, kind: TextKind) -> None:
            self._background.post(ticket, Delta(request.id, sample, text, kind))

        return DeltaEmitter(post if self._tags is None else DeltaSplitter(self._tags, post))

    async def _answer(self, request: Request, deltas: DeltaEmitter | None) -> Completion | Failure:
        if (failure := chat_protocol.check_request(request)) is not None:
            return failure
        try:
            samples, usage = await self._samples(request, deltas)
        except Rejected as error:
            match error.kind:
                case "several" | "filtered":
                    return Failure(request.id, "refused", str(error))
                case kind:
                    return Failure(request.id, kind, str(error))
        except RetriesExhausted as error:
            return Failure(request.id, "transport", str(error), transient=True)
        return Completion(request.id, samples, usage)

    async def _samples(
        self, request: Request, deltas: DeltaEmitter | None
    ) -> tuple[tuple[Sample, ...], Usage]:
        """Return all samples of a request, with as many HTTP requests as the server needs."""
        count = request.drawn
        samples: dict[int, Sample] = {}
        usage = Usage()
        if count > 1 and self._several:
            try:
                response = await self._complete(request, 0, count, deltas)
            except Rejected as error:
                if error.kind != "several":
                    raise
                self._several = False
            else:
                samples.update(response.samples)
                usage += response.usage
                self._several = len(samples) > 1
        missing = [number for number in range(count) if number not in samples]
        responses = await self._complete_each(request, missing, deltas)
        for number, response in zip(missing, responses, strict=True):
            samples[number] = response.samples[0]
            usage += response.usage
        in_order = tuple(samples[number] for number in range(count))
        return in_order * (request.count // count), usage

    async def _complete_each(
        self, request: Request, numbers: list[int], deltas: DeltaEmitter | None
    ) -> list[Response]:
        """Return a response for each sample number; the first failure cancels the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._complete(request, number, 1, deltas))
                    for number in numbers
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _complete(
        self, request: Request, first: int, count: int, deltas: DeltaEmitter | None
    ) -> Response:
        """Return a response; budgets of fields bound their characters, if the server takes that."""
        if request.budgets and self._bounds:
            try:
                return await self._within(request, first, count, deltas)
            except Rejected as error:
                if error.kind != "constraint":
                    raise
        response = await self._within(evolve(request, budgets=()), first, count, deltas)
        self._bounds &= not request.budgets  # the schema itself is not what it has refused
        return response.unbounded(name for name, _ in request.budgets)

    async def _within(
        self, request: Request, first: int, count: int, deltas: DeltaEmitter | None
    ) -> Response:
        name = self._host.limit
        most = min(request.sampling.max_tokens, self._longest)
        try:
            response = await self._send(request, first, count, deltas, {name: most})
        except Rejected as error:
            if error.kind != "context":
                raise
        else:
            # A server may also cut a reply by its context without a word.
            is_less = count == 1 and 0 < response.usage.output_tokens < most
            is_full = is_less or most < request.sampling.max_tokens
            return response.cut_by(self.max_model_len or 0) if is_full else response
        # Perhaps the prompt fits the context, but not together with `max_tokens`. Without it, a
        # server generates until the context is full. A prompt that is too long fails again.
        response = await self._send(request, first, count, deltas, {})
        return response.cut_by(self.max_model_len or 0)

    async def _send(
        self,
        request: Request,
        first: int,
        count: int,
        deltas: DeltaEmitter | None,
        most: Mapping[str, int],
    ) -> Response:
        content = chat_protocol.body(
            request,
            model=self.model or request.model,
            first=first,
            count=count,
            most=most,
            template_args=self._prompting["template_args"],
            seed=self._host.seed,
            schemas=self._schemas,
        )
        response = await self._client.complete(
            content,
            count,
            schema=request.schema is not None,
            first=first,
            deltas=deltas,
            deadline=request.deadline,
            priority=request.priority,
        )
        check_honoured(request, response, self.url)
        if self._tags is not None:
            tags, samples = self._tags, response.samples.items()
            found = {number: apart(sample, tags) for number, sample in samples}
            response = Response(found, response.usage)
        if request.schema is not None and not self._schemas:
            response = response.without("the schema")
        return response.closed(dict(request.budgets)) if request.budgets else response
