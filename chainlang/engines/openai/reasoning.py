"""Reasoning in the text of a server's replies, between the tags of a named parser.

Servers that parse reasoning return it in a field of its own. Others leave it in the text.
"""

from __future__ import annotations

import attrs
from attrs import define, field

from chainlang.engines.http.deltas import OnDelta
from chainlang.protocol.messages import Sample, TextKind
from chainlang.protocol.reasoning_tags import begins, split


def apart(sample: Sample, tags: tuple[str, str]) -> Sample:
    """Return a sample with its reasoning apart from its text, without blanks between them.

    >>> apart(Sample("<think>7 + 5</think>\\n\\n12", "stop", 9), ("<think>", "</think>")).text
    '12'
    """
    if sample.reasoning:
        return attrs.evolve(sample, text=sample.text.lstrip())
    reasoning, text = split(tags, "unknown", sample.text)
    return attrs.evolve(sample, text=text, reasoning=reasoning)


@define
class DeltaSplitter:
    """Callback for text that is added to samples, which tells their reasoning from their text.

    While neither tag has come, a text may be either, and is held back: a template may begin the
    reasoning itself, so that its first tag is not in the reply.
    """

    tags: tuple[str, str]
    on_delta: OnDelta
    _texts: dict[int, str] = field(factory=dict, init=False)
    _parsed: set[int] = field(factory=set, init=False)
    """Samples whose reasoning the server has parsed."""
    _emitted: dict[tuple[int, TextKind], int] = field(factory=dict, init=False)

    def __call__(self, sample: int, text: str, kind: TextKind) -> None:
        """Add text to a sample, and emit what can be told of it."""
        if kind == "reasoning":
            self._parsed.add(sample)
            self.on_delta(sample, text, kind)
            return
        text = self._texts[sample] = self._texts.get(sample, "") + text
        if sample in self._parsed:
            self._emit(sample, "text", text.lstrip())
        elif begins(self.tags, text) or self.tags[1] in text:
            reasoning, rest = split(self.tags, "unknown", _without_part(text, self.tags[1]))
            self._emit(sample, "reasoning", reasoning)
            self._emit(sample, "text", rest)

    def _emit(self, sample: int, kind: TextKind, whole: str) -> None:
        emitted = self._emitted.get((sample, kind), 0)
        if len(whole) > emitted:
            self._emitted[sample, kind] = len(whole)
            self.on_delta(sample, whole[emitted:], kind)


def _without_part(text: str, tag: str) -> str:
    """Return a text without the beginning of a tag at its end.

    >>> _without_part("12 </thi", "</think>")
    '12 '
    """
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text
