"""`NOTHING`: a mapping without names, the default of several values."""

from __future__ import annotations

from typing import Any, NoReturn


class _Nothing(dict[str, Any]):
    """A mapping without names, which can be pickled, and can't be changed.

    As a dict it has its length, and is unpacked, without a call of Python.
    """

    __slots__ = ()

    def __reduce__(self) -> str:
        return "NOTHING"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this mapping is shared by several values, and can't be changed")

    __setitem__ = __delitem__ = __ior__ = setdefault = update = pop = popitem = _refuse


NOTHING = _Nothing()
