"""Python classes by the names of the types they are bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen(eq=False)
class Classes:
    """Classes that validate values and construct Python objects of them, by type name.

    Two of them are equal if they are the same object, so that validators can be cached by them:
    what stands in `by_name` need not be hashable.
    """

    by_name: Mapping[str, Any] = field(factory=dict)


NO_CLASSES = Classes()
