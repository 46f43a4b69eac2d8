"""Path of `tiny`, the model in the package."""

from __future__ import annotations

from pathlib import Path

NAME = "tiny"
"""Name of the model in a chain."""


def path() -> Path:
    """Return the model's folder, with weights, configuration and tokenizer.

    >>> path().name
    'tiny'
    """
    return Path(__file__).parent
