"""Replies that lack their end."""

from __future__ import annotations

from chainlang.protocol.messages import Sample


def was_cut(sample: Sample) -> bool:
    """Return whether a reply lacks its end: it was cut, or is all reasoning.

    >>> was_cut(Sample("42", "stop", 9, reasoning="7 + 5")), was_cut(Sample("", "stop", 1))
    (False, False)
    >>> was_cut(Sample("4", "length", 1)), was_cut(Sample("", "stop", 9, reasoning="7 + 5"))
    (True, True)
    """
    if sample.refusal:
        return False
    return sample.finish == "length" or bool(sample.reasoning and not sample.text)
