"""A request on its way through vLLM."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from chainlang.engines.early_completion import completed, longest_rest
from chainlang.engines.grammar.json_schema import BLANKS
from chainlang.engines.vllm.prefill import Form
from chainlang.protocol.messages import Completion, Finish, Request, Sample, Usage


@define(eq=False)
class Flight:
    """A request that vLLM has, and those of its samples that are done."""

    request: Request
    inner: str
    """What vLLM calls it itself."""
    prompt_tokens: int
    most: int
    """Tokens that a sample may have."""
    form: Form | None
    samples: dict[int, Sample] = field(factory=dict)
    cached: int = 0
    told: dict[int, int] = field(factory=dict)
    """How many characters of each sample have been streamed."""
    ended: list[int] = field(factory=list)
    """Samples that were ended because they were decided."""

    @property
    def unkept(self) -> tuple[str, ...]:
        """What of the schema its reply is not held to."""
        return self.form.unkept if self.form else ()

    def text(self, output: Any) -> str:
        """Return what a sample says so far, with what it was given."""
        return (self.form.opening if self.form else "") + str(output.text)

    def decided(self, output: Any, text: str) -> str | None:
        """Return the whole text of a sample that could say nothing else; None while it could."""
        choices = () if self.unkept else self.request.choices
        whole = completed(text, choices) if choices and output.text else None
        if whole is None:
            return None
        drawn = len(output.token_ids)
        return whole if drawn + longest_rest(text, whole, BLANKS) <= self.most else None

    def take(self, output: Any, text: str, finish: Finish) -> None:
        """Keep a sample that is done."""
        ids = tuple(output.token_ids)
        likely = _logprobs(output)
        self.samples[output.index] = Sample(
            text, finish, len(ids), ids, self.unkept, logprobs=likely
        )

    def completion(self) -> Completion:
        """Return the reply, once all samples are done."""
        request, drawn = self.request, self.request.drawn
        samples = tuple(self.samples[index] for index in range(drawn))
        output = sum(sample.tokens for sample in samples)
        usage = Usage(drawn, drawn * self.prompt_tokens, self.cached, output)
        return Completion(request.id, samples * (request.count // drawn), usage)


def _logprobs(output: Any) -> tuple[float, ...]:
    """Return how likely each token of a sample was, where that was asked for."""
    if output.logprobs is None:
        return ()
    each = zip(output.token_ids, output.logprobs, strict=True)
    return tuple(float(known[token].logprob) for token, known in each)
