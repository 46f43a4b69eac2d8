"""Suppression of vLLM's output while it loads, and of its changes to the process.

vLLM prints about fifty lines while it loads, on settings that are chosen here. To see them, set
``VLLM_LOGGING_LEVEL``, vLLM's own variable.
"""

from __future__ import annotations

import io
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_ENVIRONMENT = {
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # run in this process
    "VLLM_NO_USAGE_STATS": "1",  # send no telemetry
}


@contextmanager
def quiet() -> Iterator[None]:
    """Discard the output of the block and undo its changes to the state of the process.

    Output of other threads meanwhile is lost, too.
    """
    if "VLLM_LOGGING_LEVEL" in os.environ:
        with _environment({key: one for key, one in _ENVIRONMENT.items() if "LOGGING" not in key}):
            yield
        return
    logger = logging.getLogger("vllm")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.ERROR)
    with _environment(_ENVIRONMENT), _globals(), warnings.catch_warnings(), _muted():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def _globals() -> Iterator[None]:
    """Restore the process-wide state that vLLM and torch change.

    vLLM seeds the global random generators; torch puts "[rank0]" before every traceback.
    """
    numpy = sys.modules.get("numpy")
    state, arrays = random.getstate(), numpy and numpy.random.get_state()
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(arrays)


class _Mute(io.TextIOBase):
    """A stream that discards output while it is mute, and passes it on afterwards.

    Logging handlers that are created while libraries load keep this stream, so it has to work
    afterwards.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.mute = True

    def write(self, text: str, /) -> int:
        stream = getattr(sys, self.name)
        if not self.mute and stream is not None and stream is not self:
            stream.write(text)
        return len(text)


@contextmanager
def _muted() -> Iterator[None]:
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    mutes = {name: _Mute(name) for name in streams}
    for stream in streams.values():
        if stream is not None:
            stream.flush()
    saved: dict[int, int] = {}
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a device
        for number in (1, 2):
            try:
                saved[number] = os.dup(number)
                os.dup2(nowhere.fileno(), number)
            except OSError:  # a process without a terminal may have closed it
                continue
    for name, mute in mutes.items():
        setattr(sys, name, mute)
    try:
        yield
    finally:
        for name, stream in streams.items():
            mutes[name].mute = False
            if getattr(sys, name) is mutes[name]:
                setattr(sys, name, stream)
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress the grammar compiler's deprecation warnings, which are meant for vLLM."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
