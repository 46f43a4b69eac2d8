"""Functions that each chain has without a binding: ``@value``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from chainlang.semantics.functions import UserFunction


def value(*, value: Any) -> Any:
    """Return the field `value` of the record, as ``with_fields(@value, value="{{ … }}")`` gives it.

    A table is one candidate, whose answer is its field ``answer`` if it has one; a list is one
    candidate for each item; null is none.
    """
    return value


SHIPPED: Mapping[str, UserFunction] = {
    "value": evolve(UserFunction.of("value", value), is_pure=True),
}
"""Functions by name. They have no side effects, so that nothing waits for them but what reads."""
