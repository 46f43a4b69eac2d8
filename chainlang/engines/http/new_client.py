"""HTTP clients for a server, with the proxies and certificates of the environment."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.protocol import refuse

if TYPE_CHECKING:
    import httpx2

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def new_client(endpoint: Endpoint, **options: Any) -> httpx2.AsyncClient:
    """Return a client for a server; without proxies if the server is on this machine.

    Raises `EngineError` if a variable of the environment names a proxy that can't be used, or
    certificates that can't be read.
    """
    import httpx2

    client, trusted, wrong = None, not endpoint.loopback, ("", "")
    plain = endpoint.loopback and endpoint.url.startswith("http:")
    # A context without certificates trusts nothing, and takes a tenth of the time of a command.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else _certificates(trusted)
    try:
        client = httpx2.AsyncClient(
            headers=endpoint.headers, verify=verify, trust_env=trusted, **options
        )
    except ImportError:  # which httpx2 raises for one kind of proxy alone
        wrong = (
            "names a SOCKS proxy, which needs another package",
            "run: pip install 'httpx2[socks]'; or name an HTTP proxy",
        )
    except (ValueError, httpx2.InvalidURL):
        wrong = "is not the address of a proxy", 'write it like "http://host:3128"'
    if client is None:  # not within the `except`: the other error holds the address
        what, hint = wrong
        refuse(f"{_set_of(_PROXIES)} in the environment {what}", hint)
    return client


def _certificates(trusted: bool) -> ssl.SSLContext:
    """Return the certificates that a server is checked against.

    Reading them takes longer than a request to this machine, and each client would do it again.
    """
    named = [os.environ.get(name) if trusted else None for name in _CERTIFICATES]
    found = None
    with suppress(OSError, ssl.SSLError):
        found = _read(trusted, *named)
    if found is None:
        what = f"{_set_of(_CERTIFICATES)} in the environment names certificates that can't be read"
        refuse(what, "correct the path, or unset the variable")
    return found


def _set_of(variables: tuple[str, ...]) -> str:
    """Return the variables that are set, as words; a value may hold a password."""
    names = (spelled for name in variables for spelled in (name, name.lower()))
    return " or ".join(name for name in names if os.environ.get(name)) or variables[0]


@cache
def _read(trust_env: bool, *_variables: str | None) -> ssl.SSLContext:
    """Return the context for these values of the variables, which httpx2 reads itself."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=trust_env)
