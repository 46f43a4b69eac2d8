"""Counters of vLLM's work, taken from its scheduler, because its own statistics are off."""

from __future__ import annotations

from attrs import define, evolve

from chainlang.engines.vllm.private_api import Batch
from chainlang.protocol.messages import Usage


@define(eq=False)
class SchedulerCounts:
    """Counts over all schedulers of a model; there is one for each time it is loaded."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens found in the prefix cache."""
    preemptions: int = 0
    tokens: int = 0
    """All computed tokens, of prompts and replies."""

    def add(self, batch: Batch) -> None:
        """Count the work of a batch."""
        self.prompt_tokens += batch.prompt_tokens
        self.cached_tokens += batch.cached_tokens
        self.tokens += batch.tokens
        self.preemptions += batch.preemptions

    def with_prompts(self, usage: Usage) -> Usage:
        """Return the usage of finished samples, with the prompt tokens of all scheduled ones."""
        return evolve(usage, prompt_tokens=self.prompt_tokens, cached_tokens=self.cached_tokens)
