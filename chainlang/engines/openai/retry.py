"""When to ask a server again, and when to give up."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from attrs import evolve, field, frozen, validators

T = TypeVar("T")


class Transient(Exception):
    """Nothing usable came, and the same question may get an answer later.

    `after` is how many seconds the server wants to be left alone, where it said so.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


class GaveUp(Exception):
    """The last attempt failed too, or the deadline has come; the message says what was received."""


def _full_jitter(most: float) -> float:
    """Return a wait between 0 and `most` seconds, so that many clients do not come back as one."""
    return random.uniform(0, most)  # noqa: S311  # it spreads load and hides nothing


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how long one question is repeated. Times are in seconds.

    >>> RetryPolicy(jitter=lambda most: most).wait(3, None)
    2.0
    >>> RetryPolicy(jitter=lambda most: 0.0).wait(1, after=3600.0)
    120.0
    """

    attempts: int = field(default=6, validator=validators.ge(1))
    """How often a question is asked at most, the first time included."""
    first_wait: float = 0.5
    """The bound of the first wait; it doubles with every attempt."""
    longest_wait: float = 30.0
    """...up to this."""
    longest_asked: float = 120.0
    """The longest that a ``Retry-After`` of the server is believed."""
    deadline: float = field(default=1800.0, validator=validators.gt(0))
    """From the first attempt to the end of the last, waits included."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[float], float] = _full_jitter
    """From a bound to a wait below it."""

    def within(self, deadline: float) -> RetryPolicy:
        """Return the policy with a deadline that is no later than so many seconds."""
        return evolve(self, deadline=min(self.deadline, deadline))

    def wait(self, attempt: int, after: float | None) -> float:
        """Return how long to wait after an attempt, counted from 1."""
        if after is not None:  # at least what was asked for, and not all clients at that moment
            return min(after, self.longest_asked) + self.jitter(self.first_wait)
        doublings = min(attempt - 1, 64)  # a float holds no more than a thousand of them
        return self.jitter(min(self.longest_wait, self.first_wait * 2.0**doublings))


async def ask_until_answered(
    ask: Callable[[], Awaitable[T]], policy: RetryPolicy, silence: str = "no answer"
) -> T:
    """Return what `ask` returns, calling it again while it raises `Transient`.

    Raises `GaveUp` when attempts or time are used up, with the last thing that was received, or
    `silence` if nothing was. Anything else that `ask` raises goes through.
    """
    begun = policy.clock()
    received = silence
    for attempt in itertools.count(1):
        left = policy.deadline - (policy.clock() - begun)
        try:
            async with asyncio.timeout(left):
                return await ask()
        except TimeoutError as error:
            raise _out_of_time(received, attempt, policy) from error
        except Transient as error:
            received, after = str(error), error.after
        if attempt == policy.attempts:
            raise GaveUp(f"{received}; {_times(attempt)}")
        wait = policy.wait(attempt, after)
        if policy.clock() - begun + wait >= policy.deadline:
            raise _out_of_time(received, attempt, policy)
        await policy.sleep(wait)
    raise AssertionError("unreachable")


def _out_of_time(received: str, attempt: int, policy: RetryPolicy) -> GaveUp:
    return GaveUp(f"{received}; {_times(attempt)}; the deadline is {policy.deadline:g} s")


def _times(attempt: int) -> str:
    return "asked once" if attempt == 1 else f"asked {attempt} times"


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None without a usable one.

    The header holds seconds or an HTTP date; `now` is the time to compare that with, in seconds
    since 1970.

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
