"""Retries of HTTP requests: attempts, exponential backoff with jitter, deadline."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from attrs import evolve, field, frozen, validators

T = TypeVar("T")


class Transient(Exception):
    """A failed attempt after which the same request may succeed.

    `after` is the server's ``Retry-After`` in seconds, if it sent one. `at_once`: another server is
    left to try, without a wait.
    """

    def __init__(self, message: str, after: float | None = None, *, at_once: bool = False) -> None:
        self.after = after
        self.at_once = at_once
        super().__init__(message)


class RetriesExhausted(Exception):
    """Attempts or time are used up; the message holds the last failure."""


def _full_jitter(most: float) -> float:
    """Return a random wait between 0 and `most` seconds, so that clients don't retry in step."""
    return random.uniform(0, most)  # noqa: S311  # it spreads load and protects no secret


@frozen(kw_only=True)
class RetryPolicy:
    """Retry policy of one HTTP request. Times are in seconds.

    >>> RetryPolicy(jitter=lambda most: most).wait(3, None)
    2.0
    >>> RetryPolicy(jitter=lambda most: 0.0).wait(1, after=3600.0)
    120.0
    """

    attempts: int = field(default=6, validator=validators.ge(1))
    """Maximum number of attempts, the first included."""
    first_wait: float = 0.5
    """Maximum wait after the first attempt; it doubles with every attempt."""
    longest_wait: float = 30.0
    """Upper limit of the doubling."""
    longest_asked: float = 120.0
    """Upper limit for a server's ``Retry-After``."""
    deadline: float = field(default=1800.0, validator=validators.gt(0))
    """Maximum time from the first attempt to the end of the last, waits included."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[float], float] = _full_jitter
    """Function from a maximum wait to a wait; default: uniformly distributed."""

    def within(self, deadline: float) -> RetryPolicy:
        """Return the policy with the lesser of two deadlines."""
        return evolve(self, deadline=min(self.deadline, deadline))

    def wait(self, attempt: int, after: float | None) -> float:
        """Return the wait after an attempt, counted from 1."""
        if after is not None:  # at least `after`, plus jitter
            return min(after, self.longest_asked) + self.jitter(self.first_wait)
        doublings = min(attempt - 1, 64)  # a float overflows after about a thousand
        return self.jitter(min(self.longest_wait, self.first_wait * 2.0**doublings))


async def _at_once() -> None:
    """Wait for nothing."""


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    silence: str = "no answer",
    admit: Callable[[], Awaitable[object]] = _at_once,
) -> T:
    """Return the result of `call`, repeated while it raises `Transient`.

    Each attempt begins once `admit` returns, which is no part of the time that it may take. A wait
    that the server has asked for uses up no attempt: it is busy, and says until when. Neither does
    a failure after which another server is left.

    Raises `RetriesExhausted` with the last failure, or with `silence` if the deadline passed before
    any attempt failed. Other exceptions of `call` pass through.
    """
    begun = policy.clock()
    received, tried, attempt = silence, 0, 1
    while True:
        try:
            asked = policy.clock()
            await admit()
            begun += policy.clock() - asked
            left = policy.deadline - (policy.clock() - begun)
            async with asyncio.timeout(left):
                return await call()
        except TimeoutError as error:
            raise _out_of_time(received, attempt, policy) from error
        except Transient as error:
            received, after = str(error), error.after
            if error.at_once:
                continue
        tried += not after
        if tried == policy.attempts:
            raise RetriesExhausted(f"{received}; {_attempts(attempt)}")
        wait = policy.wait(attempt, after)
        if policy.clock() - begun + wait >= policy.deadline:
            raise _out_of_time(received, attempt, policy)
        await policy.sleep(wait)
        attempt += 1


def _out_of_time(received: str, attempt: int, policy: RetryPolicy) -> RetriesExhausted:
    deadline = f"the deadline is {policy.deadline:g} s"
    return RetriesExhausted(f"{received}; {_attempts(attempt)}; {deadline}")


def _attempts(attempt: int) -> str:
    return "1 attempt" if attempt == 1 else f"{attempt} attempts"


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds to wait from a ``Retry-After`` header; None if absent or invalid.

    The header holds seconds or an HTTP date; `now` is the current time in seconds since 1970.

    >>> retry_after("7"), retry_after("soon"), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 50.0)
    (7.0, None, 10.0)
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value).timestamp()
        except (ValueError, OverflowError):
            return None
        seconds = date - (time.time() if now is None else now)
    return max(0.0, seconds) if math.isfinite(seconds) else None
