"""A server that fails in every way that it knows, and the engine that asks it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx2
from attrs import define, field

from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.protocol.messages import Completion, Delta, Failure
from tests.engines.server import Answer, from_engine
from tests.simulation.clock import Stepped, VirtualLoop

READ = 20.0  # seconds of silence that the client bears
CONCURRENCY = 4
FAULTS = ("429", "busy", "500", "a page", "stall", "cut", "half", "shape", "twice")


class _Cut(httpx2.AsyncByteStream):
    """A body that breaks off."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message")


@define(eq=False)
class World(httpx2.AsyncBaseTransport):
    """The server, and the time that it shares with whoever asks it. Chance comes from the seed."""

    seed: int
    good: bool = False
    """Whether nothing ever fails."""
    loop: VirtualLoop = field(factory=VirtualLoop)
    outages: list[tuple[float, float]] = field(init=False)
    answered: Counter[str] = field(factory=Counter)
    """How often the whole answer to each question went out, to somebody who still waited."""
    asked: Counter[str] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    log: list[tuple[float, str, str]] = field(factory=list)
    """What happened, and when."""
    in_flight: int = 0
    most_in_flight: int = 0
    duplicates: int = 0

    def __attrs_post_init__(self) -> None:
        draws = random.Random(f"outages {self.seed}")
        begins = sorted(draws.uniform(0, 60) for _ in range(draws.randrange(3)))
        self.outages = [(begin, begin + draws.uniform(5, 200)) for begin in begins]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(json.loads(await request.aread()))
        finally:
            self.in_flight -= 1

    async def _answer(self, body: dict[str, Any]) -> httpx2.Response:
        question = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]
        self.asked[question] += 1
        draws = random.Random(f"{self.seed} {question} {self.asked[question]}")
        await asyncio.sleep(draws.uniform(0.05, 3.0))
        fault = "" if self.good else self._fault(question, draws)
        self.log.append((round(self.loop.time(), 6), question, fault))
        if fault:
            self.faults[fault] += 1
            return await self._failing(fault, body, draws)
        answer = from_engine(FakeEngine())(body)
        self.answered[question] += 1
        return _response(answer)

    def _fault(self, question: str, draws: random.Random) -> str:
        if any(begin <= self.loop.time() < end for begin, end in self.outages):
            return draws.choice(["away", "stall", "500"])
        return draws.choice(FAULTS) if draws.random() < 0.45 and self.asked[question] < 5 else ""

    async def _failing(
        self, fault: str, body: dict[str, Any], draws: random.Random
    ) -> httpx2.Response:
        good = from_engine(FakeEngine())(body).body
        kind = {"content-type": "application/json"}
        match fault:
            case "429":
                later = {"retry-after": str(draws.randrange(9))}
                return httpx2.Response(429, headers=kind | later, content=b'{"error": "slow down"}')
            case "busy":
                return httpx2.Response(503, headers=kind, content=b'{"detail": "loading"}')
            case "500":
                return httpx2.Response(500, headers=kind, content=b'{"error": {"message": "oops"}}')
            case "a page":
                page = {"content-type": "text/html"}
                return httpx2.Response(502, headers=page, content=b"<html>Bad gateway</html>")
            case "stall":
                await asyncio.sleep(READ)
                raise httpx2.ReadTimeout("")
            case "cut":
                return httpx2.Response(
                    200, headers=kind, stream=_Cut(good[: draws.randrange(len(good))])
                )
            case "half":
                return httpx2.Response(
                    200, headers=kind, content=good[: draws.randrange(len(good) - 1)]
                )
            case "shape":
                shapes: list[Any] = [
                    {}, {"choices": []}, {"choices": [None]}, [], {"choices": [{"index": "0"}]},
                    {"choices": [{"index": 0, "message": {}, "finish_reason": "stop"}]},
                    {"choices": [{"message": {"content": 1}, "finish_reason": "stop"}]},
                ]  # fmt: skip
                return httpx2.Response(200, headers=kind, json=draws.choice(shapes))
            case "twice":  # one sample comes two times in a reply
                document = json.loads(good)
                document["choices"] = [document["choices"][0]] * 2
                return httpx2.Response(200, headers=kind, json=document)
        raise httpx2.ConnectError("connection refused")

    def engine(self) -> Simulated:
        """Return an engine that asks this server."""
        return Simulated(self)


def _response(answer: Answer) -> httpx2.Response:
    return httpx2.Response(
        answer.status, headers={"content-type": str(answer.type)}, content=answer.body
    )


class Simulated(OpenAIEngine):
    """The engine as it is, on the time of a world; now and then a reply comes once more, late."""

    def __init__(self, world: World) -> None:
        draws = random.Random(f"client {world.seed}")
        retry = RetryPolicy(
            attempts=6,
            deadline=300.0,
            clock=world.loop.time,
            jitter=partial(draws.uniform, 0.0),
        )
        super().__init__(
            base_url="http://localhost/v1",
            max_concurrency=CONCURRENCY,
            read_timeout=READ,
            retry=retry,
        )
        self.world, self._draws = world, draws
        self._late: list[Completion | Failure] = []
        self._client._client = httpx2.AsyncClient(transport=world)
        self._stepped = Stepped(world.loop, self._client.close)
        self._background = self._stepped  # type: ignore[assignment]

    @property
    def now(self) -> float:
        return self.world.loop.time()

    def probe(self, models: Any = ()) -> None:
        """The world is there."""

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        self._stepped.until = until
        if not self._ids and until is not None:
            self._stepped.take(0)
        found = super().step()
        again = [reply for reply in self._late if self._draws.random() < 0.2]
        self.world.duplicates += len(again)
        self._late += [reply for reply in found if not isinstance(reply, Delta)]
        return [*again, *found]
