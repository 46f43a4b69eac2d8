"""The certificates that servers are checked against, read once for all clients."""

from __future__ import annotations

import os
import ssl
from functools import cache

from chainlang.engines.openai.endpoint import Endpoint


def certificates(endpoint: Endpoint) -> ssl.SSLContext:
    """Return what a client of a server takes as `verify`.

    Reading them takes longer than a request to this machine, and each client would do it again.
    """
    trusted = not endpoint.loopback
    named = [
        os.environ.get(name) if trusted else None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")
    ]
    return _read(trusted, *named)


@cache
def _read(trust_env: bool, *_variables: str | None) -> ssl.SSLContext:
    """Return the context for these values of the variables, which httpx2 reads itself."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=trust_env)
