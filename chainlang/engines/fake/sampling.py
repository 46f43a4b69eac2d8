"""Effects of sampling options on fake replies, in which a token is four characters of a text."""

from __future__ import annotations

import hashlib
import json
import math

from chainlang.engines.fake.tokenizer import CHARACTERS_PER_TOKEN, pieces, token_id
from chainlang.protocol.messages import Request, Sampling, TopLogprobs

_DIGITS = "0123456789"
_SPREAD = 10.0  # the logits of the digits without a bias are from 0 to this


def chosen(key: str, sampling: Sampling) -> str | None:
    """Return the digit that biases and forbidden texts leave as the most likely.

    `key` decides among equals. None without biases and forbidden texts, or if all are forbidden.
    """
    if not (sampling.logit_bias or sampling.bad_words):
        return None
    bias = dict(sampling.logit_bias)
    logits = {
        digit: _share(f"{key}{digit}") * _SPREAD
        + bias.get(digit, bias.get(f"#{token_id(digit)}", 0))
        for digit in _DIGITS
        if digit not in sampling.bad_words
    }
    return max(logits, key=logits.__getitem__) if logits else None


def ended(text: str, sampling: Sampling) -> tuple[str, str | int | None]:
    """Return a reply up to its first stop, and that stop; without forbidden texts."""
    if not (sampling.stop or sampling.stop_token_ids or sampling.bad_words):
        return text, None
    for bad in sampling.bad_words:
        text = text.replace(bad, "")
    ends: list[tuple[int, int, str | int]] = [
        (at, len(stop), stop) for stop in sampling.stop if (at := text.find(stop)) >= 0
    ]
    for number, piece in enumerate(pieces(text) if sampling.stop_token_ids else ()):
        if token_id(piece) in sampling.stop_token_ids:
            ends.append((number * CHARACTERS_PER_TOKEN, 0, token_id(piece)))
    if not ends:
        return text, None
    at, length, stop = min(ends, key=lambda end: end[:2])
    return text[: at + (length if sampling.include_stop else 0)], stop


def endless(text: str, sampling: Sampling, most: int) -> str:
    """Return a reply that ignores the end of the model: longer than `most` characters."""
    return text * (1 + most // len(text)) + text if sampling.ignore_eos and text else text


def top_logprobs(text: str, logprobs: tuple[float, ...], count: int) -> tuple[TopLogprobs, ...]:
    """Return the tokens of a text, each with `count` likeliest ones, derived from hashes."""
    found: list[TopLogprobs] = []
    for piece, own in zip(pieces(text), logprobs, strict=False):
        others = [(f"{piece[:2]}{one}", -_share(f"{piece}{one}") - 1.0) for one in range(count - 1)]
        likely = sorted([(piece, own), *others], key=lambda pair: -pair[1])[:count]
        found.append(((piece, own), *likely))
    return tuple(found)


def label_weights(request: Request) -> tuple[float, ...]:
    """Return a probability for each of a request's labels, derived from hashes of the prompt."""
    if not request.labels:
        return ()
    prompt = json.dumps([request.model, [one.text for one in request.messages]])
    odds = [math.exp(3 * _share(prompt + label)) for label in request.labels]
    return tuple(one / sum(odds) for one in odds)


def _share(key: str) -> float:
    """Return a number from 0 to 1 that depends on a text alone."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
