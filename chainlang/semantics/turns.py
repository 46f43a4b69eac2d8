"""Turns of a prompt: the messages between its system text and its user message."""

from __future__ import annotations

from typing import Any, get_args

from chainlang.protocol.messages import Message, Role
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.template_values import in_short

ROLES: tuple[Role, ...] = get_args(Role)
FIELDS = ("role", "content")


def conversation(value: Any) -> tuple[Message, ...]:
    """Return the messages of a list of objects with a role and a content.

    Raises `RenderError` with the first of them that is none.

    >>> conversation([{"role": "user", "content": "Hi"}])
    (Message(role='user', text='Hi'),)
    """
    if not isinstance(value, list):
        raise RenderError(f"messages= is no list but {in_short(value)}")
    return tuple(_message(one, number) for number, one in enumerate(value, 1))


def _message(value: Any, number: int) -> Message:
    which = f"message {number} of messages="
    if not isinstance(value, dict):
        raise RenderError(f"{which} is no object with a role and a content but {in_short(value)}")
    for name in FIELDS:
        if name not in value:
            raise RenderError(f"{which} has no {name}, only {', '.join(value) or 'nothing'}")
    others = [name for name, one in value.items() if name not in FIELDS and one is not None]
    if others:
        raise RenderError(f"{which} has more than a role and a content: {', '.join(others)}")
    role, content = value["role"], value["content"]
    if not isinstance(content, str):
        raise RenderError(f"the content of {which} is no text but {in_short(content)}")
    for one in ROLES:
        if one == role:
            return Message(one, content)
    raise RenderError(f"the role of {which} is {in_short(role)}, none of {', '.join(ROLES)}")
