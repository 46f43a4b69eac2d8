"""Outputs of vLLM for one sample: the parts put together, and their log probabilities."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from chainlang.protocol.messages import TopLogprobs


@define(eq=False)
class Output:
    """All of a sample that vLLM has output in parts, as an output of vLLM has it."""

    index: int
    text: str = ""
    token_ids: list[int] = field(factory=list)
    logprobs: list[Any] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None

    def add(self, new: Any) -> None:
        """Add what is new."""
        self.text += new.text
        self.token_ids += new.token_ids
        if new.logprobs is not None:
            self.logprobs = [] if self.logprobs is None else self.logprobs
            self.logprobs += new.logprobs
        self.finish_reason, self.stop_reason = new.finish_reason, new.stop_reason


def logprobs_of(output: Any) -> tuple[float, ...]:
    """Return the log probability of each token; empty unless requested."""
    if output.logprobs is None:
        return ()
    each = zip(output.token_ids, output.logprobs, strict=True)
    return tuple(float(known[token].logprob) for token, known in each)


def likeliest_of(output: Any, count: int) -> tuple[TopLogprobs, ...]:
    """Return the sampled and the `count` likeliest tokens at each position; empty for 0."""
    if not count or output.logprobs is None:
        return ()
    found = []
    for token, known in zip(output.token_ids, output.logprobs, strict=True):
        ranked = sorted(known.values(), key=lambda one: int(one.rank))[:count]
        pairs = [(str(one.decoded_token), float(one.logprob)) for one in (known[token], *ranked)]
        found.append(tuple(pairs))
    return tuple(found)
