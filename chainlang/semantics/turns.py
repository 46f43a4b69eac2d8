"""Parts of a prompt that are values of a row: the messages of a conversation, and images."""

from __future__ import annotations

import base64
from typing import Any

from chainlang.protocol.messages import Message, Role
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.template_values import in_short

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
FIELDS = ("role", "content")
_ADDRESSES = ("https://", "http://", "data:image/")
_FORMATS = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
"""Formats of images, by the beginning of their bytes as base64."""


def conversation(value: Any) -> tuple[Message, ...]:
    """Return the messages of a list of objects with a role and a content.

    Raises `RenderError` with the first of them that is none.

    >>> conversation([{"role": "user", "content": "Hi"}])
    (Message(role='user', text='Hi', images=()),)
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


def pictures(value: Any) -> tuple[str, ...]:
    """Return the URLs and data URIs of an image or a list of them. No file is read.

    Raises `RenderError` for what is neither, nor the bytes of an image as base64.

    >>> pictures(["https://x.org/a.png", "iVBORw0KGgoA"])
    ('https://x.org/a.png', 'data:image/png;base64,iVBORw0KGgoA')
    """
    several = value if isinstance(value, list) else [value]
    return tuple(_picture(one) for one in several)


def _picture(value: Any) -> str:
    if isinstance(value, str) and value.isascii() and not any(map(str.isspace, value)):
        if value.startswith(_ADDRESSES):
            return value
        found = (name for start, name in _FORMATS.items() if value.startswith(start))
        if (name := next(found, None)) is not None and _is_base64(value):
            return f"data:image/{name};base64,{value}"
    kinds = "a URL (https://...), a data URI (data:image/...), or the bytes as base64"
    raise RenderError(f"images= is no image but {in_short(value)}: an image is {kinds}")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
