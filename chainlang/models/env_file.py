"""Reading of ``.env`` files, on request."""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SettingError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*\Z")
_QUOTED = re.compile(r"""(['"])(.*?)\1\s*(?:#.*)?\Z""")


def read_env(path: str | PathLike[str] = ".env", *, override: bool = False) -> tuple[str, ...]:
    """Set the variables of a file that the environment lacks, and return the names of those set.

    A line is ``NAME=value``, also with ``export`` before it; a value may have quotes, and ``#``
    begins a comment. Nothing else is replaced or run. With `override` the file's values replace
    those of the environment. Raises `SettingError` for a file that can't be read.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        hint = "name the file: models.read_env('path/.env')"
        raise SettingError([Diagnostic("setting", f"{file}: {why}", hint=hint)]) from None
    given: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.match(text)
        if found is None:  # the line is not shown, since it may hold a key
            what = f"{file}: line {number} is no variable"
            raise SettingError([Diagnostic("setting", what, hint="write NAME=value")])
        given[found[1]] = _value(found[2])
    due = {name: one for name, one in given.items() if override or name not in os.environ}
    os.environ.update(due)
    return tuple(due)


def _value(text: str) -> str:
    """Return a value without its quotes, or without the comment after it."""
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return quoted[2]
    return re.split(r"\s+#", text, maxsplit=1)[0]
