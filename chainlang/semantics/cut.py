"""Replies that lack their end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from chainlang.protocol.messages import Sample, Sampling

_OPEN = r'(?:[^"\\]|\\.)*+\\?\Z'  # of a text of JSON
_LONGEST, _LONG_ENOUGH = 100, 40  # characters: of what is repeated, of all repetitions but one


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


def why_cut(
    sample: Sample, sampling: Sampling, texts: Iterable[str] = (), *, is_free: bool = False
) -> str:
    """Return why a sample was cut, and what to do about it.

    `texts` are the fields of its type that a budget could close: of one that is open, how. A reply
    without a type is free text: only the prompt or another sample ends it sooner.

    >>> sampling = Sampling(temperature=0, max_tokens=9)
    >>> why_cut(Sample('{"why": "so", "what": "an', "length", 9), sampling, ["what"])
    'the reply was cut; raise max_tokens, which is 9, or end "what" early: budget={"what": 0.75}'
    >>> why_cut(Sample("so " * 30, "length", 9), sampling, is_free=True)
    'the reply was cut: its end repeats "so "; ask for a short answer'
    """
    if sample.finish == "stop":
        return (
            "the reply is all reasoning: the model ended it without an answer; sample again "
            "with retry"
        )
    message = "the reply was cut"
    is_all_reasoning = bool(sample.reasoning and not sample.text)
    if is_all_reasoning:
        message += " before the model had done with its reasoning"
    if sample.context is not None:
        size = f" of {sample.context:,} tokens" if sample.context else ""
        message += f": the model's context{size} is full; shorten the prompt, "
        return f"{message}or raise max_model_len"
    if is_free and (again := repeated(sample.text)):
        message += f": its end repeats {json.dumps(again, ensure_ascii=False)}; "
        other = "sample it again with retry, or " if sampling.temperature else ""
        return f"{message}{other}ask for a short answer"
    message += f"; raise max_tokens, which is {sampling.max_tokens}"
    if is_free and not is_all_reasoning:
        message += ", or ask for a short answer"
    for name in texts:
        if re.search(f'"{re.escape(name)}": *"{_OPEN}', sample.text):
            message += f', or end "{name}" early: budget={{"{name}": 0.75}}'
    return message


def repeated(text: str) -> str:
    """Return what the end of a text repeats, three times or more; empty if it repeats nothing.

    It begins with a word, if it has a space.

    >>> repeated("Well. I've lost. I've lost. I've lost. I've lost. I've lost. I've lo")
    "I've lost. "
    >>> repeated("3 and 3 and 3")
    ''
    """
    for length in range(1, _LONGEST + 1):
        seen = max(2 * length, _LONG_ENOUGH)
        if len(text) >= seen + length and text[-seen:] == text[-seen - length : -length]:
            again = text[-length:]
            inside = re.search(r"\s+(?=\S)", again)
            word = inside.end() if inside and not again[-1].isspace() else 0
            return again[word:] + again[:word]
    return ""
