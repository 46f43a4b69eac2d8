"""A reply that comes in pieces: server-sent events, and the reply that they make together.

Nothing here sends anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

Tell = Callable[[int, str], object]
"""Who is told what was added to the text of a sample, by its number in the question."""


class Diverged(Exception):
    """A reply that broke off was begun again, and goes on in another way than has been told."""


@define
class Teller:
    """Tells every character of each sample once, however often a question is asked again."""

    tell: Tell
    texts: dict[int, str] = field(factory=dict)
    """What has been told of each sample."""

    def hear(self, sample: int, start: int, text: str) -> None:
        """Tell what is new in a stretch of a sample. Raises `Diverged` for one that is not."""
        told = self.texts.get(sample, "")
        known = told[start : start + len(text)]
        if not text.startswith(known):
            raise Diverged
        if new := text[len(known) :]:
            self.texts[sample] = told + new
            self.tell(sample, new)

    def end(self, sample: int, text: str) -> None:
        """Hold the whole text of a sample to what was told of it. Raises `Diverged`."""
        if not text.startswith(self.texts.get(sample, "")):
            raise Diverged


@define
class _Choice:
    """One sample as far as it has come."""

    parts: dict[str, list[str]] = field(factory=dict)
    """The pieces of each text of its message, by name."""
    length: int = 0
    """Of its content, in characters."""
    logprobs: list[Any] = field(factory=list)
    finish: Any = None

    def whole(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {name: "".join(parts) for name, parts in self.parts.items()}
        if "refusal" not in message:
            message.setdefault("content", "")
        choice = {"index": index, "message": message, "finish_reason": self.finish}
        return {**choice, "logprobs": {"content": self.logprobs}} if self.logprobs else choice


@define
class Gathered:
    """What has come of a reply: its bytes go in, and the document that they make comes out."""

    teller: Teller
    first: int
    """The number of the question's first sample in the request."""
    error: Any = None
    """The event in which the server says what went wrong, if it did."""
    _choices: dict[int, _Choice] = field(factory=dict)
    _usage: Any = None
    _ended: bool = False
    _rest: bytes = b""
    _data: list[bytes] = field(factory=list)

    def take(self, received: bytes) -> None:
        """Take more bytes, and tell of the text that is in them.

        Raises ValueError for an event that is no JSON, and `Diverged`.
        """
        for data in self._events(received):
            if data == b"[DONE]":
                self._ended = True
            else:
                self._read(json.loads(data))

    def document(self, count: int) -> dict[str, Any] | None:
        """Return the reply as one that comes at once; None if it has broken off."""
        if self.error is not None:
            return dict(self.error)
        finished = [one for one in self._choices.values() if one.finish is not None]
        if not self._ended and len(finished) < count:
            return None
        choices = [one.whole(index) for index, one in sorted(self._choices.items())]
        return {"choices": choices, "usage": self._usage}

    def _events(self, received: bytes) -> Iterator[bytes]:
        """Yield the data of each event that is whole. Lines end in a newline, and in no other."""
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
        likely = event.get("logprobs")
        choice.logprobs += (likely.get("content") or ()) if isinstance(likely, dict) else ()
        delta = event.get("delta")
        for name, text in delta.items() if isinstance(delta, dict) else ():
            if isinstance(text, str) and name != "role":
                choice.parts.setdefault(name, []).append(text)
                if name == "content":
                    self.teller.hear(self.first + index, choice.length, text)
                    choice.length += len(text)
