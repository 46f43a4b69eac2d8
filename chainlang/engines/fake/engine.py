"""Deterministic engine without a model, for tests.

A reply is a pure function of model, prompt, parameters and seed plus sample number (at temperature
0, without the seed); `max_tokens` only cuts it. So the same chain over the same rows gives the same
results in any order, with any window or batch. Replies, failures and latencies can be scripted;
latencies pass on a virtual clock, without waiting.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from chainlang.diagnostics.render import shown
from chainlang.engines.fake import sampling
from chainlang.engines.fake.budgets import continued, field_over_budget, thought_over_budget
from chainlang.engines.fake.replies import (
    completed_early,
    generated,
    key_of,
    logprobs_of,
    tokens_of,
)
from chainlang.engines.fake.schemas import enforceable
from chainlang.engines.fake.scripts import Answers, Reply, Scripted, arguments, as_list, scripted
from chainlang.engines.fake.tokenizer import CHARACTERS_PER_TOKEN, CharacterTokenizer
from chainlang.engines.protocol import Metrics, Size, refuse
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Finish,
    Request,
    Sample,
    Usage,
    changed,
)

_CAPABILITIES = Capabilities(
    name="fake",
    schemas=True,
    seeds=True,
    batch_invariant=True,
    plain_values=True,
    priorities=False,
    logprobs=True,
    options=(
        *("presence_penalty", "frequency_penalty"),
        *("top_k", "min_p", "min_tokens", "repetition_penalty", "logit_bias", "bad_words"),
        *("stop_token_ids", "ignore_eos", "include_stop", "extra", "choices", "top_logprobs"),
        "template_args",
    ),
    streams=True,
    continues=True,
    closes=True,
    prefixes=True,
    images=True,
    adapters=True,
    decides=True,
    tools=True,
    typed_tools=True,
)


class FakeEngine:
    """A deterministic engine without a model; its module says what replies depend on.

    `answers`: replies, as a function of the request and the sample number, or as a mapping. The
    mapping's keys are matched against the last message: the first key that it contains gives the
    reply, or a list of replies by sample number. A reply is a text or a `Reply`. Default, also if
    `answers` has no match or returns None: a digit, or a JSON value that fits the schema.
    `latency`: function from a request to virtual seconds (default 0); `step` returns the requests
    that finish next and advances `now`.
    `failures`: function from a request to a `Failure` or None.
    `context`: maximum length of prompt and reply together in tokens, at four characters a token.
    `size`: memory in bytes that the engine claims to hold. If it is not 0, the engine has to be
    loaded before requests are submitted, as an engine with a model.

    Raises `EngineError` if `answers` is neither a function nor a mapping, or returns anything that
    is not a reply.

    >>> engine = FakeEngine(answers={"17 + 25": ["42", "41"]})
    >>> from chainlang.protocol.messages import Message, Sampling
    >>> sampling = Sampling(temperature=0.7, max_tokens=8)
    >>> prompt = (Message("user", "What is 17 + 25?"),)
    >>> engine.complete(
    ...     Request(id="1", model="m", messages=prompt, sampling=sampling, seed=0, count=2)
    ... ).samples[1].text
    '41'
    """

    def __init__(
        self,
        *,
        answers: Answers | None = None,
        latency: Callable[[Request], float] | None = None,
        failures: Callable[[Request], Failure | None] | None = None,
        context: int = 1_000_000,
        size: int = 0,
    ) -> None:
        if not (answers is None or callable(answers) or isinstance(answers, Mapping)):
            hint = 'write a dict, {"part of the prompt": "reply"}, or a function'
            refuse(f"answers can't be {shown(answers)}", hint)
        self.answers = answers
        self.latency = latency
        self.failures = failures
        self.context = context
        self.size = Size(size)
        self.loaded = size == 0
        """Whether requests can be submitted."""
        self.loads = 0
        """Number of times it was loaded."""
        self.now = 0.0
        """Virtual time, in seconds."""
        self.submitted = 0
        """Number of requests submitted so far."""
        self.most_in_flight = 0
        """Maximum number of samples in flight at once."""
        self._pending: list[tuple[float, int, Request]] = []
        self._streaming: list[tuple[Completion, int]] = []  # with the characters already returned
        self._in_flight = 0
        self._usage = Usage()
        self._steps = 0

    @property
    def metrics(self) -> Metrics:
        """Counters since it was created. Only steps in which a request finished are counted."""
        return Metrics(self.submitted, self._usage, self._steps)

    @property
    def reader(self) -> CharacterTokenizer:
        """Tokenizer of its prompts. There is no prefix cache."""
        return CharacterTokenizer(self.context)

    @property
    def capabilities(self) -> Capabilities:
        """All but token ids, priorities and deadlines."""
        return _CAPABILITIES

    @property
    def fingerprint(self) -> Fingerprint:
        """Kind, version, context and `answers`: a mapping by its content, a function by name."""
        match self.answers:
            case None:
                answers = "invented"
            case Mapping():
                answers = json.dumps(dict(self.answers), default=as_list)
                answers = hashlib.sha256(answers.encode("utf-8", "surrogatepass")).hexdigest()[:32]
            case function:
                answers = getattr(function, "__qualname__", type(function).__qualname__)
        kind = {"engine": "fake", "version": version_of("chainlang"), "answers": answers}
        return {**kind, "context": self.context}

    def has_room_for(self, adapters: Iterable[str]) -> bool:  # noqa: ARG002  # of the protocol
        """Return True."""
        return True

    def adopt(self, adapter: str, most: int | None = None) -> None:
        """Take any adapter: its replies are those of another model."""

    def fingerprint_with(self, adapter: str) -> Fingerprint:
        """Return the fingerprint with the name of an adapter."""
        return {**self.fingerprint, "adapter": adapter}

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Count a load unless it is loaded, and call `progress` with a message about it."""
        if not self.loaded:
            self.loaded, self.loads = True, self.loads + 1
            if progress is not None:
                progress("loading a fake model")

    def unload(self) -> None:
        """Drop all pending requests; an engine with a size has to be loaded again."""
        self.close()
        self.loaded = self.size.total == 0

    def submit(self, requests: Iterable[Request]) -> None:
        """Enqueue requests; each finishes after its latency. Raises `EngineError` if unloaded."""
        if not self.loaded:
            refuse("the engine is not loaded", "call its load() first")
        for request in requests:
            self.submitted += 1
            self._in_flight += request.drawn
            due = self.now + (self.latency(request) if self.latency else 0.0)
            heapq.heappush(self._pending, (due, self.submitted, request))
        self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        """Advance the clock to the next requests that finish, but not beyond `until`; return them.

        A streamed reply takes a step for each of its tokens.
        """
        if self._streaming:
            return self._stream()
        if until is not None and not (self._pending and self._pending[0][0] <= until):
            self.now = max(self.now, until)
            return []
        finished: list[Completion | Failure | Delta] = []
        usages = [self._usage]
        self._steps += bool(self._pending)
        while self._pending and (not finished or self._pending[0][0] <= self.now):
            due, _, request = heapq.heappop(self._pending)
            self._in_flight -= request.drawn
            self.now = max(self.now, due)
            reply = self.complete(request)
            if isinstance(reply, Completion):
                usages.append(reply.usage)
            if request.stream and isinstance(reply, Completion):
                shown = 0
                if request.begin is not None:
                    begun = request.begin.sample
                    shown = len(begun.reasoning + begun.text)
                self._streaming.append((reply, shown))
            else:
                finished.append(reply)
        self._usage = Usage.total(usages)
        return finished

    def _stream(self) -> list[Completion | Failure | Delta]:
        """Return the next token of each sample of the streamed replies."""
        results: list[Completion | Failure | Delta] = []
        streaming, self._streaming = self._streaming, []
        for reply, start in streaming:
            end = start + CHARACTERS_PER_TOKEN
            for index, sample in enumerate(reply.samples):
                thought = len(sample.reasoning)
                if part := sample.reasoning[start:end]:
                    results.append(Delta(reply.id, index, part, "reasoning"))
                if part := sample.text[max(0, start - thought) : max(0, end - thought)]:
                    results.append(Delta(reply.id, index, part))
            if any(len(sample.reasoning + sample.text) > end for sample in reply.samples):
                self._streaming.append((reply, end))
            else:
                results.append(reply)
        return results

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests."""
        aborted = set(ids)
        self._in_flight -= sum(
            request.drawn for _, _, request in self._pending if request.id in aborted
        )
        self._streaming = [entry for entry in self._streaming if entry[0].id not in aborted]
        self._pending = [entry for entry in self._pending if entry[2].id not in aborted]
        heapq.heapify(self._pending)

    def close(self) -> None:
        """Drop all pending requests."""
        self._pending.clear()
        self._streaming.clear()
        self._in_flight = 0

    def complete(self, request: Request) -> Completion | Failure:
        """Return the completion of one request, without latency."""
        failure = self.failures(request) if self.failures else None
        if failure is not None:
            return attrs.evolve(failure, id=request.id)
        prompt = sum([-(-len(one.text) // CHARACTERS_PER_TOKEN) for one in request.messages])
        if prompt >= self.context:
            message = f"the prompt has {prompt} tokens, the context {self.context}"
            return Failure(request.id, "context", message)
        try:
            enforced = request.schema and enforceable(request.schema, lenient=request.lenient)
        except ValueError as error:
            return Failure(request.id, "constraint", str(error))
        schema, unkept = enforced or (None, ())
        request = changed(request, choices=()) if unkept else request
        if request.adapter:
            model = f"{request.model} with {request.adapter}"
            request = changed(request, model=model)
        drawn = request.drawn
        room = self.context - prompt
        samples: list[Sample] = []
        most = min(request.sampling.max_tokens, room) * CHARACTERS_PER_TOKEN
        is_plain = _is_plain(request)
        for reply in self._replies(request, schema):
            text = reply if is_plain and isinstance(reply, str) and len(reply) <= most else None
            if text is None or (request.budgets and field_over_budget("", text, request, room)):
                samples.append(self._sample(request, reply, room))
            else:
                tokens = tokens_of(text)
                samples.append(Sample(text, "stop", tokens, needs=tokens))
        if unkept:
            samples = [attrs.evolve(sample, unkept=unkept) for sample in samples]
        output = sum([sample.tokens for sample in samples])
        if request.begin is not None:
            prompt += request.begin.sample.tokens
            output -= request.begin.sample.tokens
        usage = Usage(drawn, prompt * drawn, 0, output)
        return Completion(request.id, tuple(samples) * (request.count // drawn), usage)

    def _replies(self, request: Request, schema: Any) -> Iterator[Scripted]:
        """Yield the reply of each sample: that of the script, or else one that is generated."""
        key: tuple[str, str] | None = None
        for index in range(request.drawn):
            reply = None if self.answers is None else scripted(self.answers, request, index)
            if reply is None:
                key = key or key_of(request)
                reply = generated(key, request, schema, index)
            yield reply

    def _sample(self, request: Request, reply: Scripted, room: int) -> Sample:
        """Return a sample; `room` is the number of tokens that the prompt leaves in the context."""
        begin, given = request.begin, request.sampling
        match reply:
            case str(text):
                reasoning = refusal = ""
                calls: tuple[tuple[str, str], ...] = ()
            case Reply(text, reasoning, refusal, given_calls):
                calls = tuple((name, arguments(one)) for name, one in given_calls)
            case _:
                refuse(
                    f"answers returned {shown(reply)}, which is not a reply",
                    "return a text, or a Reply",
                )
        if calls and not request.tools:
            refusal = "the script calls a tool, and the stage has none"
        elif calls:
            tokens = tokens_of("".join(map("".join, calls)))
            return Sample(text, "stop", tokens, reasoning=reasoning, needs=tokens, calls=calls)
        bound = min(given.max_tokens, room)
        if begin is None:
            if (
                reasoning
                and (stopped := thought_over_budget(reasoning, request, bound)) is not None
            ):
                return stopped
        else:
            bound -= begin.sample.closed  # the end of the reasoning is one
            reasoning, text = begin.sample.reasoning, continued(text, begin)
        closed = () if begin is None else begin.sample.closed_fields
        if request.budgets and (found := field_over_budget(reasoning, text, request, room)):
            if found.finish == "budget":
                return found
            text, closed = found.text, found.closed_fields
        most = bound * CHARACTERS_PER_TOKEN
        text, stop = sampling.ended(sampling.endless(text, given, most), given)
        text = request.prefix + text
        finish: Finish = "stop" if len(reasoning + text) <= most else "length"
        is_full = finish == "length" and room < given.max_tokens
        reasoning, text = reasoning[:most], text[: max(0, most - len(reasoning))]
        needs = tokens_of(reasoning + text) + (begin is not None and begin.sample.closed)
        if finish == "stop" and not (reasoning or refusal) and request.choices:
            return attrs.evolve(completed_early(text, request), needs=needs)
        logprobs = logprobs_of(reasoning + text, needs) if request.logprobs else ()
        top = request.top_logprobs
        return Sample(
            text,
            finish,
            needs,
            reasoning=reasoning,
            logprobs=logprobs,
            top_logprobs=sampling.top_logprobs(reasoning + text, logprobs, top) if top else (),
            stop=stop if finish == "stop" else None,
            labels=sampling.label_weights(request) if request.labels else (),
            needs=needs,
            refusal=refusal,
            context=self.context if is_full else None,
            closed=begin is not None and begin.sample.closed,
            closed_fields=closed,
        )


def _is_plain(request: Request) -> bool:
    """Return whether a text that no bound cuts is all there is of a sample."""
    given = request.sampling
    more = (request.choices, request.logprobs, request.labels, request.prefix)
    ends = (given.stop, given.stop_token_ids, given.bad_words, given.ignore_eos)
    return request.begin is None and not (any(more) or any(ends))
