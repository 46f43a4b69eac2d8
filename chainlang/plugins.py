"""Plugins: what installed packages add under entry points, each imported when it is first needed.

| entry points | object | used as |
|---|---|---|
| `chainlang.engines` | function of a source and settings: an `Engine` | `model a = NAME("...")` |
| `chainlang.readers` | function of a path: rows | files that end in `.NAME` |
| `chainlang.metrics` | function of an answer and a target | `metric="NAME"` |
| `chainlang.ops` | text of a `.chain` file | `use "plugin:NAME"` |
| `chainlang.actions` | text of a `.chain` file with an op of that name | `action: NAME` in YAML |

A plugin that can't be imported harms no other: what needs it fails and says why.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args

from attrs import field, frozen

from chainlang.errors import error_of

Group = Literal["engines", "readers", "metrics", "ops", "actions"]
GROUPS: tuple[Group, ...] = get_args(Group)
PREFIX = "plugin:"
"""Beginning of the path of a `use` that names a plugin."""
_CODES = {"engines": "engine", "readers": "file", "metrics": "operand"}


@frozen
class Plugin:
    """A plugin: its group, its name, and the package that it is from."""

    group: Group
    name: str
    package: str
    version: str
    _point: EntryPoint = field(eq=False, repr=False)

    @property
    def origin(self) -> str:
        """Package and version, as runs record them."""
        return f"{self.package} {self.version}"

    @property
    def fault(self) -> str | None:
        """Reason why it can't be imported; None if it can."""
        return _imported(self._point)[1]

    def load(self) -> Any:
        """Return its object. Raises an error of chainlang with the reason if it can't be imported.

        The error is an `EngineError` of an engine, and otherwise fits what needs the plugin.
        """
        found, fault = _imported(self._point)
        if fault is not None:
            message = f"the plugin {self.name!r} of {self.origin} can't be imported: {fault}"
            hint = "chainlang plugins lists all plugins; reinstall or remove this package"
            raise error_of(_CODES.get(self.group, "file"), message, hint)
        return found

    def text(self) -> str:
        """Return the text of its `.chain` file. Raises as `load` does, and for other objects."""
        found = self.load()
        made = found() if callable(found) else found
        if not isinstance(made, str):
            message = (
                f"the plugin {self.name!r} of {self.origin} has no text: {type(made).__name__}"
            )
            raise error_of("file", message)
        return made


@cache
def _imported(point: EntryPoint) -> tuple[Any, str | None]:
    """Return the object of an entry point, and why there is none."""
    try:
        return point.load(), None
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever its module raises, also SystemExit
        said = traceback.format_exception_only(error)[-1].strip()
        return None, said


def plugins(group: Group | None = None) -> Iterator[Plugin]:
    """Yield the plugins of a group, or of all, by name; nothing is imported.

    Of two with one name, the first of the packages in the order of the path is used, as Python's
    own entry points are.
    """
    for one in GROUPS if group is None else (group,):
        seen = set[str]()
        for point in sorted(entry_points(group=f"chainlang.{one}"), key=lambda it: it.name):
            if point.name in seen:
                continue
            seen.add(point.name)
            about = point.dist
            package, version = ("?", "?") if about is None else (about.name, about.version)
            yield Plugin(one, point.name, package, version, point)


def find(group: Group, name: str) -> Plugin | None:
    """Return the plugin of a name; None if there is none."""
    return next((one for one in plugins(group) if one.name == name), None)


def names(group: Group) -> tuple[str, ...]:
    """Return the names of the plugins of a group."""
    return tuple(one.name for one in plugins(group))
