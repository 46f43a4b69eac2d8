"""Discovery: which models the servers of known providers have.

A provider is asked if it needs no key or its key is set. Each is asked by itself, so that one that
fails leaves the others; what it says is kept for an hour, in the user's cache folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.hosts import HOSTS, Host
from chainlang.engines.http.endpoint import Endpoint, Service
from chainlang.engines.http.new_client import new_client
from chainlang.errors import EngineError
from chainlang.models.declaration import host_in
from chainlang.models.kept_files import cache_folder, write_kept
from chainlang.models.providers import address_of, key_variable

HOUR = 3600.0
"""Seconds for which an answer is kept."""
SECONDS = 30.0
"""Timeout of all questions together."""
_STEP = 0.05  # seconds between two looks at an interrupt
_ENOUGH = 1 << 23  # bytes of a response


@frozen
class Discovered:
    """Answer of a provider to the question which models it has."""

    provider: str
    url: str
    models: tuple[str, ...] = ()
    error: str = ""
    """Why it is not known which models there are; empty if it is."""
    at: float = 0.0
    """Time of the answer, in seconds since 1970."""


@frozen
class _Question:
    host: Host
    url: str
    key: str = field(default="", repr=False)


def discover(
    hosts: Iterable[Host] = HOSTS, *, fresh: bool = False, folder: Path | None = None
) -> tuple[Discovered, ...]:
    """Return the models of each provider that can be asked, in the order of `hosts`.

    `fresh`: ask also those whose answer is less than an hour old. `folder`: where answers are kept;
    default: the user's cache folder.
    """
    file = (folder or cache_folder()) / "models.json"
    kept = {} if fresh else _kept(file)
    asked: list[_Question] = []
    found: dict[str, Discovered] = {}
    for host in hosts:
        variable, url = key_variable(host), address_of(host)
        if host.variable is not None and variable is None:
            continue
        if (one := kept.get(host.prefix)) is not None and one.url == url:
            found[host.prefix] = one
        else:
            asked.append(_Question(host, url, os.environ.get(variable or "", "")))
    found |= {one.provider: one for one in _answers(asked)}
    _keep(file, {**_kept(file), **{name: one for name, one in found.items() if not one.error}})
    return tuple(found[host.prefix] for host in hosts if host.prefix in found)


def _answers(asked: list[_Question]) -> list[Discovered]:
    """Ask all at once, and return each answer; one that does not come in time is an error."""
    if not asked:
        return []
    thread = EventLoopThread[Discovered]("chainlang-discovery")
    found: dict[int, Discovered] = {}
    until = time.monotonic() + SECONDS
    try:
        thread.start([(number, partial(_ask, one)) for number, one in enumerate(asked)])
        while len(found) < len(asked) and time.monotonic() < until:
            for number, answer in thread.take(_STEP):
                if not isinstance(answer, Discovered):  # an error that `_ask` does not expect
                    raise answer
                found[number] = answer
    finally:
        thread.close()
    late = f"no answer within {SECONDS:g} s"
    return [
        found.get(number) or Discovered(one.host.prefix, one.url, error=late)
        for number, one in enumerate(asked)
    ]


def _service(host: Host) -> Service:
    """Return the protocol in which a provider lists its models."""
    from chainlang.engines.anthropic import dialect as messages
    from chainlang.engines.openai import dialect as chat

    own = messages.SERVICE if host.engine == "anthropic" else chat.SERVICE
    path = "/models?limit=1000" if host.engine == "anthropic" else "/models"  # else the first 20
    return evolve(own, url=host.url, path=path)


async def _ask(one: _Question) -> Discovered:
    import httpx2

    failed = partial(Discovered, one.host.prefix, one.url)
    try:
        service = _service(one.host)
        endpoint = Endpoint.of(service, one.url, one.key, (host_in(one.url),))
        async with asyncio.timeout(SECONDS):
            async with new_client(endpoint, timeout=httpx2.Timeout(SECONDS, connect=5.0)) as client:
                response = await client.get(endpoint.request_url)
    except EngineError as error:
        return failed(error=error.diagnostics[0].message)
    except (httpx2.ConnectError, httpx2.ConnectTimeout):
        return failed(error="no server answers")
    except (httpx2.HTTPError, TimeoutError) as error:
        return failed(error=f"no answer: {type(error).__name__}")
    if response.status_code != 200:
        return failed(error=f"HTTP {response.status_code}")
    if len(response.content) > _ENOUGH:
        return failed(error="the answer is too long")
    try:
        names = _names(json.loads(response.content))
    except (ValueError, RecursionError):
        return failed(error="the answer is no list of models")
    return Discovered(one.host.prefix, one.url, names, at=time.time())


def _names(document: Any) -> tuple[str, ...]:
    """Return the names in an answer. Raises `ValueError` if it is no list of models."""
    if isinstance(document, Mapping):
        document = document.get("data")
    if not isinstance(document, list):
        raise ValueError("no list")
    found = (one.get("id") for one in document if isinstance(one, Mapping))
    return tuple(sorted(str(one).removeprefix("models/") for one in found if one))


def _kept(file: Path) -> dict[str, Discovered]:
    """Return the answers that are less than an hour old; none if the file is not as written."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        found = {
            str(name): Discovered(str(name), str(one["url"]), tuple(one["models"]), "", one["at"])
            for name, one in document.items()
        }
        return {name: one for name, one in found.items() if 0 <= time.time() - one.at < HOUR}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(file: Path, found: Mapping[str, Discovered]) -> None:
    """Keep answers; without a place for them they are asked for again."""
    document = {
        name: {"url": one.url, "models": one.models, "at": one.at} for name, one in found.items()
    }
    write_kept(file, document)
