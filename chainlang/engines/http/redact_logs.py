"""Redaction of API keys in the logs of the HTTP client, which at debug level logs all headers."""

from __future__ import annotations

import logging

from chainlang.protocol.secret import without

_LOGGERS = (
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
    "httpcore2.http2",
    "httpcore2.proxy",
    "httpcore2.socks",
)


class _Redaction(logging.Filter):
    """Log filter that replaces the keys added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = shown = record.getMessage()
        for key in self.keys:
            shown = without(key, shown)
        if shown != message:
            record.msg, record.args = shown, ()
        return True


_REDACTION = _Redaction()


def hide(key: str) -> None:
    """Replace a key in all log messages from now on."""
    _REDACTION.keys.add(key)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)  # adding it again has no effect
