"""Streamed responses of the Messages API: assembles the whole response of events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.event_stream import EventStream
from chainlang.engines.http.json_values import as_index, as_object
from chainlang.protocol.messages import TextKind

_KINDS: Mapping[str, TextKind] = {"text": "text", "thinking": "reasoning"}
_FIELDS = {"text_delta": "text", "thinking_delta": "thinking"}
"""Field of each kind of delta, which is also the type of its part."""


@define
class StreamedMessage:
    """A streamed response as far as it has been received."""

    deltas: DeltaEmitter
    number: int
    """Number of the response's sample in the request."""
    error: Any = None
    """The server's error event, if there was one."""
    _parts: dict[int, dict[str, Any]] = field(factory=dict)
    _message: dict[str, Any] = field(factory=dict)
    _usage: dict[str, Any] = field(factory=dict)
    _lengths: dict[str, int] = field(factory=dict)
    _ended: bool = False
    _events: EventStream = field(factory=EventStream)

    def feed(self, received: bytes) -> None:
        """Add received bytes and emit the text in them, as `http.client.Stream.feed`."""
        for data in self._events.feed(received):
            self._read(as_object(json.loads(data), "the event"))

    def document(self) -> dict[str, Any] | None:
        """Return the response in the form of an unstreamed one; None if it is incomplete."""
        if self.error is not None:
            return dict(self.error)
        if not self._ended:
            return None
        content = [part for _, part in sorted(self._parts.items())]
        return {**self._message, "content": content, "usage": self._usage}

    def _read(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "error":
                self.error = event
            case "message_start":
                self._count(as_object(event.get("message") or {}, "`message`"))
            case "content_block_start":
                part = as_object(event.get("content_block"), "`content_block`")
                self._parts[as_index(event.get("index"), "the event")] = dict(part)
                self._emit(part)
            case "content_block_delta":
                self._extend(event)
            case "message_delta":
                self._message |= as_object(event.get("delta") or {}, "`delta`")
                self._count(event)
            case "message_stop":
                self._ended = True

    def _extend(self, event: Mapping[str, Any]) -> None:
        """Add a delta to its part; signatures and other kinds are not read."""
        delta = as_object(event.get("delta"), "`delta`")
        name = _FIELDS.get(str(delta.get("type")))
        if name is None or not isinstance(text := delta.get(name), str):
            return
        index = as_index(event.get("index"), "the event")
        part = self._parts.setdefault(index, {"type": name, name: ""})
        part[name] = str(part.get(name) or "") + text
        self._emit({"type": name, name: text})

    def _emit(self, part: Mapping[str, Any]) -> None:
        kind = str(part.get("type"))
        text = part.get(kind)
        if kind in _KINDS and isinstance(text, str) and text:
            start = self._lengths.get(kind, 0)
            self._lengths[kind] = start + len(text)
            self.deltas.emit(self.number, start, text, _KINDS[kind])

    def _count(self, said: Mapping[str, Any]) -> None:
        """Keep the latest number of each kind of tokens: those of an event are totals."""
        usage = as_object(said.get("usage") or {}, "`usage`")
        self._usage |= {name: value for name, value in usage.items() if value is not None}
