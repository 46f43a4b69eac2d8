"""How requests reach an engine: equal ones once, those that begin alike together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import pytest
from attrs import evolve, fields

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Failure, Message, Request, Sampling, Usage
from chainlang.runtime.ports.dedup import REMEMBERED, SharedPort
from chainlang.runtime.ports.port import EnginePort
from chainlang.runtime.prefix_order import CHUNK, by_prefix

COLD = Sampling(temperature=0.0, max_tokens=8)


def ask(name: str, text: str = "Why?", **changes: object) -> Request:
    request = Request(id=name, model="m", messages=(Message("user", text),), sampling=COLD, seed=0)
    return evolve(request, **{"shared": True, **changes})


def names(requests: Iterable[Request]) -> list[str]:
    return [request.id for request in requests]


# ---------------------------------------------------------------- order


def test_what_is_preferred_comes_first_whatever_it_begins_with() -> None:
    long = "a document " * 20
    asked = [ask("1", long), ask("2", "b", priority=-1), ask("3", long + "c", priority=-2)]
    assert names(by_prefix(asked)) == ["3", "2", "1"]


def test_prompts_that_share_less_than_a_chunk_keep_the_order_of_the_rows() -> None:
    asked = [ask(str(number), f"question {9 - number}") for number in range(10)]
    assert names(by_prefix(asked)) == [str(number) for number in range(10)]


def test_groups_stand_where_their_first_request_came_and_groups_in_them_too() -> None:
    one, other = "1" * CHUNK, "2" * CHUNK
    texts = [one + other + "a", other, one + one + "b", other + "c", one + other + "d", one + "e"]
    asked = [ask(str(number), text) for number, text in enumerate(texts)]
    assert names(by_prefix(asked)) == ["0", "4", "2", "5", "1", "3"]


def test_a_role_is_part_of_a_prompt() -> None:
    system = (Message("system", "s" * CHUNK), Message("user", "u"))
    asked = [ask("1", "s" * CHUNK), ask("2", messages=system), ask("3", "s" * CHUNK + "u")]
    assert names(by_prefix(asked)) == ["1", "3", "2"]


# ---------------------------------------------------------------- what an engine is


class Costly(FakeEngine):
    """An engine whose fingerprint takes long, as that of a large model."""

    @property
    def fingerprint(self) -> NoReturn:
        raise AssertionError("nobody needs it")


def test_a_fingerprint_is_looked_at_only_where_something_is_kept_by_it() -> None:
    assert chain("E")("Hello?", engine=Costly(answers={"": "hi"})).answer == "hi"


# ---------------------------------------------------------------- sharing


class Counting(FakeEngine):
    """An engine that counts what it is asked, and is slow."""

    def __init__(self, **settings: object) -> None:
        super().__init__(latency=lambda _: 1.0, **settings)  # type: ignore[arg-type]
        self.asked: list[Request] = []
        self.aborted: list[str] = []

    def submit(self, requests: Iterable[Request]) -> None:
        asked = list(requests)
        self.asked += asked
        super().submit(asked)

    def abort(self, ids: Iterable[str]) -> None:
        gone = list(ids)
        self.aborted += gone
        super().abort(gone)


def replies(port: SharedPort, count: int) -> dict[str, Completion | Failure]:
    found: dict[str, Completion | Failure] = {}
    while len(found) < count:
        for reply in port.step():
            assert isinstance(reply, Completion | Failure)
            assert reply.id not in found
            found[reply.id] = reply
    return found


def test_an_equal_request_shares_the_reply_in_flight_and_afterwards() -> None:
    engine = Counting()
    port = SharedPort(EnginePort(engine))
    port.submit([ask("r1"), ask("r2", count=3, seed=7, priority=-4), ask("r3", "How?")])
    found = replies(port, 3)
    port.submit([ask("r4")])
    found |= replies(port, 1)
    assert len(engine.asked) == 2
    samples = [one.samples for one in found.values() if isinstance(one, Completion)]
    assert {len(one) for one in samples} == {1, 3}
    first = found["r1"]
    assert isinstance(first, Completion)
    for name, count in (("r2", 3), ("r4", 1)):
        other = found[name]
        assert isinstance(other, Completion)
        assert other.samples == first.samples * count
        assert other.usage == Usage()
    assert first.usage.calls == 1
    assert port.shared == 2


def test_a_question_leaves_out_nothing_that_a_reply_depends_on() -> None:
    others = {"id", "seed", "count", "first", "priority", "shared", "stream", "tracing"}
    others |= {"price", "row", "step", "run", "has_others"}
    values = {one.name: object() for one in fields(Request)}
    question = Request(**values).question  # type: ignore[arg-type]
    assert set(question) == {value for name, value in values.items() if name not in others}


def test_what_may_not_be_shared_is_not() -> None:
    engine = Counting()
    port = SharedPort(EnginePort(engine))
    differ = [
        ask("r1", shared=False), ask("r2", shared=False), ask("r3"), ask("r4", stream=True),
        ask("r5", model="n"), ask("r6", schema="{}"), ask("r7", redraw=1),
        ask("r8", sampling=evolve(COLD, max_tokens=9)),
    ]  # fmt: skip
    port.submit(differ)
    replies_of_all = 0
    while replies_of_all < len(differ):
        replies_of_all += sum(isinstance(one, Completion) for one in port.step())
    assert len(engine.asked) == len(differ)
    assert port.shared == 0


def test_one_that_gives_up_takes_nothing_from_the_others() -> None:
    engine = Counting()
    port = SharedPort(EnginePort(engine))
    port.submit([ask("r1"), ask("r2")])
    port.abort(["r1"])
    assert not engine.aborted
    assert list(replies(port, 1)) == ["r2"]
    port.submit([ask("r3", "How?"), ask("r4", "How?")])
    port.abort(["r3", "r4"])
    assert engine.aborted == [engine.asked[-1].id]
    port.submit([ask("r5")])
    port.abort(["r5"])
    assert port.step() == []


def test_a_failure_is_that_of_all_who_wait_and_is_not_remembered() -> None:
    fails = [True]
    engine = Counting(failures=lambda _: Failure("", "engine", "no") if fails[0] else None)
    port = SharedPort(EnginePort(engine))
    port.submit([ask("r1"), ask("r2")])
    assert [type(one) for one in replies(port, 2).values()] == [Failure, Failure]
    fails[0] = False
    port.submit([ask("r3")])
    assert isinstance(replies(port, 1)["r3"], Completion)
    assert len(engine.asked) == 2


@pytest.mark.slow
def test_what_is_remembered_has_an_end() -> None:
    engine = Counting()
    port = SharedPort(EnginePort(engine))
    port.submit([ask(f"a{number}", f"{number}") for number in range(REMEMBERED + 1)])
    replies(port, REMEMBERED + 1)
    port.submit([ask("old", "0"), ask("new", f"{REMEMBERED}")])
    replies(port, 2)
    assert len(engine.asked) == REMEMBERED + 2


def test_rows_that_ask_the_same_at_temperature_0_are_answered_once() -> None:
    rows = [{"id": str(number), "query": f"question {number % 3}"} for number in range(30)]
    engine = Counting()
    answers = [one.answer for one in chain("E::0").map(rows, engine=engine)]
    assert len(engine.asked) == 3
    written = chain("E::0").map(rows, engine=FakeEngine(), passes=())
    assert answers == [one.answer for one in written]
