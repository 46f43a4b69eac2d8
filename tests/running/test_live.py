"""Several callers of one engine at the same time, and replies as they come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, OperandError, RowError
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.runtime.stream import Chunk
from chainlang.session.result import Result
from tests.laws import law

LONGEST = 120.0
"""Seconds after which a test gives up."""
QUESTIONS = [f"What is {number} + 1?" for number in range(20)]


def answers(text: str, **settings: object) -> list[str]:
    """Return what a chain answers, on an engine that nobody else uses."""
    return [one.answer for one in chain(text).map(QUESTIONS, engine=FakeEngine(), **settings)]


# ---------------------------------------------------------------- one engine, several callers


def test_two_maps_in_one_loop_share_an_engine() -> None:
    engine = FakeEngine(latency=lambda request: 1.0 + request.seed % 7)
    first = chain("3:E >> J").map(QUESTIONS, engine=engine, window=3)
    second = chain("2:E >> M").map(QUESTIONS, engine=engine, window=5)
    both = [(one.answer, other.answer) for one, other in zip(first, second, strict=True)]
    assert both == list(zip(answers("3:E >> J"), answers("2:E >> M"), strict=True))


def test_threads_share_an_engine() -> None:
    engine = FakeEngine(latency=lambda request: 1.0 + request.seed % 7)
    texts = ["E", "3:E >> J", "2:E >> M", "E >> V"] * 2
    found: dict[int, list[str]] = {}

    def ask(index: int) -> None:
        results = chain(texts[index]).map(QUESTIONS, engine=engine, window=4)
        found[index] = [one.answer for one in results]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] for index in range(len(texts))] == [answers(text) for text in texts]


def test_a_map_that_is_left_early_leaves_nothing_behind_and_harms_nobody() -> None:
    engine = FakeEngine(latency=lambda request: 1.0 + request.seed % 7)
    left = chain("3:E").map(QUESTIONS, engine=engine)
    other = chain("2:E >> M").map(QUESTIONS, engine=engine)
    next(left)
    first = next(other).answer
    left.close()
    assert [first, *(one.answer for one in other)] == answers("2:E >> M")
    assert engine._in_flight == 0


# ---------------------------------------------------------------- awaited


def test_rows_that_are_awaited_together_are_in_flight_together() -> None:
    engine = FakeEngine(latency=lambda request: 1.0)
    step, end = engine.step, time.monotonic() + LONGEST

    def patient() -> list[Completion | Failure | Delta]:
        together = engine.most_in_flight > 3 or time.monotonic() > end
        return step() if together else []  # nothing is answered before all are asked

    engine.step = patient  # type: ignore[method-assign]

    async def main() -> list[str]:
        qa = chain("3:E >> M")
        tasks = [asyncio.create_task(qa.acall(text, engine=engine)) for text in QUESTIONS]
        return [result.answer for result in await asyncio.gather(*tasks)]

    assert asyncio.run(main()) == answers("3:E >> M")
    assert engine.most_in_flight > 3


@law(st.lists(st.sampled_from(["E", "3:E >> J", "2:E >> M", "(E | E) >> V"]), max_size=8), share=2)
def test_awaiting_gives_what_calling_gives(texts: list[str]) -> None:
    engine = FakeEngine()

    async def main() -> list[Result]:
        return await asyncio.gather(*(chain(text).acall("q", engine=engine) for text in texts))

    awaited = asyncio.run(main())
    called = [chain(text)("q", engine=FakeEngine()) for text in texts]
    assert [one.flow for one in awaited] == [one.flow for one in called]


def test_a_row_that_fails_raises_where_it_is_awaited_and_harms_no_other() -> None:
    def fails(request: Request) -> Failure | None:
        bad = "bad" in request.messages[-1].text
        return Failure("", "refused", "no") if bad else None

    async def main() -> list[object]:
        rows = ["good", "bad", "good"]
        calls = (chain("E").acall(row, engine=FakeEngine(failures=fails)) for row in rows)
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert isinstance(second, RowError)
    assert first == third


def test_a_call_that_is_cancelled_takes_its_requests_with_it() -> None:
    engine = FakeEngine()
    engine.step = list  # type: ignore[method-assign]  # never answers

    async def main() -> None:
        task = asyncio.create_task(chain("3:E").acall("q", engine=engine))
        while not engine._in_flight:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while engine._in_flight:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), LONGEST))


def test_an_engine_that_breaks_tells_everybody_who_waits() -> None:
    class Broken(FakeEngine):
        def step(self) -> list[Completion | Failure | Delta]:
            raise EngineError([])

    async def main() -> None:
        engine = Broken()
        calls = [chain("E").acall(text, engine=engine) for text in QUESTIONS]
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, EngineError) for one in found)
        assert (await chain("E").acall("q", engine=FakeEngine())).ok

    asyncio.run(asyncio.wait_for(main(), LONGEST))


# ---------------------------------------------------------------- heard


class Mute(FakeEngine):
    """An engine that tells of nothing until it is done."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="mute", schemas=True, seeds=True, batch_invariant=True, plain_values=True
        )

    def submit(self, requests: Iterable[Request]) -> None:
        from attrs import evolve

        super().submit(evolve(one, stream=False) for one in requests)


def heard(text: str, engine: FakeEngine, **settings: object) -> tuple[list[Chunk], object]:
    """Return the pieces of a stream, and its result."""

    async def main() -> tuple[list[Chunk], object]:
        stream = chain(text).stream("What is 17 + 25?", engine=engine, **settings)
        return [piece async for piece in stream], stream.result

    return asyncio.run(asyncio.wait_for(main(), LONGEST))


def whole(pieces: Iterable[Chunk]) -> dict[tuple[str, int], str]:
    """Return what was told of each sample, by place and number."""
    found: dict[tuple[str, int], str] = {}
    for piece in pieces:
        key = ("/".join(piece.place), piece.sample)
        found[key] = found.get(key, "") + piece.text
    return found


LONG = {"E": "forty-two, I should say"}


@pytest.mark.parametrize("kind", [FakeEngine, Mute])
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")  # equal samples at temperature 0
@pytest.mark.parametrize(
    ("text", "stages", "places"),
    [
        ("E", None, {("", 0)}),
        ("3:E", None, {("", 0), ("", 1), ("", 2)}),
        ("3:E >> J", None, {("1", 0)}),
        ("3:E >> J", ["E"], {("0", 0), ("0", 1), ("0", 2)}),
        ("3:E >> J", "E", {("0", 0), ("0", 1), ("0", 2)}),
        ("3:E >> J", ["E", "J"], {("0", 0), ("0", 1), ("0", 2), ("1", 0)}),
        ("2:E >> (one = J | V)", None, {("1/one", 0), ("1/|1/c0", 0), ("1/|1/c1", 0)}),
        ("2 * E", None, {("&0", 0), ("&1", 0)}),
        ("2:E::0", None, {("", 0), ("", 1)}),
        ("3:E >> M", None, {("1", 0)}),
    ],
)
def test_every_character_of_a_reply_is_heard_once(
    kind: type[FakeEngine], text: str, stages: list[str] | None, places: set[tuple[str, int]]
) -> None:
    pieces, result = heard(text, kind(), stages=stages)
    told = whole(pieces)
    assert set(told) == places
    assert result == chain(text)("What is 17 + 25?", engine=FakeEngine())
    drawn: dict[str, list[str]] = {}
    for stop in result.trace:
        for candidate in stop.candidates:
            vote = stop.stage == "M"
            place = "/".join(stop.place if vote else candidate.place)
            drawn.setdefault(place, []).append(candidate.answer if vote else candidate.text)
    assert told == {(place, number): drawn[place][number] for place, number in places}


def test_a_vote_is_one_piece() -> None:
    pieces, result = heard("3:E >> M", FakeEngine(answers={"17 + 25": ["42", "42", "41"]}))
    assert [str(piece) for piece in pieces] == ["42"]
    assert result.answer == "42"


def test_pieces_come_before_the_reply_is_done() -> None:
    engine = FakeEngine(answers={"17": "a reply of many tokens"})
    gate = threading.Event()
    step = engine.step
    steps = 0

    def gated() -> list[Completion | Failure | Delta]:
        nonlocal steps
        steps += 1
        if steps > 2:
            gate.wait(LONGEST)
        return step()

    engine.step = gated  # type: ignore[method-assign]

    async def main() -> list[str]:
        found = []
        async for piece in chain("E").stream("17?", engine=engine):
            found.append(str(piece))
            gate.set()  # the rest comes only once something was heard
        return found

    assert asyncio.run(asyncio.wait_for(main(), LONGEST)) == [
        "a re",
        "ply ",
        "of m",
        "any ",
        "toke",
        "ns",
    ]


def test_a_stream_that_fails_raises_after_what_was_heard() -> None:
    engine = FakeEngine(failures=lambda request: Failure("", "refused", "no"))
    with pytest.raises(RowError, match="E failed: sample 0: no"):
        heard("E", engine)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda stream: stream.result, "available after its last chunk"),
        (lambda stream: asyncio.run(twice(stream)), "iterated only once"),
    ],
)
def test_a_stream_says_how_it_is_used(use: object, message: str) -> None:
    with pytest.raises(OperandError, match=message):
        use(chain("E").stream("q", engine=FakeEngine()))  # type: ignore[operator]


async def twice(stream: object) -> None:
    for _ in range(2):
        async for _ in stream:  # type: ignore[attr-defined]
            pass


def test_a_stage_that_is_not_there_cannot_be_heard() -> None:
    with pytest.raises(OperandError, match=r"unknown stage 'X'(.|\n)*available: E, J"):
        heard("E >> J", FakeEngine(), stages=["X"])
