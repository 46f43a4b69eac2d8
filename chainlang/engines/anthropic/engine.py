"""Engine for Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from chainlang.engines.anthropic import messages_protocol
from chainlang.engines.anthropic.batches import MessageBatches
from chainlang.engines.anthropic.dialect import SERVICE, MessagesDialect
from chainlang.engines.anthropic.model_info import ModelInfo, probe
from chainlang.engines.anthropic.schemas import Unfit, reduced
from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.engine import ServerEngine
from chainlang.engines.http.errors import Rejected
from chainlang.engines.http.rate_limit import Limits
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.protocol import refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import Fingerprint, Request
from chainlang.protocol.template_args import canonical

__all__ = ["AnthropicEngine"]

_THINKING = ("enabled", "adaptive", "disabled")


class AnthropicEngine(ServerEngine):
    """Sends requests to Anthropic, or to a server of its Messages API.

    `model`: the server's name of the model; None to use the model name of each request.
    `base_url`: the URL before ``/messages``. Its host is this machine, Anthropic, or one of
    `allowed_hosts`, so that a chain from another author can't send prompts and keys elsewhere.
    Several addresses are servers of the same model, and `name` its name, as of `OpenAIEngine`.
    `api_key`: the key itself; it is sent in a header and never shown.
    `headers`: further HTTP headers of every request, such as ``anthropic-beta``.
    `thinking`: configuration of the model's reasoning, such as ``{"type": "adaptive"}``. The
    temperature is then 1.
    `requests_per_minute`, `tokens_per_minute`, `limits_redis`, `batch`, `batch_folder`,
    `connect_timeout`, `read_timeout`, `retry`: as of `OpenAIEngine`.

    Before the first request, `probe` reads the server's entry of the model.

    Each sample is a request of its own, and there are no seeds: samples differ from run to run.
    The temperature is at most 1. Schemas are enforced without bounds, patterns and free keys, for
    which replies are validated; each sample says what has been left out.

    Raises `EngineError` for an invalid address or key, and if httpx2 is not installed.

    >>> AnthropicEngine("claude-sonnet-4-5", api_key="sk-1")
    AnthropicEngine('claude-sonnet-4-5', base_url='https://api.anthropic.com/v1', ...)
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | Sequence[str] = SERVICE.url,
        name: str | None = None,
        api_key: str | None = None,
        max_concurrency: int = 32,
        headers: Mapping[str, str] | None = None,
        thinking: Mapping[str, Any] | None = None,
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
        if thinking is not None and thinking.get("type") not in _THINKING:
            hint = 'write {"type": "adaptive"}, or {"type": "enabled", "budget_tokens": 2048}'
            refuse(
                f"thinking has no type that is known: {dict(thinking)}", hint, setting="thinking"
            )
        self._thinking = dict(thinking or {})
        super().__init__(
            model,
            service=SERVICE,
            dialect=MessagesDialect(),
            base_url=base_url,
            api_key=api_key,
            max_concurrency=max_concurrency,
            max_model_len=None,
            headers=headers,
            allowed_hosts=allowed_hosts,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retry=retry,
            limits=Limits(requests_per_minute, tokens_per_minute),
            limits_redis=limits_redis,
            batches=MessageBatches() if batch else None,
            batch_folder=batch_folder,
        )
        self._batch, self._name = batch, name
        self._several = False
        self._info: dict[str | None, ModelInfo] = {}
        self._most: dict[str, int] = {}
        """Maximum number of tokens of a reply, of models whose server has refused more."""

    @property
    def capabilities(self) -> Capabilities:
        """Streaming, images and deadlines; neither seeds nor log probabilities."""
        thinks = self._thinking.get("type", "disabled") != "disabled"
        return Capabilities(
            name="anthropic",
            schemas=False,
            seeds=False,
            batch_invariant=False,
            plain_values=False,
            priorities=True,
            options=("extra",) if thinks else ("extra", "top_k"),
            streams=not self._batch,
            tools=not thinks,  # thinking blocks would have to be sent back
            images=all(one.images is not False for one in self._info.values()),
            temperatures=(1.0, 1.0) if thinks else (0.0, 1.0),
            blank_stops=False,
            deadlines=True,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """The server's address and its name of the model; its weights are unknown.

        Of several addresses it is the name of the model, so that any of them may answer.
        """
        known = {"engine": "anthropic", "version": version_of("chainlang")}
        is_one = len(self.urls) == 1
        known |= {"url": self.url} if is_one else {"name": self._name or self.model or ""}
        thinking = {"thinking": canonical(self._thinking)} if self._thinking else {}
        return {**known, "model": self.model, "weights": None, **thinking}

    def _probe(self, endpoint: Endpoint, model: str | None, *, met: bool) -> bool:
        found = probe(endpoint, model, connect=self._connect, met=met)
        if found is not None and self._info.get(model, ModelInfo()) == ModelInfo():
            self._info[model] = found  # the first that says anything: all serve the same model
        return found is not None

    # ---- in the event loop's thread

    async def _complete(
        self, request: Request, first: int, count: int, deltas: DeltaEmitter | None
    ) -> Response:
        assert count == 1
        low, high = self.capabilities.temperatures
        if not low <= request.sampling.temperature <= high:
            what = f"takes no temperature of {request.sampling.temperature:g}"
            raise Rejected("refused", f"the anthropic engine {what}")
        model = self.model or request.model
        info = self._info.get(model, ModelInfo())
        parts = _left_out(request, schemas=info.schemas is not False)
        asked = request.sampling.max_tokens
        most = min(asked, self._most.get(model, asked), info.most or asked)
        try:
            response = await self._send(request, model, most, first, deltas)
        except Rejected as error:
            if error.most is None or error.most >= most:
                raise
            if error.kind != "context":  # the model writes no more, whatever the prompt
                self._most[model] = error.most
            most = error.most
            response = await self._send(request, model, most, first, deltas)
        if response.samples[0].context is not None:
            response = response.cut_by(info.context or 0)
        elif most < asked:
            response = response.cut_by(0)
        return response.without(*parts)

    async def _send(
        self, request: Request, model: str, most: int, first: int, deltas: DeltaEmitter | None
    ) -> Response:
        info = self._info.get(model, ModelInfo())
        schemas = info.schemas is not False
        content = messages_protocol.body(
            request, model=model, most=most, thinking=self._thinking, schemas=schemas
        )
        return await self._client.complete(
            content,
            1,
            schema=request.schema is not None,
            first=first,
            deltas=deltas,
            most=most,
            deadline=request.deadline,
            priority=request.priority,
            mark=str(request.seed + first),
            patient=not request.has_others,
        )


def _left_out(request: Request, *, schemas: bool) -> tuple[str, ...]:
    """Return the parts of a request's schema that are not sent. Raises `Rejected`."""
    if request.schema is None:
        return ()
    if not schemas:
        return ("the schema",)
    try:
        _, parts = reduced(request.schema)
    except Unfit as why:
        raise Rejected("constraint", f"the schema can't be enforced: {why}") from None
    budgets = tuple(f'the budget of "{name}"' for name, _ in request.budgets)
    return (*parts, *budgets)
