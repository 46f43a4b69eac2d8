"""Replies that lack their end."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chainlang.protocol.messages import Sample

_OPEN = r'(?:[^"\\]|\\.)*+\\?\Z'  # of a text of JSON


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


def why_cut(sample: Sample, max_tokens: int, texts: Iterable[str] = ()) -> str:
    """Return why a sample was cut, and what to do about it.

    `texts` are the fields of its type that a budget could close: of one that is open, how.

    >>> why_cut(Sample('{"why": "so", "what": "an', "length", 9), 9, ["why", "what"])
    'the reply was cut; raise max_tokens, which is 9, or end "what" early: budget={"what": 0.75}'
    """
    if sample.finish == "stop":
        return (
            "the reply is all reasoning: the model ended it without an answer; sample again "
            "with retry"
        )
    message = "the reply was cut"
    if sample.reasoning and not sample.text:
        message += " before the model had done with its reasoning"
    if sample.context is not None:
        size = f" of {sample.context:,} tokens" if sample.context else ""
        message += f": the model's context{size} is full; shorten the prompt, "
        return f"{message}or raise max_model_len"
    message += f"; raise max_tokens, which is {max_tokens}"
    for name in texts:
        if re.search(f'"{re.escape(name)}": *"{_OPEN}', sample.text):
            message += f', or end "{name}" early: budget={{"{name}": 0.75}}'
    return message
