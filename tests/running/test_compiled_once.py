"""What a chain keeps of a call for the next one, and what that may not change."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
from attrs import evolve

from chainlang import Chain, Limits, chain, load
from chainlang.analysis.memo import KEPT
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, LimitError, MeaningError
from chainlang.optimizer.compile import planned
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Request
from chainlang.settings import MapSettings

TEXT = "3:E >> E:other >> M"


def plan(qa: Chain, **settings: Any) -> object:
    return planned(qa.program(), MapSettings.of(settings)).plan


def test_the_same_chain_under_the_same_settings_is_compiled_once() -> None:
    qa = chain(TEXT)
    assert qa.program() is qa.program()
    assert plan(qa) is plan(qa, seed=3, window=1, on_error="skip", run_calls=9)
    assert plan(qa, outputs="answer") is plan(qa, outputs=["answer"])


@pytest.mark.parametrize(
    "settings",
    [{"model": "other"}, {"passes": ()}, {"outputs": ("answer", "trace")}, {"row_calls": 9}],
)
def test_what_bears_on_a_plan_gives_another(settings: dict[str, Any]) -> None:
    qa = chain(TEXT)
    before = plan(qa)
    assert plan(qa, **settings) is not before
    assert plan(qa, **settings) == plan(chain(TEXT), **settings)
    assert plan(qa) is before


def test_limits_are_those_in_force() -> None:
    with Limits(calls_per_row=1_000_000).applied():
        wide = chain("10000:E >> 20:V::0.7")
        assert wide.program() is wide.program()
    with pytest.raises(LimitError, match="calls_per_row"):
        wide.program()
    over = chain('E >> each(E, over="documents")')
    with Limits(samples_per_stage=7).applied():
        few = plan(over)
    assert plan(over) != few
    with Limits(samples_per_stage=7).applied():
        assert plan(over) is few


def test_equal_chains_keep_what_is_their_own() -> None:
    engine = FakeEngine(answers={"": "so"})
    loud, long = chain("E >> @f").bind(f=str.upper), chain("E >> @f").bind(f=lambda text: text * 2)
    assert loud == long
    assert [one("?", engine=engine).answer for one in (loud, long, loud)] == ["SO", "soso", "SO"]
    again = loud.bind(f=str.title)
    assert [one("?", engine=engine).answer for one in (again, loud)] == ["So", "SO"]


def test_it_is_no_part_of_the_value() -> None:
    used, fresh = chain(TEXT), chain(TEXT)
    used("?", engine=FakeEngine())
    assert (used, hash(used), repr(used)) == (fresh, hash(fresh), repr(fresh))
    assert pickle.dumps(used) == pickle.dumps(fresh)
    assert pickle.loads(pickle.dumps(used)).program() == used.program()
    assert copy.deepcopy(used) is used
    assert pickle.loads(pickle.dumps(used.program())).body == fresh.body


def test_an_error_is_found_again_until_it_is_gone() -> None:
    late = chain("E >> @shout")
    for _ in range(2):
        with pytest.raises(MeaningError, match="'@shout' is not bound to a function"):
            late.program()
    assert late.bind(shout=str.upper).program()


def test_no_more_is_kept_than_a_few_plans() -> None:
    qa = chain("E")
    first = plan(qa, model="0")
    for number in range(10 * KEPT):
        plan(qa, model=str(number))
    assert plan(qa, model="0") == first
    assert len(qa.program().memo) <= KEPT


def test_threads_that_call_at_once_get_one_plan() -> None:
    qa, found = load(text="x = 3:E\nmain = $x >> $x >> M"), list[object]()
    ready = threading.Barrier(8)

    def call() -> None:
        ready.wait()
        found.extend(plan(qa, model=str(number)) for number in range(5))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 40
    assert len({id(one) for one in found}) == 5


class Deaf(FakeEngine):
    """An engine that returns log probabilities or not, by turns."""

    deaf = True

    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, logprobs=not self.deaf)


def test_what_an_engine_can_do_is_checked_for_each_call() -> None:
    qa, engine = chain("E(logprobs=true)"), Deaf()
    assert qa("?", engine=FakeEngine()).candidates[0].logprobs
    for _ in range(2):
        with pytest.raises(EngineError, match="does not return logprobs"):
            qa("?", engine=engine)
    engine.deaf = False
    assert qa("?", engine=engine).candidates[0].logprobs
    engine.deaf = True
    with pytest.raises(EngineError, match="does not return logprobs"):
        qa("?", engine=engine)


def test_requests_of_a_chain_have_the_settings_of_their_own_call() -> None:
    qa, seen = chain("E"), list[Request]()
    engine = FakeEngine(failures=seen.append)
    days = ("2026-11-30", "2026-12-01", "2026-11-30")
    for day in days:
        qa("?", engine=engine, run_date=day, call_seconds=9 if day == days[0] else None)
    assert [one.date for one in seen] == [*days]
    assert [one.deadline for one in seen] == [9, None, 9]
