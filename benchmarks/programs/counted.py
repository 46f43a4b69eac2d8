"""What an engine of vLLM in this process did, step by step, as its scheduler says."""

from __future__ import annotations

from typing import Any

BLOCK = 32


class Counted:
    """Counts the steps of an engine. `core` is what vLLM calls the core of its engine."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._schedule, core.scheduler.schedule = core.scheduler.schedule, self._counted
        settings = core.vllm_config.scheduler_config
        self.seats, self.budget = settings.max_num_seqs, settings.max_num_batched_tokens
        self.begin()

    def begin(self) -> None:
        """Begin anew, with an empty cache of prefixes."""
        assert self._core.reset_prefix_cache()
        self._steps: list[tuple[bool, int, int, int]] = []
        self._prompts: list[list[int]] = []
        self._preempted = self._again = 0

    def _counted(self, *arguments: Any) -> Any:
        scheduler = self._core.scheduler
        before = {one.request_id for one in scheduler.running}
        output = self._schedule(*arguments)
        taken, resumed = output.num_scheduled_tokens, output.scheduled_cached_reqs.resumed_req_ids
        self._preempted += len(before - {one.request_id for one in scheduler.running})
        self._again += sum(taken[one] for one in resumed)
        self._prompts += [one.prompt_token_ids for one in output.scheduled_new_reqs]
        new = [taken[one.req_id] for one in output.scheduled_new_reqs]
        waiting = bool(scheduler.waiting)
        if taken:  # no prompt is read in parts, so each that takes part draws a token
            self._steps.append((waiting, len(taken), sum(new), len(new)))
        return output

    def counts(self) -> dict[str, int]:
        """Return the figures of all steps since the beginning, and the length of all prompts."""
        return {**self._of(self._steps), "prompt": sum(map(len, self._prompts))}

    def report(self) -> dict[str, Any]:
        """Return what was counted since the beginning, beside the bounds."""
        from chainlang.plan.prefix_cache_bound import bound  # where it was not in earlier versions

        least, prompt = bound(self._prompts, BLOCK), sum(map(len, self._prompts))
        reused = (prompt - least) // BLOCK
        return {
            **self.counts(),
            "crowded": self._of([one for one in self._steps if one[0]]),
            "samples": len(self._prompts),
            "least": least,
            "new": bound(self._prompts, 1),
            "blocks": sum((len(one) - 1) // BLOCK for one in self._prompts) - reused,
            "widest": max(map(len, self._prompts), default=0),
            "preempted": self._preempted,
            "again": self._again,
            "seats": self.seats,
        }

    def _of(self, steps: list[tuple[bool, int, int, int]]) -> dict[str, int]:
        """Return the figures of some steps, and how few they could have been."""
        drawn, computed, begun = (sum(one[at] for one in steps) for at in (1, 2, 3))
        return {
            "steps": len(steps),
            "tokens": drawn,
            "computed": computed,
            "fewest": max(-(-drawn // self.seats), -(-(computed + drawn - begun) // self.budget)),
        }
