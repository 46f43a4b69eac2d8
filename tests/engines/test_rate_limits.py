"""Rate limits: never above in any minute, hardly below while work waits, shared by all clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from chainlang.engines.http.rate_limit import Limiter, Limits, SharedLog
from chainlang.engines.http.redis_log import RedisLog
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import EngineError
from tests import redis_server
from tests.engines.server import Server, echo, error, good, in_turn
from tests.engines.test_openai import KEY, Clock, ask, finish, policy, texts
from tests.laws import law
from tests.simulation.clock import VirtualLoop

CALLS, LIMIT = 10_000, 600


def most_in(moments: list[float], seconds: float) -> int:
    """Return the largest number of moments within any `seconds`."""
    ends = (bisect_left(moments, start + seconds) for start in moments)
    return max(end - start for start, end in enumerate(ends))


def sent(limits: Limits, count: int, tokens: int = 0, clients: int = 1) -> list[float]:
    """Return when requests of clients that share a log are admitted, on a virtual clock."""
    loop, log, moments = VirtualLoop(), SharedLog(), list[float]()

    async def one(limiter: Limiter) -> None:
        await limiter.admit(tokens)
        moments.append(loop.time())

    async def all_of_them() -> None:
        made = [Limiter(log, limits, loop.time, asyncio.sleep) for _ in range(clients)]
        await asyncio.gather(*(one(made[number % clients]) for number in range(count)))

    loop.run_until_complete(all_of_them())
    loop.close()
    return moments


def test_ten_thousand_calls_under_600_a_minute() -> None:
    moments = sent(Limits(LIMIT), CALLS, clients=3)
    assert most_in(moments, 60.0) <= LIMIT
    assert most_in(moments, 1.0) <= LIMIT / 60 * 1.3
    for start in range(0, CALLS - LIMIT, 97):  # each minute, while work waits
        assert bisect_left(moments, moments[start] + 60.0) - start >= 0.98 * LIMIT


@law(st.integers(1, 200), st.integers(1, 400), st.integers(1, 3))
def test_no_minute_has_more_than_its_limit(limit: int, count: int, clients: int) -> None:
    moments = sent(Limits(limit), count, clients=clients)
    assert len(moments) == count
    assert most_in(moments, 60.0) <= limit
    assert moments[-1] <= 61.0 * (count // limit + 1)


def test_tokens_of_a_minute() -> None:
    moments = sent(Limits(tokens=1000), 40, tokens=100)
    assert most_in(moments, 60.0) == 10
    assert most_in(sent(Limits(tokens=1000), 4, tokens=5000), 60.0) == 1


def test_what_was_reserved_is_given_back() -> None:
    loop, log = VirtualLoop(), SharedLog()
    limiter = Limiter(log, Limits(tokens=1000), loop.time, asyncio.sleep)

    async def several() -> None:
        for _ in range(30):
            await limiter.settle(await limiter.admit(300), 50)

    loop.run_until_complete(several())
    assert 60 < loop.time() < 121  # fifteen in a minute, not three
    loop.close()


def test_an_engine_holds_requests_back_and_counts_the_seconds() -> None:
    clock = Clock()
    with Server(echo) as server:
        made = [
            OpenAIEngine(
                "m",
                base_url=server.url,
                api_key=KEY,
                retry=policy(clock),
                requests_per_minute=limit,
            )
            for limit in (2, None)
        ]
        first, other = made
        finish(first, *(ask(str(number)) for number in range(2)))
        finish(other, ask("free"))  # without limits of its own, it counts for those with some
        finish(first, ask("late"))
        waited = first.metrics.waited
        for one in made:
            one.close()
    assert waited is not None
    assert 60 <= waited <= 62
    assert other.metrics.waited == 0
    assert len(server.bodies) == 4


def test_a_wait_that_the_server_asks_for_holds_all_requests_and_uses_up_no_attempt() -> None:
    clock = Clock()
    busy = error(429, "slow down", {"retry-after": "30"})
    with Server(in_turn(*[busy] * 9, good("a"))) as server:
        engine = OpenAIEngine("m", base_url=server.url, retry=policy(clock), max_concurrency=1)
        assert texts(finish(engine, ask())["1"]) == ["a"]
        engine.close()
    assert len(server.bodies) == 10
    assert clock.now >= 270


def test_a_deadline_does_not_run_while_a_request_is_held_back() -> None:
    clock = Clock()
    with Server(echo) as server:
        engine = OpenAIEngine("m", base_url=server.url, retry=policy(clock), requests_per_minute=1)
        found = finish(engine, *(ask(str(number), deadline=5.0) for number in range(4)))
        engine.close()
    assert [len(texts(one)) for one in found.values()] == [1] * 4
    assert clock.now >= 180


# ---------------------------------------------------------------- with Redis

OTHER = """
import asyncio, sys, time
from chainlang.engines.http.rate_limit import Limiter, Limits
from chainlang.engines.http.redis_log import RedisLog

class Timed:
    def __init__(self, client):
        self.client, self.aclose, self.longest = client, client.aclose, 0.0

    async def eval(self, *given):
        async with self.client.pipeline(transaction=True) as both:
            answer, (seconds, micros) = await both.eval(*given).time().execute()
        self.now, self.longest = seconds + micros / 1e6, max(self.longest, float(answer) / 1000)
        return answer

async def main(url, count):
    log = RedisLog.open(url, "one key")
    log._client = Timed(log._client)
    limiter = Limiter(log, Limits(20, window=1.0), time.time, asyncio.sleep)
    for _ in range(count):
        await limiter.admit(0)
        print(log._client.now, log._client.longest, flush=True)
    await log.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server.running() as address:
        yield address


@pytest.mark.slow
def test_two_processes_share_the_limits_of_a_key(redis: str) -> None:
    command = [sys.executable, "-c", OTHER, redis, "25"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [line.split() for one in both for line in one.communicate()[0].splitlines()]
    moments = sorted(float(moment) for moment, _ in lines)  # of the server
    assert len(moments) == 50
    assert most_in(moments, 1.0) <= 20
    assert 0 < max(float(longest) for _, longest in lines) < 1.1  # no wait is beyond a window


def test_redis_counts_tokens_and_pauses(redis: str) -> None:
    async def asked() -> list[tuple[float, float]]:
        """Return the waits, and the seconds that have passed until then."""
        log, found = RedisLog.open(redis, "another key"), list[tuple[float, float]]()
        limits, began = Limits(tokens=100, window=3000.0), time.monotonic()

        async def take(name: str, limits: Limits, tokens: int) -> None:
            wait = await log.take(name, limits, tokens, 0.0)
            found.append((wait, time.monotonic() - began))

        await take("a", limits, 80)
        await take("b", limits, 80)
        await log.settle("a", 10)
        await take("c", limits, 80)
        await log.hold(500.0, 0.0)
        await take("d", Limits(), 0)
        await log.close()
        return found

    (first, _), (second, until_second), (third, _), (fourth, until_fourth) = asyncio.run(asked())
    assert (first, third) == (0.0, 0.0)
    assert 2999 - until_second < second <= 3000 * 1.01
    assert 499 - until_fourth < fourth <= 500


@pytest.mark.slow
def test_an_engine_shares_its_limits_through_redis(redis: str) -> None:
    with Server(echo) as server:
        one, other = (
            OpenAIEngine("m", base_url=server.url, requests_per_minute=3, limits_redis=redis)
            for _ in range(2)
        )
        finish(one, ask("1"), ask("2"))
        other.submit([ask("3"), ask("4")])
        found, turn = [], other._client.limiter._turn
        until = time.monotonic() + 30  # half of a window
        while time.monotonic() < until and not (found and turn.locked()):
            found += other.step()
        time.sleep(0.2)  # for the fourth to come, if it does
        found += other.step()
        one.close()
        other.close()
    assert len(found) == 1
    assert len(server.bodies) == 3


def test_a_redis_that_does_not_answer_is_reported_at_once() -> None:
    with pytest.raises(
        EngineError, match=r"rate limits at redis://127\.0\.0\.1:1 failed"
    ) as caught:
        OpenAIEngine("m", limits_redis="redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)
    with pytest.raises(EngineError, match="limits_redis is not an address of Redis"):
        OpenAIEngine("m", limits_redis="http://host")
