"""Streamed text: each character of a sample is emitted once, although retries receive it again."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from chainlang.protocol.messages import TextKind

OnDelta = Callable[[int, str, TextKind], object]
"""Callback for text added to a sample: its number in the request, the text, and its kind."""


class Diverged(Exception):
    """A retried stream with another text than the one already emitted."""


@define
class _Emitted:
    """Emitted text of a sample, in parts, which are joined for a comparison."""

    parts: list[str] = field(factory=list)
    length: int = 0

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def whole(self) -> str:
        self.parts = ["".join(self.parts)]
        return self.parts[0]


@define
class DeltaEmitter:
    """Emits each character of a sample once, although retries receive its beginning again."""

    on_delta: OnDelta
    _emitted: dict[tuple[int, TextKind], _Emitted] = field(factory=dict, init=False)

    def emit(self, sample: int, start: int, text: str, kind: TextKind = "text") -> None:
        """Emit the new characters of `text`, which begins at `start` of its kind in the sample.

        Raises `Diverged` if it differs from what has been emitted.
        """
        emitted = self._emitted.setdefault((sample, kind), _Emitted())
        if start < emitted.length:
            known = emitted.whole()[start : start + len(text)]
            if not text.startswith(known):
                raise Diverged
            text = text[len(known) :]
        if text:
            emitted.add(text)
            self.on_delta(sample, text, kind)

    def check_end(self, sample: int, text: str, kind: TextKind = "text") -> None:
        """Raise `Diverged` if the whole text of a sample differs from what has been emitted."""
        emitted = self._emitted.get((sample, kind))
        if emitted is not None and not text.startswith(emitted.whole()):
            raise Diverged
