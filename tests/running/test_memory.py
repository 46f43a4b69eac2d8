"""Models that do not fit together take turns, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, StopError
from chainlang.protocol.messages import Failure, Request
from chainlang.session.summary import Interrupted
from tests.running.test_resume import plain

TEXT = "3:E:a >> J:b >> V:a"
ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(20)]


class Broken(FakeEngine):
    """Does something else than load."""

    def __init__(self, does: Callable[[], Any], **settings: Any) -> None:
        super().__init__(size=6)
        self.does = does

    def load(self, *_: Any) -> None:
        self.does()


def fail() -> None:
    raise EngineError([Diagnostic("engine", "it can't be loaded")])


def interrupt() -> None:
    raise KeyboardInterrupt


def engines(**others: FakeEngine) -> dict[str, FakeEngine]:
    return {"a": FakeEngine(size=6), "b": FakeEngine(size=6), **others}


def loads(of: dict[str, FakeEngine]) -> dict[str, int]:
    return {name: one.loads for name, one in of.items()}


def test_each_model_is_loaded_once_for_each_time_that_all_rows_need_it() -> None:
    together, apart, by_window = engines(), engines(), engines()
    whole = list(chain(TEXT).map(ROWS, engine=together, memory=12, window=4))
    assert list(chain(TEXT).map(ROWS, engine=apart, memory=11, window=4)) == whole
    naive = chain(TEXT).map(ROWS, engine=by_window, memory=11, window=4, passes=())
    assert [one.answer for one in naive] == [one.answer for one in whole]
    assert loads(together) == {"a": 1, "b": 1}
    assert loads(apart) == {"a": 2, "b": 1}
    assert loads(by_window) == {"a": 6, "b": 5}  # for a window, then for the next one as well


def test_a_model_that_nobody_asks_is_not_loaded() -> None:
    given = engines()
    list(chain("fallback(E:a, E:b)").map(ROWS, engine=given, memory=8))
    assert loads(given) == {"a": 1, "b": 0}


def test_what_is_asked_again_is_another_round() -> None:
    def failures(request: Request) -> Failure | None:
        return Failure("", "engine", "planted") if "What is 3" in str(request.messages) else None

    given = engines(a=FakeEngine(size=6, failures=failures))
    found = list(chain("fallback(E:a, E:b) >> V:a").map(ROWS, engine=given, memory=8))
    plain = {"a": FakeEngine(failures=failures), "b": FakeEngine()}
    assert found == list(chain("fallback(E:a, E:b) >> V:a").map(ROWS, engine=plain))
    assert loads(given) == {"a": 2, "b": 1}


def test_a_loop_over_two_models_goes_round() -> None:
    text = "E:a >> loop(J:b >> V:a, until=\"answer == 'never'\", max=3)"
    given = engines()
    found = list(chain(text).map(ROWS, engine=given, memory=8))
    assert found == list(chain(text).map(ROWS, engine={"a": FakeEngine(), "b": FakeEngine()}))
    assert loads(given) == {"a": 4, "b": 3}


def test_no_more_than_the_memory_is_refused_before_anything_is_loaded() -> None:
    given = engines(b=FakeEngine(size=9 << 30))
    with pytest.raises(EngineError) as caught:
        chain(TEXT).map(ROWS, engine=given, memory="8 GiB")
    assert "the model 'b' needs 9 GiB of memory (weights 9 GiB), and there are 8 GiB" in str(
        caught.value
    )
    assert "3:E:a >> J:b >> V:a\n  |            ^" in str(caught.value)
    assert loads(given) == {"a": 0, "b": 0}


def test_a_model_that_is_not_here_needs_a_memory_that_nobody_knows() -> None:
    with pytest.raises(EngineError, match="no model is called 'nowhere'"):
        chain("E:nowhere").map(ROWS, memory="8 GiB")


@pytest.mark.parametrize("does", [fail, interrupt])
def test_what_was_drawn_before_a_load_that_failed_is_kept(
    tmp_path: Path, does: Callable[[], Any]
) -> None:
    out, given = tmp_path / "run", engines(b=Broken(does))
    with pytest.raises((EngineError, Interrupted)) as caught:
        chain(TEXT).run(ROWS, out, engine=given, memory=8)
    if does is fail:
        assert "3:E:a >> J:b >> V:a\n  |            ^" in str(caught.value)  # the place is told
    assert given["a"].submitted == 20
    given = engines()
    summary = chain(TEXT).run(ROWS, out, engine=given, memory=8)
    assert summary.recorded == 60
    assert (loads(given), summary.loads) == ({"a": 1, "b": 1}, 2)  # one of "a" is kept
    whole = tmp_path / "whole"
    chain(TEXT).run(ROWS, whole, engine=engines(), memory=12)
    assert plain(out) == plain(whole)


KILLED = """
import os, sys
from pathlib import Path
from chainlang import chain
from tests.running.test_memory import Broken, ROWS, TEXT, engines
given = engines(b=Broken(lambda: os._exit(9)))
chain(TEXT).run(ROWS, Path(sys.argv[1]), engine=given, memory=8)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_between_two_models_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(out)]
    assert subprocess.run(command, check=False).returncode == 9
    given = engines()
    assert chain(TEXT).run(ROWS, out, engine=given, memory=8).recorded == 60
    assert loads(given) == {"a": 1, "b": 1}


def test_nothing_is_loaded_for_what_a_budget_forbids() -> None:
    given = engines()
    with pytest.raises(StopError, match="run_calls=60"):
        list(chain(TEXT).map(ROWS, engine=given, memory=8, run_calls=60))
    assert loads(given) == {"a": 1, "b": 0}


def test_models_of_other_chains_give_way() -> None:
    given = engines()
    list(chain("E:a").map(ROWS, engine=given, memory=8))
    assert given["a"].loaded
    list(chain("E:b").map(ROWS, engine=given, memory=8))
    assert (given["a"].loaded, given["b"].loaded) == (False, True)
    list(chain("E:a >> E:b").map(ROWS, engine=given, memory=12))
    assert loads(given) == {"a": 2, "b": 1}


@pytest.mark.parametrize("kept", ["a", "b"])
def test_what_is_needed_again_is_kept(kept: str) -> None:
    given = engines(c=FakeEngine(size=6))
    list(chain(f"E:a >> J:b >> V:c >> V:{kept}").map(ROWS, engine=given, memory=12))
    assert loads(given) == {"a": 1, "b": 1, "c": 1}


def test_two_chains_by_turns_take_the_memory_from_each_other() -> None:
    """What is in flight in a model that has to go is drawn before it goes."""
    given = {name: FakeEngine(size=6, latency=lambda one: 1 + one.seed % 5) for name in "ab"}
    one, other = (chain(f"E:{name} >> J:{name}") for name in "ab")
    both = [chain.map(ROWS, engine=given, memory=8, window=2) for chain in (one, other)]
    pairs = list(zip(*both, strict=True))
    alone = [chain.map(ROWS, engine=FakeEngine()) for chain in (one, other)]
    assert pairs == list(zip(*alone, strict=True))


def test_rows_from_an_event_loop_take_turns_too() -> None:
    given, qa = engines(), chain(TEXT)

    async def main() -> list[Any]:
        asked = (qa.acall(row["query"], engine=given, memory=8) for row in ROWS)
        return [result.answer for result in await asyncio.gather(*asked)]

    queries = [row["query"] for row in ROWS]
    assert asyncio.run(main()) == [
        one.answer for one in qa.map(queries, engine={"a": FakeEngine(), "b": FakeEngine()})
    ]
    assert loads(given)["b"] <= 20


def test_one_engine_under_two_names_is_one() -> None:
    one = FakeEngine(size=6)
    list(chain("E:a >> J:b").map(ROWS, engine=one, memory=8))
    assert one.loads == 1
    text = 'model a = fake("m")\nmodel b = fake("m")\nmain = E:a >> J:b'
    assert load(text=text).explain(memory=8).memory.needs == {}


def test_explain_says_who_takes_turns() -> None:
    given = {name: FakeEngine(size=3 << 29) for name in "abc"}
    qa = chain("(E:a & E:c) >> J:b >> V:a")

    def page(**settings: Any) -> str:
        return str(qa.explain(engine=given, **settings)).partition("MEMORY")[2].partition("\n\n")[0]

    assert page(memory="3 GiB") == (
        ", of which there is 3 GiB\n"
        "  a  1.5 GiB: weights 1.5 GiB\n"
        "  c  1.5 GiB: weights 1.5 GiB\n"
        "  b  1.5 GiB: weights 1.5 GiB\n"
        "  in turns: a and c, then a and b\n"
        "  3 loads for up to 8,192 rows, where nothing fails"
    )
    assert page(memory="3 GiB", passes=()).endswith("up to 256 rows, where nothing fails")
    assert page(memory="5 GiB").endswith("not in turns: all of them fit together")
    assert page(memory="1 GiB").endswith("can't be loaded: a, c, b")
    assert loads(given) == {"a": 0, "b": 0, "c": 0}
