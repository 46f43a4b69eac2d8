"""Blocks that Ctrl-C does not leave halfway: imports of vLLM and of its libraries, and loading.

A module that is left while it is imported, or a model that is left while it is loaded, breaks all
later use of vLLM in the process, with errors that do not tell why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chainlang.engines.protocol import refuse
from chainlang.interrupts import interrupts_deferred

_left: str | None = None  # what was left halfway in this process


@contextmanager
def not_halfway(doing: str) -> Iterator[None]:
    """Run a block to its end, and raise a Ctrl-C only then.

    `doing` says what the block does, such as ``importing vLLM``. A second Ctrl-C leaves the block
    at once. Then vLLM can't be used in this process any more: later blocks raise `EngineError`.
    """
    global _left  # noqa: PLW0603  # modules belong to the process
    if _left is not None:
        refuse(
            f"vLLM can't be used in this process: {_left} was interrupted halfway",
            "restart the kernel, or start Python again\n"
            "and interrupt once: that takes effect as soon as it is safe",
        )
    done = False
    try:
        with interrupts_deferred():
            yield
            done = True
    except (KeyboardInterrupt, SystemExit):
        if not done:
            _left = doing
        raise
