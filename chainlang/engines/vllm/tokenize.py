"""Tokenization of messages in which special tokens in a text stay plain text.

The chat template is rendered once for each sequence of roles, with a marker in place of each text.
The template's own text around the markers is tokenized with special tokens; each message text is
tokenized by a tokenizer without any. So ``<|im_end|>`` in a value is ten characters.
"""

from __future__ import annotations

import json
import re
import secrets
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

from chainlang.engines.protocol import encoding_error
from chainlang.protocol.messages import Message

_CACHED = 256  # system messages whose tokens are cached, because they repeat
_DATE = "26 Jul 2024"  # for templates with a date: a prompt must not depend on the day


class PromptError(ValueError):
    """Messages that can't be tokenized; the text is the reason."""


class Prompts:
    """Tokenizer of one model's prompts; `tokenizer` is a fast tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._template = tokenizer.apply_chat_template
        self._marker = f"text{secrets.token_hex(8)}x"
        described = json.loads(tokenizer.backend_tokenizer.to_str())
        self._first = _reader(described, markup=True, prefix=True)
        self._later = _reader(described, markup=True, prefix=False)
        self._plain = _reader(described, markup=False, prefix=False)
        # The space that a tokenizer adds in front belongs before the template, and after markup.
        self._opens = tuple(one["content"] for one in described["added_tokens"])
        marks = {one["id"] for one in described["added_tokens"] if _is_markup(one)}
        self._marks = (marks | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id}
        self._widest = _widest(described)
        self._around = lru_cache(_CACHED)(self._render)
        self._repeated = lru_cache(_CACHED)(self.text_ids)
        self.beginning = lru_cache(_CACHED)(self._beginning)

    def token_ids(self, messages: Iterable[Message]) -> list[int]:
        """Return the tokens of a prompt. Raises `PromptError` if the template rejects it."""
        messages = tuple(messages)
        parts = self._around(tuple(message.role for message in messages))
        return list(
            chain.from_iterable(
                self._message_ids(messages[part]) if isinstance(part, int) else part
                for part in parts
            )
        )

    def min_tokens(self, messages: Iterable[Message]) -> int:
        """Return a lower bound for the number of tokens of a prompt, without tokenizing it.

        Tokenizing a megabyte takes a second, in which no other request is served.
        """
        if self._widest is None:
            return 0
        return sum(len(message.text) for message in messages) // self._widest

    def text_ids(self, text: str) -> list[int]:
        """Return the tokens of a text, without special tokens."""
        read = self._plain.encode(text, add_special_tokens=False)
        if self._marks.isdisjoint(read.ids):
            return list(read.ids)
        # Some vocabularies have "<s>" as an ordinary token: it is tokenized letter by letter.
        ids: list[int] = []
        for one, (start, end) in zip(read.ids, read.offsets, strict=True):
            if one not in self._marks:
                ids.append(one)
                continue
            for character in text[start:end]:
                spelled = self._plain.encode(character, add_special_tokens=False).ids
                if not self._marks.isdisjoint(spelled):
                    raise PromptError(f"the tokenizer reads {character!r} as a special token")
                ids += spelled
        return ids

    @cached_property
    def _vocabulary(self) -> list[str]:
        return sorted(self._plain.get_vocab())

    def _beginning(self, text: str) -> tuple[tuple[int, ...], int]:
        """Return the first tokens of a text, whatever follows it, and the length of their text.

        The last tokens of `text` are left out if they could be merged with what follows.
        """
        read = self._plain.encode(text, add_special_tokens=False)
        if not self._marks.isdisjoint(read.ids):
            return (), 0
        for count in range(len(read.ids)):
            rest = "".join(read.tokens[count:])
            at = bisect_right(self._vocabulary, rest)
            if at < len(self._vocabulary) and self._vocabulary[at].startswith(rest):
                break
        else:
            count = len(read.ids)
        length = read.offsets[count - 1][1] if count else 0
        if count < len(read.ids) and read.offsets[count][0] < length:  # within a character
            return (), 0
        return tuple(read.ids[:count]), length

    def _message_ids(self, message: Message) -> list[int]:
        if (why := encoding_error(message)) is not None:
            raise PromptError(why)
        read = self._repeated if message.role == "system" else self.text_ids
        return read(message.text)

    def _render(self, roles: tuple[str, ...]) -> tuple[tuple[int, ...] | int, ...]:
        """Return a template's own text as tokens, and between it the numbers of the messages."""
        messages = [
            {"role": role, "content": f"{self._marker}{number}x"}
            for number, role in enumerate(roles)
        ]
        try:
            text = self._template(
                messages, tokenize=False, add_generation_prompt=True, date_string=_DATE
            )
        except Exception as error:  # noqa: BLE001  # a template is code of the model's author
            raise PromptError(f"the model's chat template refuses the messages: {error}") from None
        # Pieces at odd positions are the numbers of the markers.
        pieces = re.split(f"{self._marker}([0-9]+)x", text)
        numbers = [int(piece) for piece in pieces[1::2]]
        missing = next((number for number in range(len(roles)) if number not in numbers), None)
        if missing is not None:
            raise PromptError(f"the model's chat template leaves out the {roles[missing]} message")
        parts: list[tuple[int, ...] | int] = []
        for index, piece in enumerate(pieces):
            if index % 2:
                parts.append(int(piece))
            elif piece:
                opens = index == 0 or piece.startswith(self._opens)
                reader = self._first if opens else self._later
                parts.append(tuple(reader.encode(piece, add_special_tokens=False).ids))
        return tuple(parts)


def _is_markup(token: dict[str, Any]) -> bool:
    """Return whether an added token is markup. Runs of spaces are plain text."""
    return bool(token["special"] or token["content"].strip(" \t\n\r▁"))


def _widest(described: dict[str, Any]) -> int | None:
    """Return the maximum number of characters of a token; None if there is no such bound.

    Some tokenizers drop blanks, or make one token of several unknown characters. A byte-level
    tokenizer does neither.
    """
    steps = described["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    by_bytes = any(step.get("type") == "ByteLevel" for step in steps)
    drops = any(step.get("behavior") == "Removed" for step in steps)
    if not by_bytes or drops or described["normalizer"] is not None:
        return None
    pieces = described["model"].get("vocab")
    if not isinstance(pieces, dict):
        return None
    return max(map(len, [*pieces, *(one["content"] for one in described["added_tokens"])]))


def _reader(described: dict[str, Any], *, markup: bool, prefix: bool) -> Any:
    """Return a tokenizer from its JSON description, with or without special tokens."""
    from tokenizers import Tokenizer

    changed = {**described, "post_processor": None, "truncation": None, "padding": None}
    if not markup:
        added = described["added_tokens"]
        changed["added_tokens"] = [one for one in added if not _is_markup(one)]
    if not prefix:
        changed["normalizer"] = _without_prefix(described["normalizer"])
        changed["pre_tokenizer"] = _without_prefix(described["pre_tokenizer"])
    return Tokenizer.from_str(json.dumps(changed))


def _without_prefix(part: Any) -> Any:
    """Return a step of a tokenizer without its added space in front of a text."""
    if part is None or part["type"] == "Prepend":
        return None
    if part["type"] == "Metaspace":
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return {**part, "add_prefix_space": False}
    if part["type"] == "Sequence":
        key = "normalizers" if "normalizers" in part else "pretokenizers"
        steps = [_without_prefix(one) for one in part[key]]
        return {**part, key: [one for one in steps if one is not None]}
    return part
