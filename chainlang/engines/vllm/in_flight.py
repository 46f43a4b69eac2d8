"""State of a request that vLLM is working on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from attrs import define, evolve, field

from chainlang.engines import closing
from chainlang.engines.early_completion import completed, longest_rest
from chainlang.engines.grammar.json_schema import BLANKS
from chainlang.engines.vllm.outputs import Output, likeliest_of, logprobs_of
from chainlang.engines.vllm.private_api import inner_id
from chainlang.engines.vllm.reasoning import Tags
from chainlang.engines.vllm.request_layout import Layout, is_heard
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Finish,
    Request,
    Sample,
    TextKind,
    Usage,
)
from chainlang.protocol.reasoning_tags import begins, split

_ESCAPE = 11  # characters of an escaped character of JSON without the last, which may be dropped
_ENDING = 8  # tokens without which closing a field would leave no room for the next
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
    """Prompt tokens of a single sample that were found in the prefix cache."""
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
    outputs: dict[int, Output] = field(factory=dict)
    """All that vLLM has output of each sample, if in parts."""
    drawn: int = field(init=False)
    """Number of samples to generate."""
    is_heard: bool = field(init=False)
    has_budget: bool = field(init=False)
    """Whether the reasoning of samples, or a field of them, has a budget."""

    def __attrs_post_init__(self) -> None:
        self.drawn = self.request.drawn
        self.is_heard = is_heard(self.request, self.layout)
        self.has_budget = bool(self.layout.budgets) or self.request.thinking_tokens is not None

    @property
    def unkept(self) -> tuple[str, ...]:
        """Parts of the schema that vLLM does not enforce."""
        return self.layout.constraint.unkept if self.layout.constraint else ()

    def so_far(self, new: Any) -> Any:
        """Return all of a sample up to an output of vLLM, which has what is new."""
        if new.index not in self.outputs and new.finish_reason is not None:
            return new  # its only output
        whole = self.outputs.setdefault(new.index, Output(new.index))
        whole.add(new)
        return whole

    def texts(self, output: Any) -> tuple[str, str]:
        """Return the reasoning of a sample so far, and its text, with its prefill."""
        text, tags = str(output.text), self.prompts.tags
        if self.layout.state == "ended" or tags is None:
            prefill = self.layout.constraint.prefill if self.layout.constraint else ""
            text = self.request.prefix + prefill + text
            begin = self.request.begin
            if begin is None:
                return "", text
            return begin.sample.reasoning, text.lstrip() if self.layout.is_rest else text
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
        stops = self.request.sampling.stop if self.layout.thinks else ()
        held = max((len(stop) - 1 for stop in stops), default=0)
        held = max(held, _ESCAPE) if self.layout.budgets else held
        if held and not done:
            text = text[: max(0, len(text) - held)]
        begin = self.request.begin
        thought, said = (0, 0) if begin is None else map(len, _said(begin.sample))
        parts: tuple[tuple[TextKind, str, int], ...]
        parts = (("reasoning", reasoning, thought), ("text", text, said))
        for kind, whole, start in parts:
            emitted = self.emitted.get((index, kind), start)
            if len(whole) > emitted:
                self.emitted[index, kind] = len(whole)
                yield Delta(self.request.id, index, whole[emitted:], kind)

    def last_deltas(self, index: int) -> Iterator[Delta]:
        """Yield what is new in the texts of a sample that a budget has stopped, if it streams."""
        if self.request.stream:
            sample = self.samples[index]
            yield from self.deltas(index, sample.reasoning, sample.text, done=True)

    def over_budget(self, output: Any) -> bool:
        """Add a sample of which a part is longer than its budget; return whether one is."""
        return self.has_budget and (
            self._thought_over_budget(output) or self._field_over_budget(output)
        )

    def _field_over_budget(self, output: Any) -> bool:
        """Add a sample with a field that is longer than its budget; return whether it has one."""
        budgets, ids, tags = self.layout.budgets, output.token_ids, self.prompts.tags
        if not budgets or self.request.schema is None:
            return False
        if len(ids) < min(budgets.values()) and output.finish_reason != "length":
            return False
        start = 0
        if self.layout.state != "ended" and tags is not None:
            end = self._end(output, tags)
            if end is None:
                return False
            start = end + 1
        prefill = self.layout.constraint.prefill_ids if self.layout.constraint else ()
        spelled = partial(_spelled, self.prompts, prefill, list(ids[start:]))
        is_cut = output.finish_reason == "length"
        for name, budget in budgets.items():
            following = closing.after(self.request.schema, name)
            is_last = is_cut and following is None
            count = over(spelled, len(ids) - start, name, budget, is_last=is_last)
            if count is not None:
                break
        else:
            return False
        count, text = start + count, spelled(count)
        if following is not None and count + _ENDING >= self.layout.most:
            return False
        reasoning, _ = self.texts(output)
        if following is None:
            self.take(output, reasoning, text + '"}', "stop", count=count, closed=name)
        else:
            self.take(output, reasoning, text, "budget", count=count, closed=name)
        return True

    def _thought_over_budget(self, output: Any) -> bool:
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
            logprobs=logprobs_of(output)[:budget],
            top_logprobs=likeliest_of(output, self.request.top_logprobs)[:budget],
            closed=True,
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
        self,
        output: Any,
        reasoning: str,
        text: str,
        finish: Finish,
        stop: str | None = None,
        *,
        count: int | None = None,
        closed: str = "",
    ) -> None:
        """Add a finished sample, or the beginning of one with a field that was closed.

        `stop` is the stop string that ended it, if vLLM does not know. `count`: the number of its
        tokens that are part of it; None for all. `closed`: the field.
        """
        calls: tuple[tuple[str, str], ...] = ()
        if finish == "stop" and self.request.tools and self.prompts.calls is not None:
            text, calls = self.prompts.calls.calls_in(text, self.request.tools)
        ids, logprobs = tuple(output.token_ids)[:count], logprobs_of(output)[:count]
        likeliest = likeliest_of(output, self.request.top_logprobs)[:count]
        begin, tags = self.request.begin, self.prompts.tags
        spelled = (*self.layout.given, *ids) if finish == "budget" else ()
        if begin is not None:
            ended = (tags,) if self.layout.is_rest and tags is not None else ()
            ids = (*begin.sample.token_ids, *(one.end_id for one in ended), *ids)
            if logprobs:
                logprobs = (*begin.sample.logprobs, *(0.0 for _ in ended), *logprobs)
            if likeliest:
                ends = [((one.texts[1], 0.0),) for one in ended]
                likeliest = (*begin.sample.top_logprobs, *ends, *likeliest)
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
            stop=(output.stop_reason if stop is None else stop)
            if finish == "stop" and not closed
            else None,
            needs=needs,
            context=self.layout.context if finish == "length" else None,
            closed=begin is not None and begin.sample.closed,
            closed_fields=(
                *(begin.sample.closed_fields if begin is not None else ()),
                *((closed,) if closed else ()),
            ),
            spelled=spelled,
            calls=calls,
        )

    @property
    def is_done(self) -> bool:
        """Whether all samples are finished, and all labels scored."""
        scored = self.layout.weights is None or self.layout.weights.is_done
        return scored and len(self.samples) >= self.drawn

    def note_cached(self, output: Any) -> None:
        """Note the cached prompt tokens of a single sample from its last output."""
        if self.drawn == 1:
            self.cached = output.num_cached_tokens or 0

    @property
    def several(self) -> list[str]:
        """Ids that vLLM has for the samples, if there are several."""
        of = self.drawn
        return [inner_id(self.inner, index, of=of) for index in range(of)] if of > 1 else []

    def failure(self, reason: str | None) -> Failure:
        """Return the failure of a request that vLLM has ended for a reason of its own."""
        if self.request.schema is not None:
            return Failure(self.request.id, "constraint", "vLLM could not compile the schema")
        return Failure(self.request.id, "engine", f"vLLM gave up on the request: {reason}")

    def completion(self, cached: int) -> Completion:
        """Return the completion, once all samples are finished.

        `cached`: prompt tokens of several samples that were found in the prefix cache.
        """
        request, drawn = self.request, self.drawn
        samples = tuple(self.samples[index] for index in range(drawn))
        prompts, weights = drawn * len(self.layout.prompt), self.layout.weights
        if weights is not None:
            labels = weights.shares()
            samples = tuple(evolve(sample, labels=labels) for sample in samples)
            prompts += weights.tokens
            cached += weights.cached
        output = sum(sample.tokens for sample in samples)
        output -= request.begin.sample.tokens if request.begin is not None else 0
        usage = Usage(drawn, prompts, self.cached + cached, output)
        return Completion(request.id, samples * (request.count // drawn), usage)


def over(
    spelled: Callable[[int], str], count: int, name: str, budget: int, *, is_last: bool = False
) -> int | None:
    """Return after how many tokens a field has to be closed; None if it is within its budget.

    `is_last`: the last field of a reply that was cut is closed wherever that was.

    `spelled` returns the reply up to a number of tokens, of which there are `count`. A field is
    within its budget if its closing quote is among so many tokens from the opening one on.
    """
    start, end = closing.texts(spelled(count)).get(name, (None, None))
    if start is None:
        return None
    first = bisect_right(range(count), start, key=lambda one: len(spelled(one))) - 1
    last = min(max(0, first) + budget, count if is_last else count + 1)
    if last > count or (end is not None and len(spelled(last)) >= end):
        return None
    for stop in range(last, first, -1):  # not within an escape or a character
        text = spelled(stop)
        if not text.endswith("\ufffd") and closing.is_clean(text, start):
            return stop
    return None


def _spelled(prompts: Prompts, prefill: tuple[int, ...], ids: list[int], count: int) -> str:
    return prompts.decoded([*prefill, *ids[:count]])


def _said(sample: Sample) -> tuple[str, str]:
    return sample.reasoning, sample.text
