"""Models of known hosts: by the prefix of a provider, or by the name of a well-known family."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from attrs import evolve

from chainlang.engines.hosts import HOSTS, Host, host_named
from chainlang.engines.http.endpoint import is_loopback
from chainlang.ir.declarations import Environment, Model, Setting
from chainlang.models.declaration import OWN_HOSTS, host_in
from chainlang.settings import Settings

FAMILIES: tuple[tuple[str, str], ...] = (
    (r"gpt-(?!oss)|chatgpt-|o[1-9](-|$)", "openai"),
    (r"claude-", "anthropic"),
    (r"gemini-", "gemini"),
    (r"(mi|mini|magi|code|dev|pix)stra?l-.*(latest|\d{4})$", "mistral"),
    (r"deepseek-(chat|reasoner)$", "deepseek"),
    (r"grok-", "xai"),
)
"""Beginnings of the names of well-known families, and the provider of each. Models with open
weights are left out, since their names are those of the hub."""
PREFIXES = tuple(one.prefix for one in HOSTS)
"""The providers that a name may begin with."""
_MORE_KEYS = {"gemini": ("GOOGLE_API_KEY",)}
"""Further variables that hold the key of a provider."""


def provided(name: str, settings: Settings) -> Model | None:
    """Return the model that a name means by its prefix or family; None if it has neither."""
    prefix, _, source = name.partition(":")
    host = host_named(prefix) if source else None
    if host is not None:
        return _of(host, name, source, settings)
    family = family_of(name)
    host = None if family is None else host_named(family)
    return None if host is None else _of(host, name, name, settings)


def family_of(name: str) -> str | None:
    """Return the provider of a well-known name; None for any other.

    >>> [family_of(one) for one in ("gpt-4o", "claude-3-5-sonnet", "o3-mini", "gpt-oss-20b")]
    ['openai', 'anthropic', 'openai', None]
    """
    return next((one for pattern, one in FAMILIES if re.match(pattern, name)), None)


def address_variable(host: Host) -> str:
    """Return the variable of the environment that replaces the address of a provider."""
    return f"{host.prefix.upper()}_BASE_URL"


def address_of(host: Host) -> str:
    """Return the address of a provider: of its variable, or that of its documents."""
    given = os.environ.get(address_variable(host))
    if not given and host.prefix == "ollama" and (at := os.environ.get("OLLAMA_HOST")):
        at = at if "://" in at else f"http://{at}"
        parts = urlsplit(at)
        port = "" if parts.port else ":11434"
        given = f"{at.rstrip('/')}{port}/v1".replace("//0.0.0.0:", "//127.0.0.1:")
    return given or host.url


def key_variables(host: Host) -> tuple[str, ...]:
    """Return the variables that may hold the key of a provider, the first one first."""
    if host.variable is None:
        return ()
    return (host.variable, *_MORE_KEYS.get(host.prefix, ()))


def key_variable(host: Host) -> str | None:
    """Return the variable that holds the key of a provider; None if none of them is set."""
    return next((name for name in key_variables(host) if os.environ.get(name)), None)


def completed(model: Model, settings: Settings) -> Model:
    """Return a model with the address and the key of its provider, where it names one."""
    given = {one.name: one.value for one in model.settings}
    host = host_named(str(given.get("provider", "")))
    if host is None or "base_url" in given:
        return model
    more = _of(host, model.name, model.source, settings).settings
    return evolve(
        model, settings=(*model.settings, *(one for one in more if one.name not in given))
    )


def _of(host: Host, name: str, source: str, settings: Settings) -> Model:
    """Return a model of a provider, with its address and the variable of its key."""
    made = [Setting("provider", host.prefix)]
    variable = key_variable(host)
    if host.prefix == "openai" and not os.environ.get(address_variable(host)):
        # The settings of the run say where OpenAI is, and which key goes to that address alone.
        if settings.openai_base_url is not None:
            return Model(name, host.engine, source, tuple(made))
        needed = settings.openai_api_key is None
    else:
        address = address_of(host)
        where = host_in(address)
        made += [Setting("base_url", address), Setting(OWN_HOSTS, (where,))]
        needed = host.variable is not None and not is_loopback(where)
    if variable is not None or needed:
        made.append(Setting("api_key", Environment(variable or str(host.variable))))
    return Model(name, host.engine, source, tuple(made))
