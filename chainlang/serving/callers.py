"""Callers of a server: their keys, rate limits, budgets and models."""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import time
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from itertools import combinations

from attrs import define, field, frozen

from chainlang.diagnostics.suggest import unknown
from chainlang.errors import error_of, raise_errors
from chainlang.protocol.messages import Usage
from chainlang.serving.refusals import Refused, busy

ANYONE = "anyone"
"""Name of the caller of a server without keys."""
_ENV = "env:"


@frozen(kw_only=True)
class Allowance:
    """Bounds of a caller; None for no bound."""

    rate: float | None = None
    """Requests a minute."""
    burst: int | None = None
    """Requests at once; default: those of a second, at least one."""
    tokens: int | None = None
    """Tokens of prompts and replies, of all stages, since the server started."""
    cost: Decimal | None = None
    """Dollars since the server started."""
    models: frozenset[str] | None = None
    """Names of models."""


@define(eq=False)
class Bucket:
    """Token bucket: as many requests at once as it holds, and `rate` a minute from then on."""

    rate: float
    size: float
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left, self._at = self.size, self.clock()

    def take(self) -> float:
        """Take one request; return 0, or the seconds until there is one."""
        now = self.clock()
        self._left = min(self.size, self._left + (now - self._at) * self.rate / 60)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * 60 / self.rate


@define(eq=False)
class Caller:
    """A caller, and what it has used."""

    name: str
    allowance: Allowance
    _digest: bytes | None = field(default=None, repr=False)
    """Hash of its key; None if it needs none."""
    _bucket: Bucket | None = None
    tokens: int = 0
    cost: Decimal = Decimal(0)

    @staticmethod
    def of(name: str, allowance: Allowance, variable: str | None = None) -> Caller:
        """Return a caller whose key is in an environment variable, named as ``env:NAME``."""
        rate, burst = allowance.rate, allowance.burst
        bucket = None
        if rate is not None:
            bucket = Bucket(rate, burst or max(1, math.floor(rate / 60)))
        digest = None if variable is None else _hash(_key(name, variable).encode())
        return Caller(name, allowance, digest, bucket)

    def may_use(self, model: str) -> bool:
        """Return whether it may use a model."""
        return self.allowance.models is None or model in self.allowance.models

    def enter(self) -> None:
        """Count a request. Raises `Refused` beyond its rate and its budget."""
        if self._bucket is not None and (wait := self._bucket.take()):
            message = f"{self.name} may send {self.allowance.rate:g} requests a minute"
            code = "rate_limit_exceeded"
            raise busy(message, code, status=429, seconds=math.ceil(wait))
        most, dollars = self.allowance.tokens, self.allowance.cost
        if (most is not None and self.tokens >= most) or (
            dollars is not None and self.cost >= dollars
        ):
            what = "insufficient_quota"
            headers = {"x-should-retry": "false"}
            raise Refused(429, f"the budget of {self.name} is used up", what, None, what, headers)

    def charge(self, usage: Usage) -> None:
        """Add the usage of a row, finished, failed or aborted."""
        self.tokens += usage.prompt_tokens + usage.output_tokens
        self.cost += usage.cost or Decimal(0)

    def has(self, digest: bytes) -> bool:
        """Return whether the hash of a key is that of its own, in constant time."""
        return self._digest is not None and hmac.compare_digest(self._digest, digest)

    def shares_key(self, other: Caller) -> bool:
        """Return whether another caller has the same key."""
        return self._digest is not None and self._digest == other._digest


@frozen
class Callers:
    """The callers of a server."""

    every: tuple[Caller, ...]
    has_keys: bool = True

    @staticmethod
    def of(given: Iterable[Caller], anyone: Allowance) -> Callers:
        """Return callers with keys, or a single one without.

        Raises `SettingError` for two with equal keys, which no request would tell apart.
        """
        found = tuple(given)
        for one, other in combinations(found, 2):
            if one.shares_key(other):
                message = f"{one.name!r} and {other.name!r} have the same key"
                raise error_of("setting", message, "give each caller a key of its own")
        return Callers(found) if found else Callers((Caller.of(ANYONE, anyone),), has_keys=False)

    def of_header(self, authorization: str) -> Caller:
        """Return the caller of a request. Raises `Refused` for a wrong key.

        Every key is compared, so the time does not depend on which one it is.
        """
        if not self.has_keys:
            return self.every[0]
        kind, _, given = authorization.partition(" ")  # as bytes of a header: Latin-1
        digest = _hash(given.strip().encode("latin-1", "replace"))
        found = [one for one in self.every if one.has(digest)]
        if kind.lower() != "bearer" or not found:
            headers = {"www-authenticate": "Bearer"}
            message = "the API key is missing or wrong; send Authorization: Bearer KEY"
            raise Refused(401, message, code="invalid_api_key", headers=headers)
        return found[0]


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _key(name: str, variable: str) -> str:
    """Return the key in an environment variable."""
    if not variable.startswith(_ENV) or not variable.removeprefix(_ENV):
        hint = f"put it into a variable, and write {name}=env:NAME"
        raise error_of("setting", f"the key of {name!r} is not read from a variable", hint)
    found = os.environ.get(variable.removeprefix(_ENV), "")
    if not found.strip():
        wanted = variable.removeprefix(_ENV)
        raise error_of("setting", f"the variable {wanted}, with the key of {name!r}, is not set")
    return found.strip()


def check_models(callers: Iterable[Caller], known: Collection[str]) -> None:
    """Raise `SettingError` for a model of a caller that is not offered."""
    raise_errors(
        unknown("model", name, sorted(known), code="setting")
        for one in callers
        for name in sorted((one.allowance.models or frozenset()) - set(known))
    )
