"""Type errors of functions in C about a stand-in, which call none of its methods."""

from __future__ import annotations

from chainlang.tracer.values import Output, Value

_NAMES = frozenset({Output.__name__, Value.__name__})


def is_about_a_value(error: TypeError) -> bool:
    """Return whether an error names the class of a stand-in, as that of ``" ".join([value])``.

    >>> is_about_a_value(TypeError("sequence item 0: expected str instance, Output found"))
    True
    """
    return not _NAMES.isdisjoint(str(error).replace("'", " ").split())
