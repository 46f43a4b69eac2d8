"""Engine for a `vllm serve` that `chainlang warmup` has started, whose model is known."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Fingerprint


class WarmEngine(OpenAIEngine):
    """An `OpenAIEngine` whose server has a known model, which holds replies to their schemas."""

    def __init__(
        self, model: str, fingerprint: Fingerprint, *, batch_invariant: bool, **arguments: Any
    ) -> None:
        super().__init__(model, **arguments)
        self._known = fingerprint
        self._batch_invariant = batch_invariant

    @property
    def capabilities(self) -> Capabilities:
        """Those of a server, which enforces schemas; the server parses special tokens in values."""
        found = super().capabilities
        return evolve(
            found,
            name="warm",
            schemas=True,
            batch_invariant=self._batch_invariant,
            images=False,
            tools=False,
            typed_tools=False,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Digests of the model's files, version of vLLM and device: no address."""
        return self._known
