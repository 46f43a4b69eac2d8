"""Results cross processes, and a fork never waits for what its parent has opened."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from chainlang import E, J, M, chain, load, op
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError, RowError, StopError
from chainlang.protocol.messages import Usage
from chainlang.session.result import Result
from chainlang.session.summary import Interrupted, Summary
from tests.engines.server import Server, from_engine

LIMIT = 300.0


class Review(BaseModel):
    score: int


# ---------------------------------------------------------------- results


def results() -> Iterator[Result]:
    engine = FakeEngine()
    yield chain("(fr = 3:E) >> M")({"query": "q", "tags": ["a"]}, engine=engine)
    yield (E | M)("q", engine=engine, on_error="collect")
    yield (E >> J)("q", engine=FakeEngine(answers={"": "bad"}), on_error="collect")
    yield chain("E >> fallback(@bad, E)", functions={"bad": int})("q", engine=engine)
    yield op("review", user="{{ query }}", returns=Review)()("q", engine=engine)
    yield chain("E", input="{ query: str }")({"query": 3}, engine=engine, on_error="collect")
    yield chain("3:E(logprobs=true)")("q", engine=engine, outputs=["answer"])


@pytest.mark.filterwarnings("ignore::chainlang.errors.ChainlangWarning")
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_result_is_a_plain_value(protocol: int) -> None:
    for result in results():
        before = repr(result)
        again = pickle.loads(pickle.dumps(result, protocol))
        assert again == result
        assert repr(again) == before
        assert again.ok == result.ok
        if result.ok:
            assert (again.answer, again.value) == (result.answer, result.value)


def test_errors_cross_processes_too() -> None:
    summary = Summary(3, 1, Usage(), 0.5, Path("out"))
    with pytest.raises(RowError) as failed:
        (E >> J)("q", engine=FakeEngine(answers={"": "bad"}))
    for error in (failed.value, StopError(failed.value.diagnostics, summary), Interrupted(summary)):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        assert getattr(again, "summary", None) == getattr(error, "summary", None)


def answered(query: str) -> Result:
    return chain("3:E >> M")(query, engine=FakeEngine())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_return_results(method: str) -> None:
    answered("before")
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        found = list(pool.map(answered, ["a", "b", "c"], timeout=LIMIT))
    assert found == [answered(query) for query in "abc"]


# ---------------------------------------------------------------- forks


def forked(work: Callable[[], object]) -> str:
    """Return what `work` returns or raises in a fork; fail if it takes long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(int(LIMIT))
            said = str(work())
        except ChainlangError as error:
            said = str(error)
        except BaseException:  # noqa: BLE001  # for the parent
            said = traceback.format_exc()
        os.write(write, said.encode())
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the fork hung"
    return said


def declared(server: Server) -> Any:
    return load(text=f'model m = openai("m", base_url="{server.url}")\nmain = 2:E:m')


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(from_engine(FakeEngine())) as one:
        yield one


def test_a_fork_opens_the_engine_of_a_chain_anew(server: Server) -> None:
    made = declared(server)
    expected = made("q").answer
    assert forked(lambda: made("q").answer) == str(expected)
    assert made("q").answer == expected  # the parent's engine is as it was


def test_an_engine_that_was_opened_before_a_fork_is_refused(server: Server) -> None:
    engine = OpenAIEngine("m", base_url=f"{server.url}")
    made = chain("E:m")
    made("q", engine=engine)
    said = forked(lambda: made("q", engine=engine).answer)
    assert f"chainlang-openai was opened by process {os.getpid()}, of which this is a fork" in said
    assert 'multiprocessing.get_context("spawn")' in said
    assert made("q", engine=engine).ok
    engine.close()


def test_async_calls_and_functions_work_in_a_fork() -> None:
    async def later(answer: str) -> str:
        await asyncio.sleep(0)
        return answer + "?"

    made = E >> later

    async def call() -> Any:
        return (await made.acall("q", engine=FakeEngine())).answer

    expected = asyncio.run(call())
    assert forked(lambda: asyncio.run(call())) == expected
    assert asyncio.run(call()) == expected


def test_a_fork_opens_the_cache_anew(tmp_path: Path) -> None:
    settings: Any = {"cache": "write", "cache_folder": tmp_path}
    made = chain("3:E")
    made("before", engine=FakeEngine(), **settings)

    def work() -> int:
        engine = FakeEngine()
        made("before", engine=engine, **settings)
        made("in the fork", engine=engine, **settings)
        return engine.submitted

    assert forked(work) == "1"
    engine = FakeEngine()
    made("in the fork", engine=engine, **settings)
    assert engine.submitted == 0


def test_a_fork_that_exits_closes_nothing_of_its_parent(server: Server) -> None:
    made = declared(server)
    made("q")
    child = os.fork()
    if child == 0:
        signal.alarm(int(LIMIT))
        from chainlang.models.open_engines import close_engines
        from chainlang.session.sample_cache import close_caches

        close_engines()
        close_caches()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert made("q").ok


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_in_a_fork_is_refused_in_words() -> None:
    made = chain("E:tiny(max_tokens=4)")
    assert made("1 + 1").ok
    said = forked(lambda: made("1 + 1").answer)
    assert f"vLLM was loaded by process {os.getpid()}, of which this is a fork" in said
    assert made("1 + 1").ok
