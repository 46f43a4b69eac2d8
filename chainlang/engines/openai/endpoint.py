"""Where prompts may be sent, and the key that goes with them."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from attrs import field, frozen

from chainlang.engines.openai import redact_logs
from chainlang.engines.protocol import refuse

CLOUD = "api.openai.com"
DEFAULT_URL = f"https://{CLOUD}/v1"


@frozen
class Endpoint:
    """The address of a server, without a slash at its end, and the key to it.

    >>> Endpoint.of("http://localhost:8000/v1/", "sk-1").hide("sk-1 is wrong")
    '[API key] is wrong'
    """

    url: str
    host: str
    key: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, key: str | None, allowed: Collection[str] = ()) -> Endpoint:
        """Return the endpoint. Raises `EngineError` if nothing may be sent there, or not the key.

        >>> Endpoint.of("https://example.com/v1", None)
        Traceback (most recent call last):
            ...
        chainlang.errors.EngineError: error[engine]: base_url is not an allowed host: example.com
          = hint: if that is meant: allowed_hosts=['example.com'] in Python or chainlang.toml
        """
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            # Said here, because what writes the header would print the key that it can't write.
            hint = "a space, a line break or a quotation mark may have come along with it"
            refuse("the API key has characters that no key has", hint, setting="api_key")
        if key:
            redact_logs.hide(key)
        return cls(url.rstrip("/"), _host(url, allowed), key or "")

    @property
    def questions(self) -> str:
        """Where questions are sent."""
        return f"{self.url}/chat/completions"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        return _is_loopback(self.host)

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every question: the key, if there is one."""
        found = {"Content-Type": "application/json"}
        return found | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    def hide(self, text: str) -> str:
        """Return a text without the key: servers repeat it in what they say of it."""
        return text.replace(self.key, "[API key]") if self.key else text


def _host(url: str, allowed: Collection[str]) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # reading the port checks it
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        hint = 'write it like "http://host:8000/v1"'
        refuse("base_url is not the address of a server", hint, setting="base_url")
    if parts.username is not None or parts.password is not None:
        hint = "pass the key as api_key"
        refuse("base_url has a name or a password in it", hint, setting="base_url")
    if _is_loopback(host) or host in allowed:
        return host
    if host != CLOUD:
        hint = f"if that is meant: allowed_hosts=[{host!r}] in Python or chainlang.toml"
        refuse(f"base_url is not an allowed host: {host}", hint, setting="base_url")
    if parts.scheme != "https":
        message = "base_url would send the API key unencrypted"
        refuse(message, f'write "{DEFAULT_URL}"', setting="base_url")
    return host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
