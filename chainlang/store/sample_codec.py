"""Samples as bytes, for whatever keeps them. Nothing is imported or executed on reading.

An entry is JSON: the length of the prompt, and the fields of the sample that are not empty. Among
them is ``format``, the number of the format that the entry's key has; one without it is of format
1, which is what all entries were before there was a second.
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
    """A sample that was drawn, and the length of the prompt it was drawn for."""

    sample: Sample
    prompt_tokens: int
    format: int = 1
    """The format of the key that it is kept under."""


class LaterEntry(ValueError):
    """An entry says what this version can't read; the message is what."""


def encoded(drawn: Drawn) -> bytes:
    """Return a sample as JSON. What it has nothing of is left out.

    >>> encoded(Drawn(Sample("42", "stop", 2), 7))
    b'[7, {"text": "42", "finish": "stop", "tokens": 2}]'
    """
    found = asdict(drawn.sample, recurse=False)
    said = {name: value for name, value in found.items() if value != _USUAL[name]}
    if drawn.format != 1:
        said[_FORMAT] = drawn.format
    return json.dumps([drawn.prompt_tokens, said]).encode()


def decoded(entry: bytes) -> Drawn:
    """Return the sample of an entry; a field that the entry leaves out is empty.

    Raises `LaterEntry` for a field that this version does not know.
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
    """Return what an entry under a key is checked by."""
    return hashlib.blake2b(entry, key=key[:64], digest_size=8).digest()


def fits(key: bytes, entry: object, total: object) -> bool:
    """Return whether an entry under a key is as it was when its checksum was made."""
    return isinstance(entry, bytes) and checksum(key, entry) == total
