"""Streamed responses: parses server-sent events and assembles the whole response."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

OnDelta = Callable[[int, str], object]
"""Callback for text added to a sample: number of the sample in the request, and the text."""


class Diverged(Exception):
    """A retried stream with another text than the one already emitted."""


@define
class DeltaEmitter:
    """Emits each character of a sample once, although retries receive its beginning again."""

    on_delta: OnDelta
    texts: dict[int, str] = field(factory=dict)
    """Emitted text of each sample."""

    def emit(self, sample: int, start: int, text: str) -> None:
        """Emit the new characters of `text`, which begins at `start` in the sample.

        Raises `Diverged` if it differs from what has been emitted.
        """
        emitted = self.texts.get(sample, "")
        known = emitted[start : start + len(text)]
        if not text.startswith(known):
            raise Diverged
        if new := text[len(known) :]:
            self.texts[sample] = emitted + new
            self.on_delta(sample, new)

    def check_end(self, sample: int, text: str) -> None:
        """Raise `Diverged` if the whole text of a sample differs from what has been emitted."""
        if not text.startswith(self.texts.get(sample, "")):
            raise Diverged


@define
class _Choice:
    """One sample of a stream, as far as it has been received."""

    parts: dict[str, list[str]] = field(factory=dict)
    """Fragments of each text field of its message, by the field's name."""
    length: int = 0
    """Length of its content in characters."""
    logprobs: list[Any] = field(factory=list)
    finish: Any = None

    def whole(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {name: "".join(parts) for name, parts in self.parts.items()}
        if "refusal" not in message:
            message.setdefault("content", "")
        choice = {"index": index, "message": message, "finish_reason": self.finish}
        return {**choice, "logprobs": {"content": self.logprobs}} if self.logprobs else choice


@define
class StreamedResponse:
    """A streamed response as far as it has been received."""

    deltas: DeltaEmitter
    first: int
    """Number of the response's first sample in the request."""
    error: Any = None
    """The server's error event, if there was one."""
    _choices: dict[int, _Choice] = field(factory=dict)
    _usage: Any = None
    _ended: bool = False
    _rest: bytes = b""
    _data: list[bytes] = field(factory=list)

    def feed(self, received: bytes) -> None:
        """Add received bytes and emit the text in them.

        Raises `ValueError` for an event that is not JSON, and `Diverged`.
        """
        for data in self._events(received):
            if data == b"[DONE]":
                self._ended = True
            else:
                self._read(json.loads(data))

    def document(self, count: int) -> dict[str, Any] | None:
        """Return the response in the form of an unstreamed one; None if it is incomplete."""
        if self.error is not None:
            return dict(self.error)
        finished = [choice for choice in self._choices.values() if choice.finish is not None]
        if not self._ended and len(finished) < count:
            return None
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        return {"choices": choices, "usage": self._usage}

    def _events(self, received: bytes) -> Iterator[bytes]:
        """Yield the data of each complete event. Only a newline ends a line."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in (line.removesuffix(b"\r") for line in lines):
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                yield data

    def _read(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        if event.get("error"):
            self.error = event
        self._usage = event.get("usage") or self._usage
        for position, one in enumerate(event.get("choices") or ()):
            if isinstance(one, dict) and isinstance(index := one.get("index", position), int):
                self._add(index, one)

    def _add(self, index: int, event: Mapping[str, Any]) -> None:
        choice = self._choices.setdefault(index, _Choice())
        choice.finish = event.get("finish_reason") or choice.finish
        logprobs = event.get("logprobs")
        choice.logprobs += (logprobs.get("content") or ()) if isinstance(logprobs, dict) else ()
        delta = event.get("delta")
        for name, text in delta.items() if isinstance(delta, dict) else ():
            if isinstance(text, str) and name != "role":
                choice.parts.setdefault(name, []).append(text)
                if name == "content":
                    self.deltas.emit(self.first + index, choice.length, text)
                    choice.length += len(text)
