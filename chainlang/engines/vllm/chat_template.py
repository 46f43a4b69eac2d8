"""The chat template of a model: the places of messages in it, and what it does to their texts.

A template is a program of the model's author. It is rendered with markers in place of the texts, so
that no text of a row can steer it, and once more with samples, to see what it does to texts.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from attrs import frozen

from chainlang.engines.vllm.tool_parser import Turn, as_message, as_tools
from chainlang.protocol.messages import Role, ToolSpec

_BLANK = "\x0b"  # stripped by a filter, and in no template
_SAMPLE = "\n Ab 1,5 <i> & \"q\" 'q' {{ x }} \\n ß é  \n\n\tz. "
_DAYS = ("2001-02-03", "2013-12-11")  # they differ in year, month, day and weekday


class PromptError(ValueError):
    """Messages that can't be tokenized; the text is the reason."""


@frozen
class Slot:
    """The place of a message's text in a prompt."""

    number: int
    """Number of the message."""
    left: bool = False
    """Whether the template strips blanks before the text."""
    right: bool = False

    def stripped(self, text: str) -> str:
        """Return a text as the template prints it."""
        text = text.lstrip() if self.left else text
        return text.rstrip() if self.right else text


class ChatTemplate:
    """A chat template, as `apply_chat_template` of a tokenizer renders it."""

    def __init__(
        self, apply: Callable[..., Any], arguments: Mapping[str, Any] | None = None
    ) -> None:
        self._apply = apply
        self._arguments = dict(arguments or {})
        self._marker = f"text{secrets.token_hex(8)}x"

    @cached_property
    def reads_date(self) -> bool:
        """Whether prompts depend on the day."""
        sequences: tuple[tuple[Role, ...], ...] = (("user",), ("system", "user"))
        for roles in sequences:
            said = [(role, "a") for role in roles]
            try:
                first, second = (self.rendered(said, day) for day in _DAYS)
            except PromptError:  # it takes no system message
                continue
            if first != second:
                return True
        return False

    def rendered(
        self,
        messages: Iterable[tuple[Turn | Role, str]],
        date: str | None,
        args: str = "",
        tools: tuple[ToolSpec, ...] = (),
    ) -> str:
        """Return the prompt of roles and texts on a date, or today. Raises `PromptError`.

        `args` are arguments of the template besides its own, as JSON.
        """
        now = datetime.now() if date is None else datetime.fromisoformat(date)
        try:
            found = self._apply(
                [as_message(turn, text) for turn, text in messages],
                tokenize=False,
                add_generation_prompt=True,
                strftime_now=now.strftime,
                **({"tools": as_tools(tools)} if tools else {}),
                **{**self._arguments, **(json.loads(args) if args else {})},
            )
        except Exception as error:  # noqa: BLE001  # a template is code of the model's author
            raise PromptError(f"the model's chat template refuses the messages: {error}") from None
        return str(found)

    def parts(
        self,
        roles: Sequence[Turn | Role],
        date: str | None,
        args: str = "",
        tools: tuple[ToolSpec, ...] = (),
    ) -> list[str | Slot]:
        """Return the template's own texts, and the places of the messages between them.

        Raises `PromptError` if it leaves one out, or does more to it than to strip it.
        """
        marked = [
            "" if _has_calls(turn) else f"{self._marker}{number}x"
            for number, turn in enumerate(roles)
        ]
        text = self.rendered(zip(roles, marked, strict=True), date, args, tools)
        pieces = re.split(f"{self._marker}([0-9]+)x", text)
        slots = self._slots(roles, date, args, tools)
        return [
            slots[int(piece)] if index % 2 else piece
            for index, piece in enumerate(pieces)
            if piece or index % 2
        ]

    def _slots(
        self,
        roles: Sequence[Turn | Role],
        date: str | None,
        args: str,
        tools: tuple[ToolSpec, ...],
    ) -> list[Slot]:
        """Return the place of each message, with what the template strips."""
        marks = [f"{self._marker}{number}" for number in range(len(roles))]
        ends = [(f"{mark}a", f"{mark}z") for mark in marks]
        samples = [
            "" if _has_calls(turn) else f"{_BLANK}{start}{_SAMPLE}{end}{_BLANK}"
            for turn, (start, end) in zip(roles, ends, strict=True)
        ]
        text = self.rendered(zip(roles, samples, strict=True), date, args, tools)
        slots: list[Slot] = []
        for number, (start, end) in enumerate(ends):
            if _has_calls(roles[number]):
                slots.append(Slot(number))
                continue
            at = text.find(start + _SAMPLE + end)
            if at < 0:
                what = "changes the text of" if start in text.lower() else "leaves out"
                role = roles[number] if isinstance(roles[number], str) else roles[number][0]
                raise PromptError(f"the model's chat template {what} the {role} message")
            after = at + len(start + _SAMPLE + end)
            left, right = text[at - 1 : at] == _BLANK, text[after : after + 1] == _BLANK
            slots.append(Slot(number, not left, not right))
        return slots


def _has_calls(turn: Turn | Role) -> bool:
    """Return whether a message calls tools: it has no text of its own then."""
    return not isinstance(turn, str) and bool(turn[1])
