"""The sandboxes by name: opened once in a process, and checked before the first program."""

from __future__ import annotations

import atexit
import threading

from chainlang.errors import error_of
from chainlang.sandboxes.bwrap import BwrapSandbox
from chainlang.sandboxes.monty import MontySandbox
from chainlang.sandboxes.program import NAMES, Sandbox

_OPEN: dict[str, Sandbox] = {}
_LOCK = threading.Lock()


def sandbox(name: str) -> Sandbox:
    """Return a sandbox that runs here. Raises `EngineError` with what helps if it does not.

    >>> sandbox("monty").version
    'monty 1.4.0'
    """
    with _LOCK:
        if name not in _OPEN:
            _OPEN[name] = _opened(name)
        return _OPEN[name]


def _opened(name: str) -> Sandbox:
    if name not in NAMES:
        raise error_of("engine", f"no sandbox is called {name!r}", f"write {' or '.join(NAMES)}")
    made: Sandbox = MontySandbox() if name == "monty" else BwrapSandbox()
    why = made.probe()
    if why is not None:
        made.close()
        what, _, cure = why.partition("\n")
        hint = cure or None
        raise error_of("engine", f"the sandbox '{name}' can't run here: {what}", hint)
    return made


def close_sandboxes() -> None:
    """End all processes of sandboxes; later programs start them again."""
    with _LOCK:
        opened = tuple(_OPEN.values())
        _OPEN.clear()
    for one in opened:
        one.close()


atexit.register(close_sandboxes)
