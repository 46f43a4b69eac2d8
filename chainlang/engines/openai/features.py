"""Probe of a server: which features it honours, found with a few short requests.

Servers may ignore what they do not know, without a word. So a reply shows whether a feature was
honoured: one that fits a schema which no reply fits by chance, the same words for the same seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from chainlang.engines.hosts import Feature
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.protocol.messages import Completion, Delta, Failure, Message, Request, Sampling

_SEA = (Message("user", "Write a poem of two lines about the sea."),)
_WORDS = (Message("user", "Write three random words, and nothing else."),)
_FITS = {"zebra": "yes"}
_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"zebra": {"enum": ["yes"]}},
        "required": ["zebra"],
        "additionalProperties": False,
    }
)
_SEEDS = (7, 7, 8, 9)
SAMPLES = 4 + len(_SEEDS)
"""Number of samples that a probe draws."""
ALL: dict[Feature, bool] = {"schema": True, "n": True, "seed": True, "logprobs": True}
"""Features that a probe looks for; an engine that asks for them has to take them for honoured."""


def features(engine: OpenAIEngine, model: str) -> dict[Feature, bool]:
    """Return whether a server honours each feature; what can't be told is left out.

    `engine` is one that takes all of them for honoured. Raises `EngineError` as its `probe` does.

    The requests have 32 tokens at most each.
    """
    found: dict[Feature, bool] = {}
    replies = _replies(engine, _requests(model))
    if (fits := _honoured(replies["schema"])) is not None:
        found["schema"] = fits and _is_fit(replies["schema"])
    if isinstance(replies["n"], Completion):
        found["n"] = engine.several
    if (told := _honoured(replies["logprobs"])) is not None:
        found["logprobs"] = told
    texts = [_text(replies[f"seed {number}"]) for number in range(len(_SEEDS))]
    if None not in texts and len(set(texts)) > 1:  # else the model has no other words
        found["seed"] = texts[0] == texts[1]
    return found


def _requests(model: str) -> Iterator[Request]:
    warm = Sampling(temperature=1.0, max_tokens=16)
    cold = Sampling(temperature=0.0, max_tokens=32)
    yield Request(
        id="schema", model=model, messages=_SEA, sampling=cold, seed=1, schema=_SCHEMA, lenient=True
    )
    yield Request(id="n", model=model, messages=_WORDS, sampling=warm, seed=1, count=2)
    yield Request(id="logprobs", model=model, messages=_WORDS, sampling=warm, seed=1, logprobs=True)
    for number, seed in enumerate(_SEEDS):
        name = f"seed {number}"
        yield Request(id=name, model=model, messages=_WORDS, sampling=warm, seed=seed)


def _replies(engine: OpenAIEngine, requests: Iterator[Request]) -> dict[str, Completion | Failure]:
    asked = list(requests)
    engine.submit(asked)
    found: dict[str, Completion | Failure] = {}
    while len(found) < len(asked):
        found |= {one.id: one for one in engine.step() if not isinstance(one, Delta)}
    return found


def _honoured(reply: Completion | Failure) -> bool | None:
    """Return whether a request was answered; None if it has failed for another reason."""
    if isinstance(reply, Completion):
        return True
    return False if reply.kind in ("refused", "constraint") else None


def _is_fit(reply: Completion | Failure) -> bool:
    try:
        return bool(json.loads(_text(reply) or "") == _FITS)
    except (ValueError, RecursionError):
        return False


def _text(reply: Completion | Failure) -> str | None:
    return reply.samples[0].text if isinstance(reply, Completion) else None
