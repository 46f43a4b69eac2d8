"""Probabilities of the labels of a request: each is scored as a reply of its own.

vLLM reads the prompt with a label and the end token after it, and returns the log-probability of
each of these tokens. Their sum is that of the whole reply, whatever is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from chainlang.engines.vllm.tokenize import Prompts


@define(eq=False)
class LabelWeights:
    """Labels of one request that vLLM is scoring."""

    prompts: list[list[int]]
    """Tokens to read for each label."""
    lengths: list[int]
    """Number of tokens of each label, at the end of these."""
    tickets: list[str] = field(factory=list)
    """Ids of the requests that score them."""
    scores: dict[str, float] = field(factory=dict)
    """Log-probability of each label that is scored, by ticket."""
    cached: int = 0
    """Tokens of these prompts that were found in the prefix cache."""

    @classmethod
    def of(
        cls, prompt: Sequence[int], labels: Sequence[str], words: Prompts
    ) -> LabelWeights | None:
        """Return the labels to score after a prompt; None without any."""
        if not labels:
            return None
        assert words.end_id is not None  # `choices` is no option of such an engine
        ends = [[*words.text_ids(label), words.end_id] for label in labels]
        return cls([[*prompt, *end] for end in ends], [len(end) for end in ends])

    def take(self, ticket: str, output: Any) -> None:
        """Add the score of a label."""
        self.cached += output.num_cached_tokens or 0
        length = self.lengths[self.tickets.index(ticket)]
        pairs = list(zip(output.prompt_token_ids, output.prompt_logprobs, strict=True))[-length:]
        self.scores[ticket] = math.fsum(float(known[token].logprob) for token, known in pairs)

    @property
    def tokens(self) -> int:
        """Tokens of all these prompts."""
        return sum(map(len, self.prompts))

    @property
    def longest(self) -> int:
        """Tokens of the longest of these prompts, and the one that vLLM generates after it."""
        return max(map(len, self.prompts)) + 1

    @property
    def is_done(self) -> bool:
        """Whether all labels are scored."""
        return len(self.scores) == len(self.prompts)

    def shares(self) -> tuple[float, ...]:
        """Return the probability of each label among all of them."""
        return shares([self.scores[ticket] for ticket in self.tickets])


def shares(scores: Sequence[float]) -> tuple[float, ...]:
    """Return probabilities from log-probabilities, so that their sum is 1.

    >>> shares([math.log(0.2), math.log(0.2)]), shares([-2000.0, -3000.0])
    ((0.5, 0.5), (1.0, 0.0))
    """
    most = max(scores)
    odds = [math.exp(one - most) for one in scores]
    return tuple(one / math.fsum(odds) for one in odds)


@define(eq=False)
class Scoring:
    """Requests in flight that score labels, each with the ticket of the request with the labels."""

    owners: dict[str, tuple[str, LabelWeights]] = field(factory=dict)

    def begin(self, engine: Any, owner: str, weights: LabelWeights, priority: int) -> None:
        """Submit the labels of a request to vLLM."""
        for number, prompt in enumerate(weights.prompts):
            ticket = f"{owner}-label-{number}"
            given = {"type": "token", "prompt_token_ids": prompt}
            engine.add_request(ticket, given, _scoring_params(), priority=priority)
            weights.tickets.append(ticket)
            self.owners[ticket] = (owner, weights)

    def take(self, output: Any) -> str:
        """Return the ticket of the request whose label an output scores; else the output's own."""
        ticket: str = output.request_id
        owner, weights = self.owners.pop(ticket, (ticket, None))
        if weights is not None:
            weights.take(ticket, output)
        return owner

    def drop(self, weights: LabelWeights | None) -> list[str]:
        """Forget the labels of a request, and return the tickets that vLLM may still have."""
        tickets = weights.tickets if weights is not None else []
        return [ticket for ticket in tickets if self.owners.pop(ticket, None) is not None]


def _scoring_params() -> Any:
    """Return vLLM's sampling parameters of a request that scores its prompt."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        temperature=0,
        max_tokens=1,
        prompt_logprobs=0,  # of the tokens of the prompt only
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
