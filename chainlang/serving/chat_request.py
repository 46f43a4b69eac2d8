"""Requests for a chat completion: the body, checked field by field, as the row of a chain."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from chainlang.diagnostics.suggest import suggest
from chainlang.serving.offers import CONVERSATION, QUERY, Offer
from chainlang.serving.refusals import Refused, refused_field

LONGEST_BODY = 4 << 20
"""Maximum number of bytes of a body."""
_SEEDS = range(-(1 << 63), 1 << 63)
_ROLES = frozenset({"system", "developer", "user", "assistant"})
_ONCE = "a chain has one answer; write several into the chain: 3:E"
_TYPED = "the type of an answer is part of the chain"
_TOOLS = "a chain calls no tools of its client"
REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), _ONCE),
    "logprobs": ((False,), "a chain returns none"),
    "top_logprobs": ((0,), "a chain returns none"),
    "tools": (([],), _TOOLS),
    "tool_choice": (("none", "auto"), _TOOLS),
    "functions": (([],), _TOOLS),
    "function_call": (("none", "auto"), _TOOLS),
    "response_format": (({"type": "text"},), _TYPED),
    "modalities": ((["text"],), "a chain answers in text"),
    "audio": ((), "a chain answers in text"),
}
"""Fields that would change what an answer is: their values that change nothing, and the reason why
another is refused. A field that is null is as one that is not there."""
_READ = frozenset({"model", "messages", "fields", "seed", "stream", "stream_options", *REFUSED})


_UNREAD = {"system": "messages.system", "messages": "messages.earlier"}
"""Names of what a chain does not read of a conversation."""


@frozen
class Turn:
    """A message of a conversation."""

    role: str
    text: str


@frozen
class ChatRequest:
    """A checked request for a chat completion."""

    model: str
    turns: tuple[Turn, ...]
    """The messages; the last one is of the user."""
    seed: int | None = None
    streams: bool = False
    wants_usage: bool = False
    """Whether the last chunk of a stream has the usage."""
    ignored: tuple[str, ...] = ()
    """Names of fields without effect."""
    fields: Mapping[str, Any] = field(factory=dict)
    """Further fields of the row."""

    def row(self, offer: Offer) -> tuple[Any, tuple[str, ...]]:
        """Return the row for a chain, and what it does not read of the messages.

        The last text is its text field; ``system`` and ``messages`` are the system text and the
        turns before the last one. Raises `Refused` for further fields that the row does not have,
        and for those that it needs and that are missing.
        """
        self._check_fields(offer)
        *earlier, last = self.turns
        system = [one.text for one in earlier if one.role == "system"]
        before = [{"role": o.role, "content": o.text} for o in earlier if o.role != "system"]
        beside: dict[str, Any] = {"system": "\n\n".join(system), "messages": before}
        given = {name: value for name, value in beside.items() if name in offer.reads}
        unread = tuple(
            _UNREAD[name] for name, value in beside.items() if value and name not in given
        )
        if not given and not self.fields and offer.text_field == QUERY:
            return last.text, unread
        return {offer.text_field: last.text, **given, **self.fields}, unread

    def _check_fields(self, offer: Offer) -> None:
        known: Mapping[str, Any] = offer.fields["properties"]
        for name in self.fields.keys() - known.keys():
            if name in (offer.text_field, *offer.reads & CONVERSATION):
                why = "the messages give this field, so leave it out"
            else:
                hint = suggest(name, known, "there are") or "the model has no further fields"
                why = f"there is no such field: {hint}"
            raise _field_refused(name, why, "unknown_parameter")
        for name in offer.fields["required"]:
            if name not in self.fields:
                why = f'a row of {offer.name} needs it: "fields": {{"{name}": ...}}'
                raise _field_refused(name, why, "missing_required_parameter")


def _field_refused(name: str, why: str, code: str) -> Refused:
    param = f"fields.{noted([name])}"
    return Refused(400, f"{param}: {why}", param=param, code=code)


def read_body(data: bytes) -> dict[str, Any]:
    """Return the fields of a body. Raises `Refused` if it is no JSON object of valid text."""
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, f"the body is not JSON: {why}", code="invalid_json") from error
    if not isinstance(found, dict):
        raise Refused(400, "the body is not a JSON object", code="invalid_json")
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        message = "the body has half of a surrogate pair, which is no character"
        raise Refused(400, message, code="invalid_json") from error
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def read_chat(body: Mapping[str, Any]) -> ChatRequest:
    """Return the request of a body. Raises `Refused` for the first field that is wrong."""
    given = {name: value for name, value in body.items() if value is not None}
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise refused_field("model", "it has to be the name of a model")
    for name, (neutral, why) in REFUSED.items():
        if name in given and not any(_equal(given[name], one) for one in neutral):
            raise refused_field(name, why)
    seed = given.get("seed")
    if seed is not None and (type(seed) is not int or seed not in _SEEDS):
        raise refused_field("seed", "it has to be an integer of 64 bits")
    streams = _truth(given, "stream")
    options = given.get("stream_options", {})
    if not isinstance(options, dict):
        raise refused_field("stream_options", "it has to be an object")
    wants_usage = options.get("include_usage") is not None and _truth(options, "include_usage")
    fields = given.get("fields", {})
    if not isinstance(fields, dict):
        raise refused_field("fields", "it has to be an object: the fields of the row by name")
    ignored = [name for name in given if name not in _READ]
    if options and not streams:
        ignored.append("stream_options")
    messages: Any = given.get("messages")
    turns = tuple(_turns(messages))
    more = (name for one in messages for name in one if name not in ("role", "content"))
    ignored += dict.fromkeys(f"messages.{name}" for name in more)
    return ChatRequest(model, turns, seed, streams, wants_usage, tuple(ignored), fields)


def _equal(value: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; true is not 1."""
    return type(value) is type(other) and bool(value == other)


def _truth(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise refused_field(name, "it has to be true or false")
    return value


def _turns(messages: Any) -> Iterator[Turn]:
    """Yield the turns of the messages."""
    if not isinstance(messages, list) or not messages:
        raise refused_field("messages", "it has to be a list with a message at least")
    for number, one in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(one, dict):
            raise refused_field("messages", f"{where} is no object")
        role = one.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            known = ", ".join(sorted(_ROLES))
            raise refused_field("messages", f"the role of {where} has to be one of {known}")
        text = _text(one.get("content"), where)
        yield Turn("system" if role == "developer" else role, text)
    if role != "user":
        raise refused_field("messages", "the last message has to be of the user")


def _text(content: Any, where: str) -> str:
    """Return the text of a message: a text, or parts of type text, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise refused_field("messages", f"the content of {where} has to be a text, or its parts")
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if kind == "text" else None
        if not isinstance(text, str):
            message = f"{where} has a part that is no text; images and sound are not read"
            raise refused_field("messages", message)
        texts.append(text)
    return "\n".join(texts)


def noted(names: Collection[str]) -> str:
    """Return names of a client as the value of a header, which is plain text and short.

    >>> noted(["top_p", "a\\nb: c"])
    'top_p, a-b--c'
    """
    shown = ["".join(c if c.isascii() and (c.isalnum() or c in "_.") else "-" for c in one[:64])
             for one in [*names][:32]]  # fmt: skip
    return ", ".join(shown)
