"""Functions of traced chains, which are called anew where such a chain is called again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from attrs import frozen

from chainlang.api.chain import Chain


@frozen
class Traced:
    """A function that was traced, with its parameters and constants."""

    function: Callable[..., Any]
    fields: tuple[str, ...]
    constants: Mapping[str, Any]


FUNCTIONS: WeakKeyDictionary[Chain, Traced] = WeakKeyDictionary()
"""Functions by their chains; equal chains are of functions that do the same."""
