"""Keys of samples: hashes of all that a sample depends on, in numbered formats.

That is the engine's fingerprint, the messages, the sampling parameters, the schema and the seed. So
a resumed run, or another chain with an equal request, has the same key. Bounds of length are in the
key only of a sample that they may have ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeAlias

from attrs import field, frozen

from chainlang.protocol.fingerprints import CONTEXT, is_dated, of_format_1, without_bounds
from chainlang.protocol.json_encoder import encoder
from chainlang.protocol.messages import (
    FIRST_PARAMETERS,
    Fingerprint,
    Message,
    Request,
    Sampling,
    later,
)


@frozen
class Keys:
    """The keys of the samples of one request."""

    bounded: list[bytes]
    """Keys of samples that `max_tokens` or the context may have ended."""
    whole: list[bytes] = field(factory=list)
    """Keys of samples that ended by themselves; empty in a format without such keys."""

    def __iter__(self) -> Any:
        """Iterate over all keys."""
        yield from self.bounded
        yield from self.whole


MakeKeys: TypeAlias = Callable[[Request], Keys]
KeyFormat: TypeAlias = Callable[[Fingerprint], MakeKeys]
"""Function of an engine's fingerprint that returns the function which makes keys of requests."""


def format_1(fingerprint: Fingerprint) -> MakeKeys:
    """Return the function that makes keys of format 1, in which all bounds are in each key.

    >>> from attrs import evolve
    >>> from chainlang.protocol.messages import Message, Sampling
    >>> one = Request(
    ...     id="1", model="m", messages=(Message("user", "Hi"),),
    ...     sampling=Sampling(temperature=0.7, max_tokens=8), seed=3, count=2,
    ... )
    >>> make = format_1({"engine": "fake"})
    >>> make(one).bounded[1] == make(evolve(one, id="2", seed=4, count=1)).bounded[0]
    True
    """
    engine = _text(of_format_1(fingerprint))
    dated = is_dated(fingerprint)

    def make(request: Request) -> Keys:
        if dated:  # the date of such samples is not known
            return Keys([])
        parts = [engine, request.model, _messages(request), _parameters(request.sampling)]
        marks = (*later(request.sampling), *_marks(request))
        base = _hashed([*parts, request.schema, *marks, *_budgets(request)])
        return Keys(_each(base, request))

    return make


def format_2(fingerprint: Fingerprint) -> MakeKeys:
    """Return the function that makes keys of format 2, in which whole samples have no bounds.

    >>> from attrs import evolve
    >>> from chainlang.protocol.messages import Sampling
    >>> one = Request(
    ...     id="1", model="m", messages=(), sampling=Sampling(temperature=0, max_tokens=8), seed=0
    ... )
    >>> longer = evolve(one, sampling=Sampling(temperature=0, max_tokens=9))
    >>> make = format_2({"engine": "fake", "context": 100})
    >>> make(one).whole == make(longer).whole, make(one).bounded == make(longer).bounded
    (True, False)
    """
    context = fingerprint.get(CONTEXT)
    engine = _text(without_bounds(fingerprint))
    dated = is_dated(fingerprint)
    begins: dict[str, str] = {}
    parameters: dict[int, _Parameters] = {}
    """Parameters by identity: 0 is another text than 0.0, and equal to it."""

    def make(request: Request) -> Keys:
        sampling = request.sampling
        # The beginning is the same for all requests of a model, the parameters for a step.
        begin = begins.get(request.model)
        if begin is None:
            begin = begins[request.model] = _ENCODE([2, engine, request.model])[:-1]
        known = parameters.get(id(sampling))
        if known is None:
            if len(parameters) >= _MOST:
                parameters.clear()
            known = parameters[id(sampling)] = _Parameters.of(sampling, context)
        marks = (*known.later, *_marks(request, request.date if dated else None))
        schema = "null" if request.schema is None else _QUOTED(request.schema)
        more = f", {_ENCODE(marks)[1:]}" if marks else "]"
        rest = f"{known.unbounded}, {schema}{more}"
        text = f"{begin}, {_text_of(request)}, {rest}"
        base = hashlib.blake2b(text.encode(), digest_size=16)
        whole = _each(base, request)
        budgets = _budgets(request)
        bounds = _ENCODE((sampling.max_tokens, context, *budgets)) if budgets else known.bounds
        base.update(bounds.encode())
        return Keys(_each(base, request), whole)

    return make


KEY_FORMATS: Mapping[int, KeyFormat] = {2: format_2, 1: format_1}
"""Formats of keys by number, the newest first.

Samples are recorded under the newest, and looked up under each in turn. A new format begins its
hash with its number, so that no two formats have a key in common, and stays here as long as caches
or journals may have entries of it.
"""

_ENCODE = encoder(ascii_only=True, nan=True)
_QUOTED = json.encoder.encode_basestring_ascii
_MOST = 1024  # parameters that are kept; of a run they are those of its stages, or of their rows
# Not cached by equality: 0 and 0.0 are equal and differ as JSON, so a key would depend on which of
# them a process has met first.
_parameters = attrgetter(*FIRST_PARAMETERS)
_unbounded = attrgetter(*(name for name in FIRST_PARAMETERS if name != "max_tokens"))


@frozen
class _Parameters:
    """Sampling parameters, and their parts in keys."""

    sampling: Sampling
    """Themselves, so that no others have their identity."""
    unbounded: str
    """JSON of those that are no bounds."""
    bounds: str
    """JSON of the bounds, with the context of the model."""
    later: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, sampling: Sampling, context: object) -> _Parameters:
        bounds = _ENCODE((sampling.max_tokens, context))
        return cls(sampling, _ENCODE(_unbounded(sampling)), bounds, later(sampling))


def _text_of(request: Request) -> str:
    """Return the JSON of `_messages`."""
    each = [
        f'["{one.role}", {_QUOTED(one.text)}]'
        for one in request.messages
        if not (one.images or one.calls or one.call_id)
    ]
    if len(each) == len(request.messages):  # as of most requests, and without an encoder
        return f"[{', '.join(each)}]"
    return _ENCODE(_messages(request))


def _messages(request: Request) -> list[tuple[object, ...]]:
    return [
        (one.role, one.text, *([one.images] if one.images else ()), *_of_tools(one))
        for one in request.messages
    ]


def _of_tools(message: Message) -> tuple[object, ...]:
    """Return what a message has of calls; nothing for most messages."""
    if not message.calls and not message.call_id:
        return ()
    return ([[one.id, one.name, one.arguments] for one in message.calls], message.call_id)


def _marks(request: Request, date: str | None = None) -> list[Any]:
    """Return what a sample depends on besides the parameters; nothing for most requests.

    `date` is None for a model whose prompts do not depend on it.
    """
    marks: list[Any] = []
    if request.top_logprobs:
        marks.append(["top_logprobs", request.top_logprobs])
    if request.labels:
        marks.append(["labels", request.labels])
    if request.logprobs:  # the sample has the same text, and more data
        marks.append("logprobs")
    if request.prefix:
        marks.append(["prefix", request.prefix])
    if request.template_args:
        marks.append(f"template_args {request.template_args}")
    if request.thinking_tokens is not None:
        marks.append(f"thinking_tokens {request.thinking_tokens}")
    if request.choices:  # the sample has the same value, but a shorter text
        marks.append("choices")
    if request.tools:
        each = [[one.name, one.description, one.parameters] for one in request.tools]
        marks.append(["tools", *each])
    if request.redraw:
        marks.append(f"redraw {request.redraw}")
    if date is not None:
        marks.append(f"date {date}")
    return marks


def _budgets(request: Request) -> list[Any]:
    """Return the budgets of fields, which are bounds; nothing for most requests."""
    return [["budgets", *request.budgets]] if request.budgets else []


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _hashed(parts: Iterable[Any]) -> hashlib.blake2b:
    return hashlib.blake2b(_ENCODE(list(parts)).encode(), digest_size=16)


def _each(base: hashlib.blake2b, request: Request) -> list[bytes]:
    """Return the key of each sample of a request. At temperature 0 all have the same key."""
    if request.sampling.temperature == 0:
        return [base.digest()] * request.count
    found, seed, copy = [], request.seed, base.copy
    for number in range(request.count):
        one = copy()
        one.update(b"%d" % (seed + number))
        found.append(one.digest())
    return found
