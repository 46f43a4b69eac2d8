"""State of a request that vLLM is working on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, evolve, field

from chainlang.engines.early_completion import completed, longest_rest
from chainlang.engines.grammar.json_schema import BLANKS
from chainlang.engines.vllm.reasoning import Tags
from chainlang.engines.vllm.request_layout import Layout
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Finish,
    Request,
    Sample,
    TextKind,
    TopLogprobs,
    Usage,
)
from chainlang.protocol.reasoning_tags import begins, split

_UNTHOUGHT = "the whole type, since the reply does not begin with reasoning"


@define(eq=False)
class RequestInFlight:
    """A request that vLLM is working on, with its finished samples."""

    request: Request
    inner: str
    """vLLM's internal id of the request."""
    layout: Layout
    prompts: Prompts
    samples: dict[int, Sample] = field(factory=dict)
    cached: int = 0
    """Prompt tokens found in the prefix cache, over all samples."""
    emitted: dict[tuple[int, TextKind], int] = field(factory=dict)
    """Number of characters that have been streamed, by sample and kind of text."""
    ended_early: bool = False
    """Whether a sample was stopped before vLLM ended it."""
    ends: dict[int, int] = field(factory=dict)
    """Number of tokens before the end of reasoning, by sample."""
    searched: dict[int, int] = field(factory=dict)
    """Number of tokens of each sample that were searched for that end."""
    rests: dict[int, int] = field(factory=dict)
    """Samples that were stopped early, each with the most tokens that its rest could have had."""

    @property
    def unkept(self) -> tuple[str, ...]:
        """Parts of the schema that vLLM does not enforce."""
        return self.layout.constraint.unkept if self.layout.constraint else ()

    def texts(self, output: Any) -> tuple[str, str]:
        """Return the reasoning of a sample so far, and its text, with its prefill."""
        text, tags = str(output.text), self.prompts.tags
        if self.layout.state == "ended" or tags is None:
            prefill = self.layout.constraint.prefill if self.layout.constraint else ""
            text = self.request.prefix + prefill + text
            begin = self.request.begin
            return ("", text) if begin is None else (begin.sample.reasoning, text.lstrip())
        spelled, end = 0, self._end(output, tags)
        if end is not None and text.count(tags.texts[1]) > 1:
            spelled = self.prompts.decoded(output.token_ids[:end]).count(tags.texts[1])
        return split(tags.texts, self.layout.state, text, spelled)

    def _end(self, output: Any, tags: Tags) -> int | None:
        """Return the number of tokens before the end of reasoning; None if it has not ended."""
        index, ids = output.index, output.token_ids
        if index not in self.ends:
            start, self.searched[index] = self.searched.get(index, 0), len(ids)
            new = list(ids[start:])
            if tags.end_id in new:
                self.ends[index] = start + new.index(tags.end_id)
        return self.ends.get(index)

    def is_all_reasoning(self, output: Any) -> bool:
        """Return whether a sample has no text yet, because it still is reasoning."""
        tags = self.prompts.tags
        if self.layout.state == "ended" or tags is None or self._end(output, tags) is not None:
            return False
        return self.layout.state == "open" or begins(tags.texts, output.text)

    def deltas(self, index: int, reasoning: str, text: str, *, done: bool) -> Iterator[Delta]:
        """Yield what is new in the texts of a sample; what may begin a stop string comes later."""
        stops = self.request.sampling.stop
        if stops and self.layout.thinks and not done:
            text = text[: max(0, len(text) - max(map(len, stops)) + 1)]
        begin = self.request.begin
        known = 0 if begin is None else len(begin.sample.reasoning)
        parts: tuple[tuple[TextKind, str, int], ...]
        parts = (("reasoning", reasoning, known), ("text", text, 0))
        for kind, whole, start in parts:
            emitted = self.emitted.get((index, kind), start)
            if len(whole) > emitted:
                self.emitted[index, kind] = len(whole)
                yield Delta(self.request.id, index, whole[emitted:], kind)

    def over_budget(self, output: Any) -> bool:
        """Add a sample whose reasoning is longer than its budget; return whether it is.

        One more token than the budget is generated, since it may be the end of the reasoning.
        """
        budget, tags = self.request.thinking_tokens, self.prompts.tags
        if budget is None or tags is None or budget + 1 >= self.layout.most:
            return False
        if len(output.token_ids) <= budget or not self.is_all_reasoning(output):
            end = self._end(output, tags)
            if end is None or end <= budget:
                return False
        ids = tuple(output.token_ids)
        text = self.prompts.decoded(ids[:budget])
        reasoning, _ = split(tags.texts, "open", text, text.count(tags.texts[1]))
        self.samples[output.index] = Sample(
            "",
            "budget",
            budget,
            ids[:budget],
            reasoning=reasoning,
            logprobs=_logprobs(output)[:budget],
            top_logprobs=_likeliest(output, self.request.top_logprobs)[:budget],
        )
        return True

    def stopped(self, text: str) -> tuple[str, str | None]:
        """Return the text up to the first stop string, and that; None for no stop string.

        A stop string ends a text, and never the reasoning before it.
        """
        if not self.layout.thinks:
            return text, None  # vLLM itself looks for them
        sampling = self.request.sampling
        found = [(at, stop) for stop in sampling.stop if (at := text.find(stop)) >= 0]
        if not found:
            return text, None
        at, stop = min(found)
        return text[: at + len(stop) * sampling.include_stop], stop

    def completed(self, output: Any, text: str) -> str | None:
        """Return the whole text of a sample if a single choice is left; else None.

        The sample then counts as stopped.
        """
        choices = () if self.unkept else self.request.choices
        whole = completed(text, choices) if choices and output.text and text else None
        if whole is None:
            return None
        rest = longest_rest(text, whole, BLANKS)
        if len(output.token_ids) + rest > self.layout.most:
            return None
        self.rests[output.index] = rest
        return whole

    def take(
        self, output: Any, reasoning: str, text: str, finish: Finish, stop: str | None = None
    ) -> None:
        """Add a finished sample; `stop` is the stop string that ended it, if vLLM does not know."""
        ids, logprobs = tuple(output.token_ids), _logprobs(output)
        likeliest = _likeliest(output, self.request.top_logprobs)
        begin, tags = self.request.begin, self.prompts.tags
        if begin is not None and tags is not None:
            ids = (*begin.sample.token_ids, tags.end_id, *ids)
            logprobs = (*begin.sample.logprobs, 0.0, *logprobs) if logprobs else ()
            ended = ((tags.texts[1], 0.0),)
            likeliest = (*begin.sample.top_logprobs, ended, *likeliest) if likeliest else ()
        given = len(self.layout.constraint.prefill_ids) if self.layout.constraint else 0
        needs = self.layout.prefix + given + len(ids) + self.rests.get(output.index, 0)
        unkept = self.unkept
        if self.request.schema and not reasoning and self.layout.state != "ended":
            unkept = (*unkept, _UNTHOUGHT)
        self.samples[output.index] = Sample(
            text,
            finish,
            len(ids),
            ids,
            unkept,
            reasoning=reasoning,
            logprobs=logprobs,
            top_logprobs=likeliest,
            stop=(output.stop_reason if stop is None else stop) if finish == "stop" else None,
            needs=needs,
            context=self.layout.context if finish == "length" else None,
            closed=begin is not None,
        )

    @property
    def is_done(self) -> bool:
        """Whether all samples are finished, and all labels scored."""
        scored = self.layout.weights is None or self.layout.weights.is_done
        return scored and len(self.samples) >= self.request.drawn

    def completion(self) -> Completion:
        """Return the completion, once all samples are finished."""
        request, drawn = self.request, self.request.drawn
        samples = tuple(self.samples[index] for index in range(drawn))
        if self.layout.weights is not None:
            labels = self.layout.weights.shares()
            samples = tuple(evolve(sample, labels=labels) for sample in samples)
        output = sum(sample.tokens for sample in samples)
        output -= request.begin.sample.tokens if request.begin is not None else 0
        usage = Usage(drawn, drawn * len(self.layout.prompt), self.cached, output)
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
