"""Counters of vLLM's work, taken from its scheduler, because its own statistics are off."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

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
    _by_sample: dict[str, int] = field(factory=dict)
    """Cached prompt tokens of each sample of several in flight, by vLLM's id of it."""

    def add(self, batch: Batch) -> None:
        """Count the work of a batch."""
        self.prompt_tokens += batch.prompt_tokens
        self.cached_tokens += batch.cached_tokens
        self.tokens += batch.tokens
        self.preemptions += batch.preemptions
        self._by_sample.update(batch.cached_by_sample)

    def take_cached(self, samples: Iterable[str]) -> int:
        """Return the cached prompt tokens of samples, by vLLM's ids, and forget them."""
        return sum(self._by_sample.pop(name, 0) for name in samples)

    def with_prompts(self, usage: Usage) -> Usage:
        """Return the usage of finished samples, with the prompt tokens of all scheduled ones."""
        return evolve(usage, prompt_tokens=self.prompt_tokens, cached_tokens=self.cached_tokens)
