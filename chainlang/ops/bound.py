"""What stands beside a chain: the Python objects that its names mean, bound by whoever made it.

Nodes hold names and descriptions alone, so that a chain is a value and a text says all of it. The
objects go with the chain, and take no part in whether two chains are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from chainlang.diagnostics import Diagnostic
from chainlang.errors import raise_errors


@frozen(eq=False)
class Bound:
    """The Python objects behind the names of a chain."""

    types: Mapping[str, Any] = field(factory=dict)
    """By the names of types: classes that validate replies and rows, and make values of them."""


NOTHING = Bound()


def together(several: Iterable[Bound]) -> Bound:
    """Return what several chains bring, for a chain made of them.

    Raises `MeaningError` where one name means two things.

    >>> together([Bound({"Review": dict}), NOTHING]).types
    {'Review': <class 'dict'>}
    """
    found = [one for one in several if one.types]
    if len(found) < 2:
        return found[0] if found else NOTHING
    types: dict[str, Any] = {}
    for one in found:
        for name, kind in one.types.items():
            if types.setdefault(name, kind) is not kind:
                message = f"two chains mean different classes by the type '{name}'"
                hint = "rename one of them before joining the chains"
                raise_errors([Diagnostic("duplicate-name", message, hint=hint)])
    return Bound(types)
