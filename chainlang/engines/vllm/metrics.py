"""What vLLM does, as its scheduler decides it: no statistics need to be on for that."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve

from chainlang.protocol.messages import Usage


@define(eq=False)
class Scheduled:
    """Counts what the schedulers of a model, one for each time it is loaded, give a place."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of them that it found in its cache of prefixes."""
    preemptions: int = 0
    tokens: int = 0
    """All that the model has read or drawn."""

    def watch(self, scheduler: Any) -> None:
        """Count what a scheduler does, from now on."""
        schedule = scheduler.schedule

        def watched(*args: Any, **named: Any) -> Any:
            output = schedule(*args, **named)
            for one in output.scheduled_new_reqs:
                self.prompt_tokens += len(one.prompt_token_ids or ())
                self.cached_tokens += one.num_computed_tokens
            self.tokens += output.total_num_scheduled_tokens
            self.preemptions += len(output.preempted_req_ids or ())
            return output

        scheduler.schedule = watched

    def of(self, drawn: Usage) -> Usage:
        """Return what samples cost that were drawn to their end, with the prompts of all."""
        return evolve(drawn, prompt_tokens=self.prompt_tokens, cached_tokens=self.cached_tokens)
