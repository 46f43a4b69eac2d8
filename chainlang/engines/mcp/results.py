"""Results of tools as the texts of samples: values only, bounded."""

from __future__ import annotations

import json
from typing import Any

from chainlang.engines.mcp.visible import visible


class Unusable(Exception):
    """A result that is no value: the tool failed, or returned what a chain can't hold."""


def text_of(tool: str, result: Any, schema: str | None, most: int) -> str:
    """Return the text of a result of the SDK, for a reply with a JSON schema or (None) as text.

    Without a schema it is the text of the result, or its structured content as JSON; with one it is
    JSON. `most` is the number of bytes that it may have. Raises `Unusable`.
    """
    if result.result_type != "complete":
        raise Unusable(f"{tool} asked for input, and chains give none")
    texts = [found for one in result.content if (found := _text(one)) is not None]
    text = "\n".join(texts)
    if result.is_error:
        raise Unusable(f"{tool} failed: {visible(' '.join(text.split())) or 'it does not say why'}")
    structured = result.structured_content
    if schema is not None:
        made = _as_json(tool, structured, text, schema)
    elif texts or structured is None:
        if not texts and result.content:
            kinds = ", ".join(sorted({visible(str(one.type)) for one in result.content}))
            raise Unusable(f"{tool} returned no text, but {kinds}")
        made = text
    else:
        made = _dumped(tool, structured)
    _check(tool, made, most)
    return made


def _check(tool: str, text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        message = f"{tool} returned no text: it has a lone surrogate, U+{code:04X}"
        raise Unusable(message) from error
    if size > most:
        raise Unusable(f"{tool} returned {size:,} bytes, more than max_bytes={most}")


def _text(block: Any) -> str | None:
    """Return the text of a block of content; None for an image, a sound or a link."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        found = getattr(block.resource, "text", None)
        return None if found is None else str(found)
    return None


def _as_json(tool: str, structured: Any, text: str, schema: str) -> str:
    if structured is None:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return json.dumps(text, ensure_ascii=False)
        return text
    wanted = json.loads(schema)
    is_bare = wanted.get("type") != "object" and "$ref" not in wanted
    if is_bare and isinstance(structured, dict) and structured.keys() == {"result"}:
        structured = structured["result"]  # as servers wrap a value that is no object
    return _dumped(tool, structured)


def _dumped(tool: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise Unusable(f"{tool} returned what JSON can't hold: {visible(str(error))}") from error
