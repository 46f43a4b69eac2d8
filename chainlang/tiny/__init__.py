"""The model that ships with the package: where it lies."""

from __future__ import annotations

from pathlib import Path

NAME = "tiny"
"""What it is called in a chain."""


def path() -> Path:
    """Return the folder that an engine loads the model from.

    >>> path().name
    'tiny'
    """
    return Path(__file__).parent
