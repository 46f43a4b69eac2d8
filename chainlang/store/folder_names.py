"""Folder names of named parts. No other name from a chain reaches the file system."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.ir.verify import is_name

_LONGEST = 64


def folder_name(name: str, taken: Collection[str]) -> str:
    """Return the folder of a named part: its name, changed if it is taken, ignoring case, or long.

    Changed names contain ``~``, so that they differ from all names of parts.
    Raises `SourceError` for an invalid name.

    >>> folder_name("fr", []), folder_name("Answers", ["answers"])
    ('fr', 'Answers~')
    >>> folder_name("../etc", [])
    Traceback (most recent call last):
        ...
    chainlang.errors.SourceError: error[path]: the part '../etc' can't have a folder
      = hint: names are ASCII letters, digits and _, and do not begin with a digit
    """
    if not is_name(name):
        what = f"the part {shown(name)} can't have a folder"
        hint = "names are ASCII letters, digits and _, and do not begin with a digit"
        raise error_of("path", what, hint)
    if len(name) > _LONGEST:
        name = f"{name[:40]}~{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
    lowered = {one.lower() for one in taken}
    while name.lower() in lowered:
        name += "~"
    return name
