"""Counters of vLLM's work, taken from its scheduler, because its own statistics are off."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve

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

    def watch(self, scheduler: Any) -> None:
        """Count the work of a scheduler from now on."""
        schedule = scheduler.schedule

        def watched(*args: Any, **named: Any) -> Any:
            output = schedule(*args, **named)
            for request in output.scheduled_new_reqs:
                self.prompt_tokens += len(request.prompt_token_ids or ())
                self.cached_tokens += request.num_computed_tokens
            self.tokens += output.total_num_scheduled_tokens
            self.preemptions += len(output.preempted_req_ids or ())
            return output

        scheduler.schedule = watched

    def with_prompts(self, usage: Usage) -> Usage:
        """Return the usage of finished samples, with the prompt tokens of all scheduled ones."""
        return evolve(usage, prompt_tokens=self.prompt_tokens, cached_tokens=self.cached_tokens)
