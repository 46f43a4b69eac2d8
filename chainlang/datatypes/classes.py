"""Python classes bound to names of types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen(eq=False)
class Classes:
    """Classes that validate values and construct Python objects from them, by type name.

    Compared by identity, so that validators can be cached although `by_name` is not hashable.
    """

    by_name: Mapping[str, Any] = field(factory=dict)


NO_CLASSES = Classes()
