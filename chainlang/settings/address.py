"""Addresses of servers: what a base URL may look like, wherever it is written.

A base URL is everything before ``/chat/completions``, which is appended to it. So nothing in it may
lead elsewhere: an address of an allowed host must not aim a request, and the key in it, at another
path of that host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from attrs import frozen

EXAMPLE = "http://host:8000/v1"
_COMPLETIONS = "/chat/completions"
_HINT = f'write it like "{EXAMPLE}"'
_OTHERS = re.compile(r"(?<=/v\d)/(completions|responses|models|embeddings|messages)$")
"""Ends of the other paths of the protocol, in the documents that people copy an address from."""
_HIDDEN = re.compile(r"%(25|2f|5c|23|3f)", re.IGNORECASE)
"""Encoded characters that would divide or end a path."""


@frozen
class Wrong:
    """A fault of an address, and a hint."""

    what: str
    hint: str


def trimmed(address: str) -> str:
    """Return an address without ``/chat/completions`` and slashes at its end.

    >>> trimmed("http://host:8000/v1/chat/completions/")
    'http://host:8000/v1'
    """
    return address.rstrip("/").removesuffix(_COMPLETIONS).rstrip("/")


def wrong(address: str) -> Wrong | None:
    """Return what is wrong with a base URL; None if it is the address of a server.

    >>> wrong("http://host:8000/v1#").what
    "has a '#', which cuts off the path of the server"
    """
    return next(_faults(address), None)


def _faults(address: str) -> Iterator[Wrong]:
    if "@" in address:  # first, since no hint may show what stands before it
        yield Wrong("contains a user name or a password", "pass the key as api_key")
    if address != address.strip():
        yield Wrong("begins or ends with a blank", f'write "{trimmed(address.strip())}"')
    if not address.isprintable() or " " in address or "\\" in address:
        yield Wrong("has a character that no address has", _HINT)
    for mark in "#?":
        if mark in address:
            what = f"has a {mark!r}, which cuts off the path of the server"
            yield Wrong(what, f'write "{trimmed(address.partition(mark)[0])}"')
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port  # reading the port checks it
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"}:
        yield Wrong("is not the address of a server", _HINT)
        return
    decoded = _decoded(parts.path)
    if re.search(r"(^|[/\\;])\.{1,2}([/\\;]|$)", decoded):
        yield Wrong("has '.' or '..' in its path, which leads elsewhere", _HINT)
    if _HIDDEN.search(parts.path):
        yield Wrong("has an encoded character in its path that leads elsewhere", _HINT)
    if (other := _OTHERS.search(trimmed(parts.path))) is not None:
        short = trimmed(address).removesuffix(other[0])
        yield Wrong(f"ends in {other[0]}", f'write "{short}"')


def _decoded(path: str) -> str:
    """Return a path as a server may read it, decoded until nothing is left to decode."""
    for _ in range(5):
        if (found := unquote(path)) == path:
            break
        path = found
    return path
