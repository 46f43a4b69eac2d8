"""An engine that needs no model: for tests, yours as well as ours.

A reply is a pure function of model, prompt, parameters and seed plus sample number (at temperature
0, of the first three), so whatever the order, the window or the batch, the same chain over the same
rows gives the same results. Answers can be scripted, and so can latencies, on a clock that needs no
waiting, and failures.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, TypeAlias

import attrs

from chainlang.diagnostics.render import shown
from chainlang.engines.early_completion import completed
from chainlang.engines.fake.schemas import readable, value
from chainlang.engines.protocol import Metrics, Size, refuse
from chainlang.protocol.messages import (
    Capabilities,
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Finish,
    Message,
    Request,
    Sample,
    Sampling,
    Usage,
)


@attrs.frozen
class Reply:
    """A scripted reply, with what the model thought before it.

    >>> engine = FakeEngine(answers={"17 + 25": Reply("42", reasoning="7 + 5 is 12, so ...")})
    """

    text: str
    reasoning: str = ""


@attrs.frozen
class Pieces:
    """Reads four characters as a token, each message by itself."""

    context: int | None
    block: int | None = None

    def token_ids(
        self,
        messages: Iterable[Message],
        schema: str | None = None,  # noqa: ARG002  # nothing of a reply is part of a prompt here
    ) -> list[int]:
        """Return a number for each piece of a prompt, the same for the same piece."""
        step = _CHARACTERS_PER_TOKEN
        return [
            zlib.crc32(message.text[start : start + step].encode("utf-8", "surrogatepass"))
            for message in messages
            for start in range(0, len(message.text), step)
        ]


Said: TypeAlias = str | Reply
Answers: TypeAlias = Callable[[Request, int], Said | None] | Mapping[str, Said | Sequence[Said]]

_CHARACTERS_PER_TOKEN = 4
_PLAIN = 10  # how many different answers it gives when nobody has scripted any


class FakeEngine:
    """A deterministic engine. See the module for what its replies depend on.

    `answers` is a function of the request and the sample number, or a table from a text that the
    prompt contains to a reply, or to a list of replies by sample number. A reply is a text, or a
    `Reply` that has reasoning too; where `answers` gives None or has no entry, it is a digit, or a
    JSON value that fits the schema. `latency` is a function
    from a request to virtual seconds: `step` returns what finishes next and moves `now` there.
    `failures` is a function from a request to a `Failure` or None. `context` is the longest prompt
    in tokens, at four characters a token. `size` is the memory that it says it holds, in bytes: an
    engine that holds any is asked only while it is loaded, as one with a model is.

    Raises `EngineError` for `answers` of another kind, and when they give what is no reply.

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
            hint = 'write a table, {"a piece of the prompt": "its reply"}, or a function'
            refuse(f"answers can't be {shown(answers)}", hint)
        self.answers = answers
        self.latency = latency
        self.failures = failures
        self.context = context
        self.size = Size(size)
        self.loaded = size == 0
        """Whether it can be asked."""
        self.loads = 0
        """How many times it was loaded."""
        self.now = 0.0
        """The virtual time, in seconds."""
        self.submitted = 0
        """How many requests were submitted, ever."""
        self.most_in_flight = 0
        """The most samples that were in flight at once."""
        self._pending: list[tuple[float, int, Request]] = []
        self._streaming: list[tuple[Completion, int]] = []  # and how much of each has been told
        self._in_flight = 0
        self._usage = Usage()
        self._steps = 0

    @property
    def metrics(self) -> Metrics:
        """What it has done; a step is one in which something finished."""
        return Metrics(self.submitted, self._usage, self._steps)

    @property
    def reader(self) -> Pieces:
        """It keeps nothing of a prompt."""
        return Pieces(self.context)

    @property
    def capabilities(self) -> Capabilities:
        """Everything: it is a function."""
        return Capabilities(
            name="fake",
            schemas=True,
            seeds=True,
            batch_invariant=True,
            plain_values=True,
            priorities=False,
            logprobs=True,
            streams=True,
            decides=True,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Its kind, version, context and answers: a table by content, a function by name."""
        match self.answers:
            case None:
                answers = "invented"
            case Mapping():
                answers = json.dumps(dict(self.answers), default=_listed)
                answers = hashlib.sha256(answers.encode("utf-8", "surrogatepass")).hexdigest()[:32]
            case function:
                answers = getattr(function, "__qualname__", type(function).__qualname__)
        found = {"engine": "fake", "version": version("chainlang"), "answers": answers}
        return {**found, "context": self.context}

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Count a load, if it is not loaded; `progress` is told of it."""
        if not self.loaded:
            self.loaded, self.loads = True, self.loads + 1
            if progress is not None:
                progress("loading a fake model")

    def unload(self) -> None:
        """Forget everything that is pending; one that holds memory is not there any more."""
        self.close()
        self.loaded = self.size.total == 0

    def submit(self, requests: Iterable[Request]) -> None:
        """Take requests; each will finish after its latency. Raises `EngineError` if not loaded."""
        if not self.loaded:
            refuse("the engine is not loaded", "call its load() first")
        for request in requests:
            self.submitted += 1
            self._in_flight += request.drawn
            due = self.now + (self.latency(request) if self.latency else 0.0)
            heapq.heappush(self._pending, (due, self.submitted, request))
        self.most_in_flight = max(self.most_in_flight, self._in_flight)

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        """Return everything that finishes next, after moving the clock there, or up to `until`.

        A reply that is streamed takes a step for each of its tokens.
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
                self._streaming.append((reply, 0))
            else:
                finished.append(reply)
        self._usage = Usage.total(usages)
        return finished

    def _stream(self) -> list[Completion | Failure | Delta]:
        """Return one more token of each sample of the replies that are streamed."""
        found: list[Completion | Failure | Delta] = []
        streaming, self._streaming = self._streaming, []
        for reply, start in streaming:
            end = start + _CHARACTERS_PER_TOKEN
            texts = enumerate(sample.text[start:end] for sample in reply.samples)
            found += [Delta(reply.id, index, text) for index, text in texts if text]
            if any(len(sample.text) > end for sample in reply.samples):
                self._streaming.append((reply, end))
            else:
                found.append(reply)
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests."""
        gone = set(ids)
        self._in_flight -= sum(one.drawn for _, _, one in self._pending if one.id in gone)
        self._streaming = [entry for entry in self._streaming if entry[0].id not in gone]
        self._pending = [entry for entry in self._pending if entry[2].id not in gone]
        heapq.heapify(self._pending)

    def close(self) -> None:
        """Forget everything that is pending."""
        self._pending.clear()
        self._streaming.clear()
        self._in_flight = 0

    def complete(self, request: Request) -> Completion | Failure:
        """Return the reply to one request, at once: the function that this engine is."""
        failure = self.failures(request) if self.failures else None
        if failure is not None:
            return attrs.evolve(failure, id=request.id)
        prompt = sum(_tokens(message.text) for message in request.messages)
        if prompt > self.context:
            message = f"the prompt has {prompt} tokens, the context {self.context}"
            return Failure(request.id, "context", message)
        try:
            kept = request.schema and readable(request.schema, lenient=request.lenient)
        except ValueError as error:
            return Failure(request.id, "constraint", str(error))
        schema, unkept = kept or (None, ())
        request = attrs.evolve(request, choices=()) if unkept else request
        drawn = request.drawn
        samples = [self._sample(request, schema, index) for index in range(drawn)]
        if unkept:
            samples = [attrs.evolve(one, unkept=unkept) for one in samples]
        output = sum([sample.tokens for sample in samples])
        usage = Usage(drawn, prompt * drawn, 0, output)
        return Completion(request.id, tuple(samples) * (request.count // drawn), usage)

    def _sample(self, request: Request, schema: Any, index: int) -> Sample:
        said = self._scripted(request, index)
        if said is None:
            said = _invented(request, schema, index)
        match said:
            case str(text):
                thought = ""
            case Reply(text, thought):
                pass
            case _:
                refuse(f"answers gave {shown(said)}, which is no reply", "give a text, or a Reply")
        ends = [at for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
        if ends:
            text = text[: min(ends)]
        most = request.sampling.max_tokens * _CHARACTERS_PER_TOKEN
        finish: Finish = "stop" if len(thought + text) <= most else "length"
        thought, text = thought[:most], text[: max(0, most - len(thought))]
        if finish == "stop" and not thought and request.choices:
            return _ended(text, request)
        tokens = _tokens(thought + text)
        likely = _likely(thought + text, tokens) if request.logprobs else ()
        return Sample(text, finish, tokens, reasoning=thought, logprobs=likely)

    def _scripted(self, request: Request, index: int) -> Said | None:
        if self.answers is None:
            return None
        if callable(self.answers):
            return self.answers(request, index)
        prompt = request.messages[-1].text
        for part, reply in self.answers.items():
            if part in prompt:
                if isinstance(reply, Said) or not isinstance(reply, Sequence):
                    return reply
                return reply[index % len(reply)]
        return None


def _listed(said: Any) -> list[Any]:
    return list(attrs.astuple(said) if isinstance(said, Reply) else said)


def _ended(text: str, request: Request) -> Sample:
    """Return a reply that ends with the token that decides it; the whole one, if none does."""
    whole, said = completed(text, request.choices), text
    if whole is not None:  # else it is none of the choices, whatever its beginning looks like
        for end in range(_CHARACTERS_PER_TOKEN, len(text), _CHARACTERS_PER_TOKEN):
            rest = completed(text[:end], request.choices)
            if rest is not None:
                text, said = rest, text[:end]
                break
    tokens = _tokens(said)
    likely = _likely(said, tokens) if request.logprobs else ()
    return Sample(text, "stop", tokens, logprobs=likely)


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def _likely(text: str, tokens: int) -> tuple[float, ...]:
    """Return how likely each token of a text was, drawn from a hash of the text."""
    draws = _Draws(text.encode("utf-8", "surrogatepass"))
    return tuple(-draws.below(1000) / 1000 for _ in range(tokens))


def _invented(request: Request, schema: Any, index: int) -> str:
    """Return a reply drawn from a hash of everything that a reply may depend on."""
    sampling = request.sampling
    number = request.seed + index if sampling.temperature > 0 else None
    prompt = [(message.role, message.text) for message in request.messages]
    key = json.dumps([request.model, prompt, _parameters(sampling), request.schema, number])
    draws = _Draws(key.encode("utf-8", "surrogatepass"))
    if schema is None:
        return str(draws.below(_PLAIN))
    return json.dumps(value(schema, schema, draws.below))


@lru_cache(maxsize=1024)
def _parameters(sampling: Sampling) -> tuple[Any, ...]:
    return attrs.astuple(sampling)


class _Draws:
    """Numbers from a hash: the same for the same key."""

    def __init__(self, key: bytes) -> None:
        self.state = hashlib.blake2b(key, digest_size=16).digest()

    def below(self, bound: int) -> int:
        drawn = int.from_bytes(self.state[:8], "big")
        self.state = hashlib.blake2b(self.state, digest_size=16).digest()
        return drawn % bound
