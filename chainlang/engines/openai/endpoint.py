"""Address of a server and its API key, and the check that prompts may be sent there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from attrs import field, frozen

from chainlang.engines.openai import redact_logs
from chainlang.engines.protocol import refuse
from chainlang.protocol.secret import Secret, without
from chainlang.settings.address import trimmed, wrong

CLOUD = "api.openai.com"
DEFAULT_URL = f"https://{CLOUD}/v1"


@frozen
class Endpoint:
    """Base URL of a server, without a slash or ``/chat/completions`` at its end, and its API key.

    >>> Endpoint.of("http://localhost:8000/v1/", "sk-1").hide("sk-1 is wrong")
    '[API key] is wrong'
    """

    url: str
    host: str
    key: str = field(default="", repr=False)
    more: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further headers of every request."""

    @classmethod
    def of(
        cls,
        url: str,
        key: str | None,
        allowed: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Return the endpoint of a URL; `headers` are further ones of every request.

        Raises `EngineError` if the URL is invalid, its host is not this machine, OpenAI or in
        `allowed`, or the key would be sent unencrypted.

        >>> Endpoint.of("https://example.com/v1", None)
        Traceback (most recent call last):
            ...
        chainlang.errors.EngineError: error[engine]: base_url is not an allowed host: example.com
          = hint: to allow it, set allowed_hosts=['example.com'] in Python or chainlang.toml
        """
        key = Secret(key or "")  # so that no traceback shows it
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            # Checked here, because the HTTP client would put the invalid key into its error.
            hint = "look for a space, a line break or a quotation mark copied along with it"
            refuse("the API key has characters that no key has", hint, setting="api_key")
        if key:
            redact_logs.hide(key)
        host = _host(url, allowed)
        if key and not (is_loopback(host) or urlsplit(url).scheme == "https"):
            hint = "write https, or leave the key out"
            refuse("base_url would send the API key unencrypted", hint, setting="base_url")
        return cls(trimmed(url), host, key, tuple((headers or {}).items()))

    @property
    def completions_url(self) -> str:
        """URL of chat completions."""
        return f"{self.url}/chat/completions"

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.host)

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of every request, with the key if there is one."""
        headers = {**dict(self.more), "Content-Type": "application/json"}
        return headers | ({"Authorization": Secret(f"Bearer {self.key}")} if self.key else {})

    def hide(self, text: str) -> str:
        """Return a text without the API key, which some servers repeat in their errors."""
        return without(self.key, text)


def _host(url: str, allowed: Collection[str]) -> str:
    if (fault := wrong(url)) is not None:
        refuse(f"base_url {fault.what}", fault.hint, setting="base_url")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or host in allowed:
        return host
    if host != CLOUD:
        hint = f"to allow it, set allowed_hosts=[{host!r}] in Python or chainlang.toml"
        refuse(f"base_url is not an allowed host: {host}", hint, setting="base_url")
    if parts.scheme != "https":
        message = "base_url would send the API key unencrypted"
        refuse(message, f'write "{DEFAULT_URL}"', setting="base_url")
    return host


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
