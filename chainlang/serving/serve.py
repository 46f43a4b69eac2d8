"""`serve`: chains as models of a server; `application`: the same for another ASGI server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias, Unpack

from chainlang.api.chain import Chain
from chainlang.errors import error_of
from chainlang.optimizer.compile import planned
from chainlang.serving.callers import check_models
from chainlang.serving.metrics import Metrics
from chainlang.serving.offers import Offer, offers_of
from chainlang.serving.terms import Key, ServeKeywords, Terms
from chainlang.session.prepare import prepare
from chainlang.session.prices import prices_of
from chainlang.settings import CallSettings

if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812

    from starlette.types import ASGIApp

    from chainlang.serving.server import Server

__all__ = ["Key", "application", "running", "serve"]

PORT = 8000
DRAIN = 30.0
"""Seconds that rows in flight may take after the server was asked to end."""
LONGEST_DRAIN = 86_400
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Chains: TypeAlias = (
    "Chain | str | PathLike[str] | Mapping[str, Chain] | Mapping[str, str | PathLike[str]]"
)


def serve(
    chains: Chains,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    drain: float = DRAIN,
    ready: Callable[[str], object] | None = None,
    **keywords: Unpack[ServeKeywords],
) -> None:
    """Serve chains as models, for clients of OpenAI's API, until SIGTERM or Ctrl-C.

    `chains`: a chain, the path of a file, or several by their names. A `host` that other machines
    reach is refused without `keys`. Rows in flight have `drain` seconds at the end. `ready` is
    called with the address once requests are answered; a `port` of 0 is any free one. The keywords
    are those of `application`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        message = "serve() runs an event loop of its own, and one runs here, as in a notebook"
        raise error_of("operand", message, "write: with chainlang.serving.running(...) as address:")
    with _bound(chains, host, port, drain, keywords) as (server, socket):
        from chainlang.serving.server import address, run

        if ready is not None:
            server.ready = lambda: ready(address(socket))
        if callable(say := keywords.get("progress")):
            server.ending = lambda number: say(
                f"requests in flight: {number}; they have {drain:g} s, Ctrl-C ends them"
            )
        run(server, socket)


@contextmanager
def running(
    chains: Chains,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    drain: float = DRAIN,
    **keywords: Unpack[ServeKeywords],
) -> Iterator[str]:
    """Serve chains in a thread of this process in the block, at any free port; yield the address.

    The rest is as in `serve`.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> with running(chain("3:E >> M"), engine=FakeEngine()) as address:
    ...     print(address)
    http://127.0.0.1:.../v1
    """
    with _bound(chains, host, port, drain, keywords) as (server, socket):
        from chainlang.serving.server import address

        started = threading.Event()
        server.ready = started.set
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve([socket])), name="chainlang serve", daemon=True
        )
        thread.start()
        try:
            started.wait()
            yield address(socket)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _bound(
    chains: Chains, host: str, port: int, drain: float, keywords: ServeKeywords
) -> Iterator[tuple[Server, Socket]]:
    """Yield a server with its models loaded, and the socket that it is for."""
    _check_installed()
    from chainlang.serving.server import listening, server_of

    if host not in _LOOPBACK and not keywords.get("keys"):
        message = f"at {host} other machines reach this server, and it has no keys"
        hint = 'give one: keys={"me": "env:NAME"}, in a shell --key me=env:NAME'
        raise error_of("setting", message, hint, setting="host")
    if not 0 <= drain <= LONGEST_DRAIN:
        message = f"drain= takes a number of seconds from 0 to {LONGEST_DRAIN:,}, found {drain!r}"
        raise error_of("setting", message, setting="drain")
    with listening(host, port) as socket:
        app = application(chains, **keywords)
        yield server_of(app, drain=drain, debug=keywords.get("debug", False)), socket


def application(chains: Chains, **keywords: Unpack[ServeKeywords]) -> ASGIApp:
    """Return the ASGI application of a server, after loading the models of its chains.

    `keys`: callers by name, each with the variable of its key, ``"env:NAME"``, or a `Key`; without
    any, only requests whose host is this machine are answered. `rate` (requests a minute), `burst`,
    `budget_tokens`, `budget_cost` and `offered` (names of models) bound each caller that has no
    bound of its own. At most `window` rows run at once, and `queue` requests wait. `strict`: refuse
    fields without effect. `origins`: sites whose pages may use the server from a browser. `debug`:
    log the texts of errors. Other keywords are settings of each row, as in a call.

    Raises `SourceError` if a library is not installed, `SettingError` for a key whose variable is
    not set, and what calling the chains raises.
    """
    _check_installed()
    from chainlang.serving.answering import Shared
    from chainlang.serving.app import Application, Manner
    from chainlang.serving.origins import open_to
    from chainlang.serving.slots import Slots

    terms, rest = Terms.of(keywords)
    settings = CallSettings.of({**rest, "on_error": "collect"})
    callers, metrics = terms.callers(), Metrics()
    offers = offers_of(chains, settings)
    check_models(callers.every, offers)
    has_costs = any(one.allowance.cost is not None for one in callers.every)
    for one in offers.values():
        if any(caller.may_use(one.name) for caller in callers.every):
            _load(one, settings, has_costs=has_costs)
    shared = Shared(settings, Slots(terms.window, terms.queue), metrics)
    manner = Manner(strict=terms.strict, debug=terms.debug)
    return open_to(Application(offers, callers, shared, manner).asgi(), terms.origins)


def _check_installed() -> None:
    try:
        import starlette
        import uvicorn
    except ModuleNotFoundError as error:
        what = f"serving a chain needs {error.name}, which is not installed"
        raise error_of("file", what, "run: pip install 'chainlang[serve]'") from error
    del starlette, uvicorn


def _load(offer: Offer, settings: CallSettings, *, has_costs: bool) -> None:
    """Load the models of an offer. Raises `SettingError` for a budget of cost without a price."""
    plan = planned(offer.program, settings).plan
    unknown = set(plan.models) - set(prices_of(plan, offer.program.items, settings))
    if has_costs and unknown:
        message = f"budget_cost can't be held: the price of the model {min(unknown)!r} is not known"
        hint = 'say it where the model is declared: price={"input": 2.5, "output": 10}'
        raise error_of("setting", message, hint, subject=min(unknown))
    prepare(offer.program, settings)
