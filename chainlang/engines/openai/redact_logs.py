"""What the client of HTTP logs, without the keys: at debug level it writes what servers send."""

from __future__ import annotations

import logging

_LOGGERS = (
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
    "httpcore2.http2",
    "httpcore2.proxy",
    "httpcore2.socks",
)


class _Hiding(logging.Filter):
    """Puts something else in the place of every key that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        for key in self.keys:
            if key in said:
                said = said.replace(key, "[API key]")
                record.msg, record.args = said, ()
        return True


_HIDING = _Hiding()


def hide(key: str) -> None:
    """Hide a key in what is logged from now on."""
    _HIDING.keys.add(key)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_HIDING)  # once, however often it is added
