"""Engine for servers with the chat completions API: OpenAI, `vllm serve`, llama.cpp, Ollama."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from chainlang.diagnostics.suggest import suggest
from chainlang.engines.hosts import Feature, Host, host_of
from chainlang.engines.http.deltas import DeltaEmitter, OnDelta
from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.engine import ServerEngine
from chainlang.engines.http.errors import Rejected
from chainlang.engines.http.rate_limit import Limits
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.batches import ChatBatches
from chainlang.engines.openai.capabilities import capabilities_of
from chainlang.engines.openai.dialect import SERVICE, ChatDialect
from chainlang.engines.openai.health_check import probe
from chainlang.engines.openai.honoured import check_honoured
from chainlang.engines.openai.reasoning import DeltaSplitter, apart
from chainlang.engines.protocol import refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import Fingerprint, Request
from chainlang.protocol.reasoning_tags import REASONING_TAGS, parser_hint
from chainlang.protocol.template_args import canonical, fault

__all__ = ["OpenAIEngine"]

_ANY = Host("", "", None, "", own=False)
"""A server that no document describes."""


class OpenAIEngine(ServerEngine):
    """Sends requests to a server, at most `max_concurrency` at a time.

    `model`: the server's name of the model; None to use the model name of each request.
    `base_url`: the URL before ``/chat/completions``. Its host is this machine, OpenAI, or one of
    `allowed_hosts`, so that a chain from another author can't send prompts and keys elsewhere.
    Several addresses are servers of the same model: the least loaded is next, or one that has seen
    the beginning of the prompt. One that fails gets no requests until a trial is answered; they go
    to the others. `max_concurrency` and rate limits are of each address.
    `name`: name of the model in fingerprints, where it has several addresses.
    `api_key`: the key itself; it is sent in a header and never shown.
    `headers`: further HTTP headers of every request.
    `max_model_len`: context of the server in tokens, if known.
    `reasoning`: name of vLLM's parser of the model's reasoning, such as "qwen3", for models that
    think before they reply. It is needed if the server leaves reasoning in the text.
    `template_args`: arguments of the chat template, such as ``{"enable_thinking": False}``, for
    servers that take `chat_template_kwargs`.
    `honours`: features that a probe has found, before what the documents of the host say.
    `requests_per_minute`, `tokens_per_minute`: rate limits, which hold for all engines of this
    process with this server and key; a request waits before it is sent. The tokens of a prompt are
    estimated and `max_tokens` is reserved, until the reply says how many there were.
    `limits_redis`: address of a Redis server, for limits that processes share.
    `batch`: whether requests go to the batch interface of the provider, which answers within a day;
    `batch_folder` is where open batches are kept, so that another process finds them.
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
        base_url: str | Sequence[str] = SERVICE.url,
        name: str | None = None,
        api_key: str | None = None,
        max_concurrency: int = 32,
        max_model_len: int | None = None,
        headers: Mapping[str, str] | None = None,
        reasoning: str | None = None,
        template_args: Mapping[str, Any] | None = None,
        honours: Mapping[Feature, bool] | None = None,
        allowed_hosts: Collection[str] = (),
        connect_timeout: float = 10.0,
        read_timeout: float = 600.0,
        retry: RetryPolicy | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        limits_redis: str | None = None,
        batch: bool = False,
        batch_folder: Path | None = None,
    ) -> None:
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
        # Servers refuse a `max_tokens` that leaves no room for a prompt.
        self._longest = sys.maxsize if max_model_len is None else max(1, max_model_len - 1)
        super().__init__(
            model,
            service=SERVICE,
            dialect=ChatDialect(),
            base_url=base_url,
            api_key=api_key,
            max_concurrency=max_concurrency,
            max_model_len=max_model_len,
            headers=headers,
            allowed_hosts=allowed_hosts,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retry=retry,
            limits=Limits(requests_per_minute, tokens_per_minute),
            limits_redis=limits_redis,
            batches=ChatBatches() if batch else None,
            batch_folder=batch_folder,
        )
        self._batch, self._name = batch, name
        host = host_of(urlsplit(self.url).netloc) or _ANY
        self._host = evolve(host, honours={**host.honours, **(honours or {})})
        self._several = self._host.honours.get("n", True)
        if template_args and self._host.own:
            what = f"{self._endpoint.host} takes no arguments of a chat template"
            refuse(what, "leave template_args out", setting="template_args")
        self._schemas = self._host.honours.get("schema", True)
        self._bounds = True  # until the server turns out to refuse the bound of a text's length

    @property
    def capabilities(self) -> Capabilities:
        """Seeds, streaming, log probabilities and deadlines, as far as the server supports them."""
        found = capabilities_of(self._host)
        return evolve(found, streams=False) if self._batch else found

    @property
    def fingerprint(self) -> Fingerprint:
        """The server's address and its name of the model; its weights are unknown.

        Of several addresses it is the name of the model, so that any of them may answer.
        """
        known = {"engine": "openai", "version": version_of("chainlang")}
        is_one = len(self.urls) == 1
        known |= {"url": self.url} if is_one else {"name": self._name or self.model or ""}
        context = {} if self.max_model_len is None else {"context": self.max_model_len}
        prompting = {name: value for name, value in self._prompting.items() if value}
        return {**known, "model": self.model, "weights": None, **context, **prompting}

    def _probe(self, endpoint: Endpoint, model: str | None, *, met: bool) -> bool:
        return probe(endpoint, model, connect=self._connect, met=met)

    # ---- in the event loop's thread

    def _posting(self, post: OnDelta) -> OnDelta:
        return post if self._tags is None else DeltaSplitter(self._tags, post)

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
            most=count * min(request.sampling.max_tokens, self._longest),
            deadline=request.deadline,
            priority=request.priority,
            mark=str(request.seed + first),
            patient=not request.has_others,
        )
        check_honoured(request, response, self.url)
        if self._tags is not None:
            tags, samples = self._tags, response.samples.items()
            found = {number: apart(sample, tags) for number, sample in samples}
            response = Response(found, response.usage)
        if request.schema is not None and not self._schemas:
            response = response.without("the schema")
        return response.closed(dict(request.budgets)) if request.budgets else response
