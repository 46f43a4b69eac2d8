"""Arguments of engines for servers: which address, and which key goes there.

A settings file and a `.chain` file may come from another author. So a key of the environment goes
to no address that such files alone have chosen: the user names the address or its host, in the
environment or in the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.engines.hosts import host_named
from chainlang.engines.http.endpoint import is_loopback
from chainlang.errors import error_of
from chainlang.ir.declarations import Environment, Model
from chainlang.models.declaration import OWN_HOSTS, addresses_in, host_in
from chainlang.protocol.secret import Secret
from chainlang.settings import RowSettings


def reached(model: Model, arguments: Mapping[str, Any], settings: RowSettings) -> dict[str, Any]:
    """Return the arguments of a server; the settings' API key is sent only to their address.

    `arguments` are those of the model, with the values of variables. Raises `EngineError` if a key
    of the environment would go to an address that files alone have chosen.
    """
    found = dict(arguments)
    own = tuple(found.pop(OWN_HOSTS, ()))  # of a declaration in Python, or of a known provider
    allowed = (*settings.allowed_hosts, *own)
    has_key = "api_key" in found  # a file names a variable, and never the key
    if "base_url" in found:
        written = {one.name: one.value for one in model.settings}
        hosts = [*map(host_in, addresses_in(found["base_url"]))]
        provider = host_named(model.engine)
        known = (*own, *(() if provider is None else (provider.name,)))
        for host in hosts:
            is_free = isinstance(written["base_url"], Environment) or host in known
            is_free |= is_loopback(host)
            if has_key and not is_free and host in allowed:  # else the engine refuses the host
                _check_named(host, "base_url", settings)
        if len(hosts) > 1:
            found["name"] = model.name
    elif model.engine == "openai" and settings.openai_base_url is not None:
        found["base_url"] = settings.openai_base_url
        host = host_in(settings.openai_base_url)
        has_key |= settings.openai_api_key is not None and "openai_api_key" not in settings.of_file
        if has_key and "openai_base_url" in settings.of_file:
            _check_named(host, "openai_base_url", settings)
        allowed += (host,)
    if (
        model.engine == "openai"
        and "base_url" not in arguments
        and settings.openai_api_key is not None
    ):
        found.setdefault("api_key", Secret(settings.openai_api_key.get_secret_value()))
    if settings.limits_redis is not None:
        found["limits_redis"] = Secret(settings.limits_redis.get_secret_value())
    return {**found, "allowed_hosts": allowed}


def _check_named(host: str, setting: str, settings: RowSettings) -> None:
    """Raise unless the call or the environment allows a host by name."""
    if host in settings.allowed_hosts and "allowed_hosts" not in settings.of_file:
        return
    message = f"{setting} is from a file, so it gets no API key from the environment: {host}"
    hint = (
        f"to send the key there, name the host yourself: allowed_hosts=[{host!r}] in the call, or "
        f"CHAINLANG_ALLOWED_HOSTS={host}"
    )
    raise error_of("engine", message, hint, setting=setting, subject=host)
