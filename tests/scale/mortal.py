"""A function that kills the process in which it is called, once."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import suppress

_CALLS = itertools.count(1)
_LAST = 100


def mortal(answer: str, *, mark: str) -> str:
    """Return an answer. In the hundredth call of a process, kill it if there is a file `mark`.

    The file is deleted first, so that one process dies of it.
    """
    if next(_CALLS) == _LAST:
        with suppress(FileNotFoundError):
            os.unlink(mark)  # noqa: PTH108  # what it raises is what counts
            os.kill(os.getpid(), signal.SIGKILL)
    return answer
