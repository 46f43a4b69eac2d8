"""Replies: results of chains as chat completions, whole and in chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chainlang.protocol.messages import Usage
from chainlang.semantics.record import Candidate
from chainlang.serving.offers import Offer
from chainlang.session.result import Result

ENDINGS = {"length": "length"}
"""Reason why a reply ended, by that of its sample; for all others it is ``stop``."""
_VOTES = ("votes", "confidence")


@frozen
class Head:
    """Beginning of a reply and of all its chunks."""

    id: str
    created: int
    """Time of the request, in seconds since 1970."""
    model: str

    @staticmethod
    def of(offer: Offer, row_id: str, seed: int, created: int) -> Head:
        """Return the head of a reply: its id is a hash of the chain, the row and the seed."""
        identity = json.dumps([offer.digest, row_id, seed])
        digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        return Head(f"chatcmpl-{digest[:32]}", created, offer.name)

    def _with(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.model, **fields,
        }  # fmt: skip

    def whole(self, result: Result) -> dict[str, Any]:
        """Return the reply of a result."""
        message: dict[str, Any] = {"role": "assistant", "content": content_of(result)}
        if thoughts := reasoning_of(result):
            message["reasoning_content"] = thoughts
        choice = {
            "index": 0, "message": message, "logprobs": None, "finish_reason": ending_of(result),
        }  # fmt: skip
        return self._with(
            "chat.completion",
            choices=[choice],
            usage=usage_of(result.usage),
            chainlang=details_of(result),
        )

    def chunk(
        self, delta: Mapping[str, Any], ending: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Return a chunk of a streamed reply."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ending}
        return self._with("chat.completion.chunk", choices=[choice], **more)

    def last(self, result: Result) -> dict[str, Any]:
        """Return the chunk after all others, with the usage."""
        return self._with("chat.completion.chunk", choices=[], usage=usage_of(result.usage))


def content_of(result: Result) -> str:
    """Return the answer as a text: of a typed answer, and of a branched result, as JSON."""
    answer = _answers(result)
    return answer if isinstance(answer, str) else _json(answer)


def _answers(result: Result) -> Any:
    if result.branches:
        return {name: _answers(one) for name, one in result.branches.items()}
    return result.answer


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _first(result: Result) -> Candidate | None:
    """Return the first candidate; None of a branched result."""
    return None if result.branches or not result.candidates else result.candidates[0]


def reasoning_of(result: Result) -> str:
    """Return what the model thought before its reply, else the reasoning of a judge."""
    first = _first(result)
    if first is None:
        return ""
    said = first.fields.get("reasoning")
    return first.reasoning or (said if isinstance(said, str) else "")


def ending_of(result: Result) -> str:
    """Return the reason why the reply ended."""
    first = _first(result)
    return "stop" if first is None else ENDINGS.get(first.finish, "stop")


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return the tokens of all stages together."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def details_of(result: Result) -> dict[str, Any]:
    """Return what the protocol has no field for: votes, named parts, calls, events."""
    found: dict[str, Any] = {"calls": result.usage.calls}
    if (first := _first(result)) is not None:
        found |= {name: first.fields[name] for name in _VOTES if name in first.fields}
    if not result.branches and result.history:
        found["parts"] = {name: part.answer for name, part in result.history.items()}
    if result.events:
        found["events"] = [one.kind for one in result.events]
    return found
