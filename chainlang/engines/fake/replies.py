"""Replies of the fake engine that no script gives, and the tokens of its texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import attrs

from chainlang.engines.early_completion import completed
from chainlang.engines.fake import sampling
from chainlang.engines.fake.schemas import sample_value
from chainlang.engines.fake.tokenizer import CHARACTERS_PER_TOKEN
from chainlang.protocol.json_encoder import encoder
from chainlang.protocol.messages import FIRST_PARAMETERS, Request, Sample, Sampling, later

_ENCODE = encoder(ascii_only=True, nan=True)
_TEXT = json.encoder.encode_basestring_ascii
_DIGITS = 10  # number of different free-text replies without a script
_ANY_LENGTH = 1024  # stands for each `max_tokens` in the hash of which a reply is made


def completed_early(text: str, request: Request) -> Sample:
    """Return a sample that stops at the first token after which a single choice is left."""
    whole, generated = completed(text, request.choices), text
    if whole is not None:  # else it is none of the choices, although its beginning may fit one
        for end in range(CHARACTERS_PER_TOKEN, len(text), CHARACTERS_PER_TOKEN):
            rest = completed(text[:end], request.choices)
            if rest is not None:
                text, generated = rest, text[:end]
                break
    tokens = tokens_of(generated)
    logprobs = logprobs_of(generated, tokens) if request.logprobs else ()
    weights = sampling.label_weights(request)
    return Sample(text, "stop", tokens, logprobs=logprobs, labels=weights)


def tokens_of(text: str) -> int:
    """Return the number of tokens of a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def logprobs_of(text: str, tokens: int) -> tuple[float, ...]:
    """Return a log probability for each token, derived from a hash of the text."""
    numbers = _hashed(text)
    return tuple(-(next(numbers) % 1000) / 1000 for _ in range(tokens))


def key_of(request: Request) -> tuple[str, str]:
    """Return what all samples of a request depend on: a text before the seed, and one after it."""
    messages = [
        f'["{one.role}", {_TEXT(one.text)}{f", {_ENCODE(one.images)}" if one.images else ""}]'
        for one in request.messages
    ]
    fixed = _fixed(request.sampling, request.schema)
    end = f", {_TEXT(request.template_args)}" if request.template_args else ""
    end += f", {_TEXT(f'prefix {request.prefix}')}" if request.prefix else ""
    return f"[{_TEXT(request.model)}, [{', '.join(messages)}], {fixed}", end


def generated(key: tuple[str, str], request: Request, schema: Any, index: int) -> str:
    """Return a reply derived from a hash of everything that a reply depends on.

    `key` is that of the request.
    """
    number = request.seed + index if request.sampling.temperature > 0 else "null"
    text = f"{key[0]}, {number}{key[1]}]"
    if schema is None:
        return sampling.chosen(text, request.sampling) or str(_number(_state(text)) % _DIGITS)
    numbers = _hashed(text)
    return _ENCODE(sample_value(schema, schema, lambda bound: next(numbers) % bound))


@lru_cache(maxsize=1024)
def _fixed(given: Sampling, schema: str | None) -> str:
    """Return the JSON of the parameters and the schema, which a reply depends on.

    `max_tokens` cuts it, and does no more.
    """
    given = attrs.evolve(given, max_tokens=_ANY_LENGTH)
    parameters = (*(getattr(given, name) for name in FIRST_PARAMETERS), *later(given))
    return f"{_ENCODE(parameters)}, {_ENCODE(schema)}"


def _hashed(text: str) -> Iterator[int]:
    """Yield pseudo-random numbers of 64 bits that depend on a text alone."""
    state = _state(text)
    while True:
        yield _number(state)
        state = hashlib.blake2b(state, digest_size=16).digest()


def _state(text: str) -> bytes:
    """Return what the first number of `_hashed` is made of."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _number(state: bytes) -> int:
    return int.from_bytes(state[:8], "big")
