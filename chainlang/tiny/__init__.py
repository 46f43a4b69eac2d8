"""The bundled model: weights, tokenizer and chat template, and nothing that runs them."""

from __future__ import annotations

from pathlib import Path


def path() -> Path:
    """Return the folder that an engine loads the model from.

    >>> path().name
    'tiny'
    """
    return Path(__file__).parent
