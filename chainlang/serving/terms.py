"""Terms of a server: its callers, and the bounds of each and of all together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve, fields, frozen

from chainlang.api.keywords import CallKeywords
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SettingError
from chainlang.serving.callers import Allowance, Caller, Callers
from chainlang.serving.origins import faults
from chainlang.settings import DEFAULT_WINDOW

QUEUE = 1024
"""Number of requests that may wait, by default."""


class ServeKeywords(CallKeywords, total=False):
    """Keywords of a server; those of a call are settings of each row."""

    keys: Mapping[str, Key | str]
    """callers by name, each with the variable of its key, ``"env:NAME"``, or with a `Key`"""
    rate: float | None
    """requests a minute, of each caller without a bound of its own, as in the next four"""
    burst: int | None
    """requests at once"""
    budget_tokens: int | None
    """tokens of prompts and replies until the server ends"""
    budget_cost: Decimal | float | None
    """dollars until the server ends"""
    offered: Collection[str] | None
    """names of models"""
    window: int
    """maximum number of rows in flight"""
    queue: int
    """maximum number of requests that wait, before others are refused"""
    strict: bool
    """refuse requests with fields that have no effect, instead of naming these in a header"""
    origins: Collection[str]
    """sites whose pages may use the server from a browser, such as ``https://ui.example``"""
    debug: bool
    """log each request, and the texts of errors, which may hold prompts and replies"""


@frozen(kw_only=True)
class Bounds:
    """Bounds of a caller; None for no bound of its own."""

    rate: float | None = None
    """Requests a minute."""
    burst: int | None = None
    """Requests at once; default: those of a second, at least one."""
    budget_tokens: int | None = None
    """Tokens of prompts and replies, of all stages, until the server ends."""
    budget_cost: Decimal | float | None = None
    """Dollars until the server ends."""
    offered: Collection[str] | None = None
    """Names of models; default: all."""

    def faults(self, others: Bounds) -> Iterator[Diagnostic]:
        """Yield what is wrong; a rate that `burst` goes with may be among other bounds."""
        if self.burst is not None and self.rate is None and others.rate is None:
            message = "burst= has no effect without rate="
            yield Diagnostic(
                "setting", message, None, "add a rate, or leave it out", setting="burst"
            )
        yield from _whole("burst", self.burst)
        yield from _whole("budget_tokens", self.budget_tokens)
        for name in ("rate", "budget_cost"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 < value < float("inf")):
                message = f"{name}= takes a number above 0, found {value!r}"
                yield Diagnostic("setting", message, setting=name)

    def allowance(self, default: Bounds) -> Allowance:
        """Return what a caller may do, by these bounds and else by default ones."""
        found = {
            one.name: getattr(default if getattr(self, one.name) is None else self, one.name)
            for one in fields(Bounds)
        }
        cost, models = found["budget_cost"], found["offered"]
        return Allowance(
            rate=found["rate"],
            burst=found["burst"],
            tokens=found["budget_tokens"],
            cost=None if cost is None else Decimal(str(cost)),
            models=None if models is None else frozenset(models),
        )


@frozen(kw_only=True)
class Key(Bounds):
    """An API key: the environment variable that holds it, and what its caller may do.

    What is None is as the server allows every caller.

    >>> Key(variable="env:ALICE_KEY", rate=60).rate
    60
    """

    variable: str
    """Name of the variable, as ``env:NAME``."""


@frozen(kw_only=True)
class Terms:
    """Callers, bounds and manners of a server."""

    keys: Mapping[str, Key | str] = {}
    every: Bounds = Bounds()
    """Bounds of each caller without its own."""
    window: int = DEFAULT_WINDOW
    queue: int = QUEUE
    strict: bool = False
    origins: Collection[str] = ()
    debug: bool = False

    @staticmethod
    def of(keywords: Mapping[str, Any]) -> tuple[Terms, dict[str, Any]]:
        """Return the terms among keywords, and the others. Raises `SettingError`."""
        rest = dict(keywords)
        names = [one.name for one in fields(Bounds)]
        bounds = {name: rest.pop(name) for name in names if name in rest}
        own = ("keys", "window", "queue", "strict", "origins", "debug")
        found = Terms(every=Bounds(**bounds), **{n: rest.pop(n) for n in own if n in rest})
        keys = [one for one in found.keys.values() if isinstance(one, Key)]
        rated = next((one for one in keys if one.rate is not None), found.every)
        wrong = [*found.every.faults(rated)]
        wrong += (one for key in keys for one in key.faults(found.every))
        if isinstance(found.origins, str):
            found = evolve(found, origins=(found.origins,))
        wrong += faults(found.origins)
        wrong += [*_whole("window", found.window), *_whole("queue", found.queue, least=0)]
        if wrong:
            raise SettingError(wrong)
        return found, rest

    def callers(self) -> Callers:
        """Return the callers. Raises `SettingError` if the variable of a key is not set."""
        keys = {
            name: one if isinstance(one, Key) else Key(variable=one)
            for name, one in self.keys.items()
        }
        return Callers.of(
            (Caller.of(n, one.allowance(self.every), one.variable) for n, one in keys.items()),
            self.every.allowance(self.every),
        )


def _whole(name: str, value: object, least: int = 1) -> Iterator[Diagnostic]:
    if value is not None and (type(value) is not int or value < least):
        message = f"{name}= takes a whole number ≥ {least}, found {value!r}"
        yield Diagnostic("setting", message, setting=name)
