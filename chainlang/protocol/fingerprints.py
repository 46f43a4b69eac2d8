"""Parts of fingerprints: what only bounds samples, and what earlier formats of keys lack."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from chainlang.protocol.messages import Fingerprint

CONTEXT = "context"
"""Entry of a fingerprint that only bounds the length of samples."""
READS = "template_reads"
"""Entry of a model whose chat template reads more than the messages: the run's date."""
SERVED = "vllm serve"
"""Engine of a model that `chainlang warmup` has started: its server tokenizes the prompts."""
_SINCE_2 = {"vllm": ("rope_context",), "openai": (CONTEXT,)}
"""Entries of the fingerprints of engines that keys of format 1 do not have."""


@cache
def version_of(package: str) -> str:
    """Return the version of an installed package, which is read from its files once."""
    from importlib import metadata  # 10 ms that only runs need

    return metadata.version(package)


def without_bounds(fingerprint: Mapping[str, Any]) -> Fingerprint:
    """Return the entries of a fingerprint that say more than how long samples may be.

    >>> without_bounds({"engine": "fake", "context": 100})
    {'engine': 'fake'}
    """
    return {name: value for name, value in fingerprint.items() if name != CONTEXT}


def is_dated(fingerprint: Mapping[str, Any]) -> bool:
    """Return whether samples depend on `Request.date`."""
    return fingerprint.get(READS) == "date"


def of_format_1(fingerprint: Mapping[str, Any]) -> Fingerprint:
    """Return a fingerprint as it was in the first format of keys.

    >>> of_format_1({"engine": "openai", "model": "m", "context": 100})
    {'engine': 'openai', 'model': 'm'}
    """
    later = _SINCE_2.get(str(fingerprint.get("engine")), ())
    return {name: value for name, value in fingerprint.items() if name not in later}
