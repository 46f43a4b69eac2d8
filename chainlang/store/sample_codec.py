"""Encoding of samples as bytes, for caches and journals. Decoding imports and executes nothing.

An entry is JSON: the length of the prompt, and the non-default fields of the sample. One of them is
``format``, the number of the format of the entry's key; without it, that is format 1.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attrs import asdict, fields, frozen

from chainlang.protocol.messages import Sample

_USUAL = {one.name: one.default for one in fields(Sample)}
_FORMAT = "format"


@frozen
class Drawn:
    """A sample, and the length of its prompt."""

    sample: Sample
    prompt_tokens: int
    format: int = 1
    """Format of its key."""


class LaterEntry(ValueError):
    """An entry of a later version; the message is the unknown field."""


def encoded(drawn: Drawn) -> bytes:
    """Return a sample as JSON, without fields that have their default.

    >>> encoded(Drawn(Sample("42", "stop", 2), 7))
    b'[7, {"text": "42", "finish": "stop", "tokens": 2}]'
    """
    found = asdict(drawn.sample, recurse=False)
    said = {name: value for name, value in found.items() if value != _USUAL[name]}
    if drawn.format != 1:
        said[_FORMAT] = drawn.format
    return json.dumps([drawn.prompt_tokens, said]).encode()


def decoded(entry: bytes) -> Drawn:
    """Return the sample of an entry, with defaults for missing fields.

    Raises `LaterEntry` for an unknown field.
    """
    prompt_tokens, said = json.loads(entry)
    number = said.pop(_FORMAT, 1)
    if later := sorted(said.keys() - _USUAL.keys()):
        raise LaterEntry(later[0])
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
    }
    return Drawn(Sample(**values), prompt_tokens, number)


def checksum(key: bytes, entry: bytes) -> bytes:
    """Return the checksum of a key and its entry."""
    return hashlib.blake2b(entry, key=key[:64], digest_size=8).digest()


def fits(key: bytes, entry: object, total: object) -> bool:
    """Return whether an entry matches its checksum."""
    return isinstance(entry, bytes) and checksum(key, entry) == total
