"""State of a request that vLLM is working on."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from chainlang.engines.early_completion import completed, longest_rest
from chainlang.engines.grammar.json_schema import BLANKS
from chainlang.engines.vllm.label_weights import LabelWeights
from chainlang.engines.vllm.prefill import Constraint
from chainlang.protocol.messages import Completion, Finish, Request, Sample, TopLogprobs, Usage


@define(eq=False)
class RequestInFlight:
    """A request that vLLM is working on, with its finished samples."""

    request: Request
    inner: str
    """vLLM's internal id of the request."""
    prompt_tokens: int
    most: int
    """Maximum number of tokens of a sample."""
    context: int | None
    """Size of the context if it sets that maximum; None if `max_tokens` does."""
    constraint: Constraint | None
    weights: LabelWeights | None = None
    """Scores of the request's labels; None without any."""
    samples: dict[int, Sample] = field(factory=dict)
    cached: int = 0
    """Prompt tokens found in the prefix cache, over all samples."""
    emitted: dict[int, int] = field(factory=dict)
    """Number of characters of each sample that have been streamed."""
    stopped: dict[int, int] = field(factory=dict)
    """Samples that were stopped early, each with the most tokens that its rest could have had."""

    @property
    def unkept(self) -> tuple[str, ...]:
        """Parts of the schema that vLLM does not enforce."""
        return self.constraint.unkept if self.constraint else ()

    def text(self, output: Any) -> str:
        """Return the text of a sample so far, with its prefill."""
        return (self.constraint.prefill if self.constraint else "") + str(output.text)

    def completed(self, output: Any, text: str) -> str | None:
        """Return the whole text of a sample if a single choice is left; else None.

        The sample then counts as stopped.
        """
        choices = () if self.unkept else self.request.choices
        whole = completed(text, choices) if choices and output.text else None
        if whole is None:
            return None
        rest = longest_rest(text, whole, BLANKS)
        if len(output.token_ids) + rest > self.most:
            return None
        self.stopped[output.index] = rest
        return whole

    def take(self, output: Any, text: str, finish: Finish) -> None:
        """Add a finished sample."""
        ids = tuple(output.token_ids)
        given = len(self.constraint.prefill_ids) if self.constraint else 0
        needs = given + len(ids) + self.stopped.get(output.index, 0)
        self.samples[output.index] = Sample(
            text,
            finish,
            len(ids),
            ids,
            self.unkept,
            logprobs=_logprobs(output),
            top_logprobs=_likeliest(output, self.request.top_logprobs),
            stop=output.stop_reason if finish == "stop" else None,
            needs=needs,
            context=self.context if finish == "length" else None,
        )

    @property
    def is_done(self) -> bool:
        """Whether all samples are finished, and all labels scored."""
        scored = self.weights is None or self.weights.is_done
        return scored and len(self.samples) >= self.request.drawn

    def completion(self) -> Completion:
        """Return the completion, once all samples are finished."""
        request, drawn = self.request, self.request.drawn
        samples = tuple(self.samples[index] for index in range(drawn))
        if self.weights is not None:
            labels = self.weights.shares()
            samples = tuple(evolve(sample, labels=labels) for sample in samples)
        output = sum(sample.tokens for sample in samples)
        usage = Usage(drawn, drawn * self.prompt_tokens, self.cached, output)
        return Completion(request.id, samples * (request.count // drawn), usage)


def _logprobs(output: Any) -> tuple[float, ...]:
    """Return the log probability of each token; empty unless requested."""
    if output.logprobs is None:
        return ()
    each = zip(output.token_ids, output.logprobs, strict=True)
    return tuple(float(known[token].logprob) for token, known in each)


def _likeliest(output: Any, count: int) -> tuple[TopLogprobs, ...]:
    """Return the sampled and the `count` likeliest tokens at each position; empty for 0."""
    if not count or output.logprobs is None:
        return ()
    found = []
    for token, known in zip(output.token_ids, output.logprobs, strict=True):
        ranked = sorted(known.values(), key=lambda one: int(one.rank))[:count]
        pairs = [(str(one.decoded_token), float(one.logprob)) for one in (known[token], *ranked)]
        found.append(tuple(pairs))
    return tuple(found)
