"""Address of a server and its API key, and the check that prompts may be sent there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from attrs import field, frozen

from chainlang.engines.http import redact_logs
from chainlang.engines.protocol import refuse
from chainlang.protocol.secret import Secret, without
from chainlang.settings.address import trimmed, wrong


@frozen
class Service:
    """A protocol over HTTP: the provider that defines it, and where its requests and keys go."""

    name: str
    url: str
    """Base URL of the provider, whose host is always allowed."""
    path: str
    """Path of requests after a base URL, such as ``/chat/completions``."""
    key_header: str
    key_prefix: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of every request."""

    @property
    def host(self) -> str:
        """Host of the provider."""
        return urlsplit(self.url).hostname or ""


@frozen
class Endpoint:
    """Base URL of a server, without a slash or the path of requests at its end, and its API key.

    >>> service = Service("mine", "https://example.com/v1", "/messages", "x-key")
    >>> Endpoint.of(service, "http://localhost:8000/v1/", "sk-1").hide("sk-1 is wrong")
    '[API key] is wrong'
    """

    service: Service
    url: str
    host: str
    key: str = field(default="", repr=False)
    more: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further headers of every request."""

    @classmethod
    def of(
        cls,
        service: Service,
        url: str,
        key: str | None,
        allowed: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Return the endpoint of a URL; `headers` are further ones of every request.

        Raises `EngineError` if the URL is invalid, its host is not this machine, the provider's or
        in `allowed`, or the key would be sent unencrypted.

        >>> openai = Service("openai", "https://api.openai.com/v1", "/chat/completions", "")
        >>> Endpoint.of(openai, "https://example.com/v1", None)
        Traceback (most recent call last):
            ...
        chainlang.errors.EngineError: error[engine]: base_url is not an allowed host: example.com
          = hint: to allow it, set allowed_hosts=['example.com'] in Python or chainlang.toml
          = hint: or, in a shell: --allowed-hosts example.com
        """
        key = Secret(key or "")  # so that no traceback shows it
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            # Checked here, because the HTTP client would put the invalid key into its error.
            hint = "look for a space, a line break or a quotation mark copied along with it"
            refuse("the API key has characters that no key has", hint, setting="api_key")
        if key:
            redact_logs.hide(key)
        host = _host(service, url, allowed)
        if key and not (is_loopback(host) or urlsplit(url).scheme == "https"):
            hint = "write https, or leave the key out"
            refuse("base_url would send the API key unencrypted", hint, setting="base_url")
        return cls(service, trimmed(url), host, key, tuple((headers or {}).items()))

    @property
    def request_url(self) -> str:
        """URL of requests."""
        return self.url + self.service.path

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(self.host)

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of every request, with the key if there is one."""
        service = self.service
        own = {**dict(service.headers), "Content-Type": "application/json"}
        key = {service.key_header: Secret(service.key_prefix + self.key)} if self.key else {}
        return {**dict(self.more), **own, **key}

    def hide(self, text: str) -> str:
        """Return a text without the API key, which some servers repeat in their errors."""
        return without(self.key, text)


def _host(service: Service, url: str, allowed: Collection[str]) -> str:
    if (fault := wrong(url)) is not None:
        refuse(f"base_url {fault.what}", fault.hint, setting="base_url")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or host in allowed:
        return host
    if host != service.host:
        hint = f"to allow it, set allowed_hosts=[{host!r}] in Python or chainlang.toml"
        hint += f"\nor, in a shell: --allowed-hosts {host}"
        refuse(f"base_url is not an allowed host: {host}", hint, setting="base_url")
    if parts.scheme != "https":
        message = "base_url would send the API key unencrypted"
        refuse(message, f'write "{service.url}"', setting="base_url")
    return host


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
