"""Streamed chat completions: assembles the whole response of events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.event_stream import EventStream
from chainlang.engines.http.json_values import as_index, as_list, as_object
from chainlang.engines.openai.read_response import REASONING, STOPS, parts_of
from chainlang.protocol.messages import TextKind

_TOOLS = frozenset({"tool_calls", "function_call"})


@define
class _Choice:
    """One sample of a stream, as far as it has been received."""

    parts: dict[str, list[str]] = field(factory=dict)
    """Fragments of each text field of its message, by the field's name."""
    others: dict[str, Any] = field(factory=dict)
    """The last value of each field that is no text, such as the tools that a model calls."""
    unread: list[Any] = field(factory=list)
    """Parts of its content that are no text."""
    lengths: dict[TextKind, int] = field(factory=dict)
    """Number of characters of each kind of text."""
    thought: str = ""
    """Field of its reasoning: some servers send it in two."""
    logprobs: list[Any] = field(factory=list)
    finish: Any = None
    stop: Any = None
    """Stop that has ended it, from servers that report one."""

    def whole(self, index: int) -> dict[str, Any]:
        texts = {name: "".join(parts) for name, parts in self.parts.items()}
        message: dict[str, Any] = {**self.others, **texts}
        if self.unread:
            message["content"] = [message.get("content", ""), *self.unread]
        elif not (texts or _TOOLS & self.others.keys()):
            message["content"] = ""
        choice = {"index": index, "message": message, "finish_reason": self.finish}
        choice |= {} if self.stop is None else {"stop_reason": self.stop}
        return {**choice, "logprobs": {"content": self.logprobs}} if self.logprobs else choice

    def add(self, name: str, text: str) -> None:
        """Add to a text field."""
        self.parts.setdefault(name, []).append(text)

    def read(self, content: list[Any]) -> dict[str, str]:
        """Return the texts of a content in parts by field, and keep what else it says."""
        parts = parts_of(content)
        if parts.other:
            self.unread.append({"type": parts.other})
        said = {"reasoning": parts.reasoning, "content": parts.text, "refusal": parts.refusal}
        return {name: text for name, text in said.items() if text}

    def kind_of(self, name: str) -> TextKind | None:
        """Return the kind of text of a field of its message; None for another field."""
        if name in REASONING:
            self.thought = self.thought or name
        return "text" if name == "content" else "reasoning" if name == self.thought else None

    def added(self, kind: TextKind, text: str) -> int:
        """Count a text of a kind; return how many characters are before it."""
        start = self.lengths.get(kind, 0)
        self.lengths[kind] = start + len(text)
        return start


@define
class StreamedResponse:
    """A streamed response as far as it has been received."""

    deltas: DeltaEmitter
    first: int
    """Number of the response's first sample in the request."""
    count: int
    """Number of samples that the response is for; others are dropped."""
    error: Any = None
    """The server's error event, if there was one."""
    _choices: dict[int, _Choice] = field(factory=dict)
    _usage: Any = None
    _ended: bool = False
    _events: EventStream = field(factory=EventStream)

    def feed(self, received: bytes) -> None:
        """Add received bytes and emit the text in them.

        Raises `ValueError` for an event that is not JSON, `Malformed` for one of another shape,
        `LongEvent` and `Diverged`.
        """
        for data in self._events.feed(received):
            if data == b"[DONE]":
                self._ended = True
            else:
                self._read(json.loads(data))

    def document(self) -> dict[str, Any] | None:
        """Return the response in the form of an unstreamed one; None if it is incomplete."""
        if self.error is not None:
            return dict(self.error)
        finished = [choice for choice in self._choices.values() if choice.finish is not None]
        if not self._ended and len(finished) < self.count:
            return None
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        return {"choices": choices, "usage": self._usage}

    def _read(self, event: Any) -> None:
        event = as_object(event, "the event")
        if event.get("error"):
            self.error = event
        self._usage = event.get("usage") or self._usage
        for position, one in enumerate(as_list(event.get("choices"), "`choices`")):
            where = f"`choices[{position}]`"
            choice = as_object(one, where)
            index = as_index(choice.get("index", position), where)
            if index < self.count:
                self._add(index, choice, where)

    def _add(self, index: int, event: Mapping[str, Any], where: str) -> None:
        choice = self._choices.setdefault(index, _Choice())
        choice.finish = event.get("finish_reason") or choice.finish
        for name in STOPS:
            choice.stop = choice.stop if event.get(name) is None else event[name]
        logprobs = event.get("logprobs")
        if isinstance(logprobs, dict):
            choice.logprobs += as_list(logprobs.get("content"), f"{where}.logprobs.content")
        delta = as_object(event.get("delta") or {}, f"{where}.delta")
        parts = delta.get("content")
        if isinstance(parts, list):
            delta = {**delta, "content": None, **choice.read(parts)}
        for name, value in delta.items():
            if isinstance(value, str) and name != "role":
                choice.add(name, value)
                if (kind := choice.kind_of(name)) is not None:
                    start = choice.added(kind, value)
                    self.deltas.emit(self.first + index, start, value, kind)
            elif value:
                choice.others[name] = value
