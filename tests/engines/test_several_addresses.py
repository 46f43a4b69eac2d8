"""Several addresses of one model: which is asked, and what happens when one dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, models
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.addresses import LAST_TRIAL, TRIPS, Address, Addresses
from chainlang.engines.http.client import Client
from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.rate_limit import Limits
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import RetriesExhausted, RetryPolicy, Transient
from chainlang.engines.openai.dialect import SERVICE, ChatDialect
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError, EngineError
from chainlang.protocol.messages import Sample, Usage
from tests.engines.dying import survived
from tests.engines.messages_server import KEY, MODEL, MessagesServer
from tests.engines.messages_server import from_engine as of_messages
from tests.engines.server import Answer, Server, error, from_engine
from tests.simulation.clock import VirtualLoop

ROWS = [{"id": str(number), "query": f"question {number}"} for number in range(30)]
QA = chain("2:E:m:0.7 >> M")


def model() -> Server:
    return Server(from_engine(FakeEngine()))


def messages() -> MessagesServer:
    return MessagesServer(of_messages(FakeEngine()))


def gone_messages() -> MessagesServer:
    return MessagesServer(lambda _: Answer(cut=0))


def answers(addresses: Sequence[str], rows: Sequence[object] = ROWS) -> list[object]:
    engine = OpenAIEngine("m", base_url=addresses)
    try:
        return [one.answer for one in QA.map(rows, engine=engine)]
    finally:
        engine.close()


@pytest.mark.quick(1)
@pytest.mark.parametrize("seed", ["0", "1"])
def test_one_of_three_dies_and_comes_back(tmp_path: Path, seed: str) -> None:
    deaths, moved = survived(200, seed, tmp_path)
    assert deaths >= 2
    assert moved >= 2


def test_the_load_is_shared_and_the_samples_are_those_of_one() -> None:
    with model() as one, model() as two, model() as alone:
        assert answers([one.url, two.url]) == answers([alone.url])
        counts = [len(one.bodies), len(two.bodies)]
        assert sum(counts) == len(alone.bodies)
        assert min(counts) > sum(counts) / 4


def test_prompts_that_begin_alike_go_to_one_address() -> None:
    """One at a time, all addresses are idle, so that the prefix decides."""
    texts = [f"{'abc'[number % 3] * 2000} {number}" for number in range(18)]
    with model() as one, model() as two:
        engine = OpenAIEngine("m", base_url=[one.url, two.url])
        for text in texts:
            chain("E:m")(text, engine=engine)
        engine.close()
        seen = [{body["messages"][-1]["content"][:1] for body in it.bodies} for it in (one, two)]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == {"a", "b", "c"}


def test_an_address_that_is_not_there_is_passed_over() -> None:
    with model() as one, model() as gone:
        address = gone.url
    with model() as one:
        assert len(answers([address, one.url])) == len(ROWS)
        assert len(one.bodies) == len(ROWS)
    with pytest.raises(EngineError, match="no server answers at"):
        answers([address, one.url])


def test_an_address_with_another_model_is_refused() -> None:
    with model() as one, Server(from_engine(FakeEngine())) as other:
        other.first = error(404, "The model `m` does not exist", code="model_not_found")
        with pytest.raises(EngineError, match="has no model 'm'"):
            answers([one.url, other.url])


def test_a_request_that_is_rejected_goes_nowhere_else() -> None:
    def no(_: object) -> Answer:
        return error(400, "bad request")

    with Server(no) as one, Server(no) as two:
        engine = OpenAIEngine("m", base_url=[one.url, two.url])
        result = chain("E:m")("q", engine=engine, on_error="collect")
        engine.close()
        assert not result.ok
        assert len(one.bodies) + len(two.bodies) == 1


def test_a_breaker_opens_admits_one_trial_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Address, "state", None)
    one = Address(client=None)  # type: ignore[arg-type]  # it sends nothing
    for _ in range(TRIPS):
        assert not one.is_open
        assert not one.begin()
        one.has_failed(10.0, is_trial=False)
        one.end(is_trial=False)
    assert one.is_open
    assert [one.is_due(10.5), one.is_due(11.0)] == [False, True]
    assert one.begin()
    assert not one.is_due(11.0)  # there is one trial at a time
    one.has_failed(11.0, is_trial=True)
    one.end(is_trial=True)
    assert [one.is_due(12.9), one.is_due(13.0)] == [False, True]
    for _ in range(10):
        one.has_failed(20.0, is_trial=one.begin())
        one.end(is_trial=True)
    assert one.is_due(20.0 + LAST_TRIAL)
    assert not one.is_due(20.0 + LAST_TRIAL - 0.1)
    one.answered(60.0)
    assert not one.is_open
    assert one.load == 0


def test_a_fingerprint_is_the_name_and_not_the_address(tmp_path: Path) -> None:
    with model() as one, model() as two, model() as three:
        shared = models.openai("m", base_url=[one.url, two.url])
        chain("E:x").run(ROWS, tmp_path / "a", models={"x": shared})
        other = models.openai("m", base_url=[two.url, three.url])
        again = chain("E:x").run(ROWS, tmp_path / "a", models={"x": other})
        assert again.recorded == len(ROWS)
        assert not three.bodies
    said = json.loads((tmp_path / "a" / "metadata.json").read_text())
    assert [one["url"] for one in said["addresses"]["x"]] == [two.url, three.url]
    print_of = said["models"]["x"]["fingerprint"]
    assert not {one.url, two.url} & {str(value) for value in print_of.values()}


def second_failed(run: Path) -> int:
    """Return how many requests the second address of a model has failed."""
    said = json.loads((run / "metadata.json").read_text())
    return int(said["addresses"]["x"][1]["failed"])


def test_addresses_are_counted_and_explained(tmp_path: Path) -> None:
    def dead(_: object) -> Answer:
        return Answer(cut=0)

    with model() as one, Server(dead) as two:
        declared = models.openai("m", base_url=[one.url, two.url])
        summary = chain("E:x").run(ROWS, tmp_path / "a", models={"x": declared})
        page = str(chain("E:x").explain(models={"x": declared}))
    assert summary.failed == 0
    assert summary.events == {"moved": second_failed(tmp_path / "a")}
    first, second = json.loads((tmp_path / "a" / "metadata.json").read_text())["addresses"]["x"]
    assert first == {"url": one.url, "requests": len(ROWS), "failed": 0}
    assert second["failed"] == second["requests"] >= TRIPS
    assert f"  x  {one.url}\n  x  {two.url}" in page


@pytest.mark.slow
def test_workers_sum_what_the_addresses_have_done(tmp_path: Path) -> None:
    def dead(_: object) -> Answer:
        return Answer(cut=0)

    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    with model() as one, Server(dead) as two:
        file = tmp_path / "qa.chain"
        urls = json.dumps([one.url, two.url])
        file.write_text(f'model x = openai("m", base_url={urls})\nmain = E:x\n')
        out, source = str(tmp_path / "a"), str(tmp_path / "rows.jsonl")
        assert execute(["run", str(file), "-i", source, "-o", out, "--workers", "2"]) == 0
    said = json.loads((tmp_path / "a" / "metadata.json").read_text())
    first, second = said["addresses"]["x"]
    assert first == {"url": one.url, "requests": len(ROWS), "failed": 0}
    assert said["events"] == {"moved": second["failed"]}
    assert second["requests"] == second["failed"] >= 2 * TRIPS


def test_addresses_of_the_messages_api(tmp_path: Path) -> None:
    """They are those of OpenAI's protocol: shared, moved, counted, and one fingerprint."""
    with messages() as one, messages() as two, gone_messages() as gone:
        shared = models.anthropic(MODEL, base_url=[one.url, two.url, gone.url], api_key=KEY)
        summary = chain("2:E:x").run(ROWS, tmp_path / "a", models={"x": shared})
        other = models.anthropic(MODEL, base_url=[two.url, gone.url], api_key=KEY)
        again = chain("2:E:x").run(ROWS, tmp_path / "a", models={"x": other})
    assert (summary.failed, again.recorded) == (0, 2 * len(ROWS))
    said = summary.events["moved"]
    assert said >= 1
    counts = [len(each.bodies) for each in (one, two)]
    assert sum(counts) == 2 * len(ROWS)
    assert min(counts) > sum(counts) / 4
    lines = (tmp_path / "a" / "events.jsonl").read_text().splitlines()
    assert len(lines) == said
    assert f"answered, as {gone.url} failed: " in lines[0]
    assert KEY not in "".join(lines)
    dead_ones = models.anthropic(MODEL, base_url=[one.url, two.url], api_key=KEY)
    with pytest.raises(EngineError, match="no server answers at"):
        chain("E:x")("q", models={"x": dead_ones})


def test_a_moved_sample_is_an_event_when_it_is_resumed_and_not_from_a_cache(tmp_path: Path) -> None:
    def dead(_: object) -> Answer:
        return Answer(cut=0)

    cached = {"cache": "write", "cache_folder": tmp_path / "cache"}
    with model() as one, Server(dead) as two:
        declared = {"x": models.openai("m", base_url=[one.url, two.url])}
        first = chain("E:x").run(ROWS, tmp_path / "a", models=declared, **cached)
        (tmp_path / "a" / "flattened" / "000.jsonl").unlink()  # all rows are written anew
        again = chain("E:x").run(ROWS, tmp_path / "a", models=declared, **cached)
        other = chain("E:x").run(ROWS, tmp_path / "b", models=declared, **cached)
    assert first.events == again.events == {"moved": first.events["moved"]}
    assert (other.cached, other.events) == (len(ROWS), {})


def test_a_file_names_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with model() as one, model() as two:
        file = tmp_path / "qa.chain"
        file.write_text(
            f'model m = openai("m", base_url=["{one.url}", "{two.url}"])\nmain = 2:E:m >> M\n'
        )
        assert execute(["ask", str(file), "why?"]) == 0
        (tmp_path / "rows.jsonl").write_text('{"query": "a"}\n')
        assert len(one.bodies) + len(two.bodies) == 1
    file.write_text(
        'model m = openai("m", base_url=["http://127.0.0.1:1/v1", "ftp://x"])\nmain = E:m\n'
    )
    assert execute(["check", str(file)]) != 0
    assert "base_url" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"base_url": []}, "base_url has no address"),
        ({"base_url": ["http://localhost:1/v1", "http://localhost:1/v1/"]}, "an address twice"),
        ({"base_url": ["http://localhost:1", "http://far.example"]}, "not an allowed host: far"),
    ],
    ids=str,
)
def test_addresses_that_are_refused(given: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ChainlangError, match=message):
        OpenAIEngine("m", **given)  # type: ignore[arg-type]


# ---------------------------------------------------------------- on a virtual clock


class Timed(Client):
    """A client whose server takes a second for a request, or answers as `turns` says."""

    turns: Iterator[Transient | None] = iter(())
    times: list[float]
    refusals = 0
    """Number of requests that the rate limits fail to admit."""

    async def admitted(self, content: bytes, most: int) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Transient("the rate limits at redis failed")
        return await super().admitted(content, most)

    async def _exchange(self, *_: object, **__: object) -> Response:
        self.times.append(self._retry.clock())
        await asyncio.sleep(1)
        if (failed := next(self.turns, None)) is not None:
            raise failed
        return Response({0: Sample("a", "stop", 1)}, Usage(1, 1, 0, 1))


def timed(
    count: int, *, fail: Sequence[Iterator[Transient | None]] = (), refusals: int = 0, **more: Any
) -> Any:
    """Send requests to two such addresses; return what became of each, and both clients."""
    loop = VirtualLoop()
    asked: dict[str, Any] = {"deadline": None, "patient": True} | more.pop("asked", {})
    retry = RetryPolicy(clock=loop.time, sleep=asyncio.sleep, jitter=lambda most: most)
    given: dict[str, Any] = {
        "concurrency": 2,
        "connect": 1.0,
        "read": 1.0,
        "limits": Limits(),
    } | more
    clients = []
    for number in range(2):
        end = Endpoint.of(SERVICE, f"http://localhost:{number + 1}/v1", None)
        made = Timed(end, ChatDialect(), retry=retry, limits_redis=None, **given)
        made.times, made.turns = [], fail[number] if fail else iter(())
        made.refusals = refusals
        clients.append(made)
    sender = Addresses(clients, retry)
    sent = (
        sender.complete(b"{}", 1, schema=False, first=0, deltas=None, most=8, **asked)
        for _ in range(count)
    )

    async def every() -> Any:
        return await asyncio.gather(*sent, return_exceptions=True)

    found = loop.run_until_complete(every())
    loop.close()
    return found, clients


def test_a_deadline_does_not_run_while_requests_wait_for_their_turn() -> None:
    found, _ = timed(40, asked={"deadline": 2.0})
    assert [type(one) for one in found] == [Response] * 40
    found, _ = timed(8, asked={"deadline": 2.0}, limits=Limits(requests=1))
    assert [type(one) for one in found] == [Response] * 8


def test_an_address_that_asks_for_a_wait_gets_nothing_until_then() -> None:
    busy = [Transient("slow down", 60.0)]
    found, (one, two) = timed(20, fail=[iter(busy), iter(())])
    assert [type(one) for one in found] == [Response] * 20
    assert max(one.times) <= 1
    assert max(two.times) < 15  # those that waited for a slot of the other one, too


def test_an_impatient_request_does_not_wait_for_all_addresses() -> None:
    fail = [iter([Transient("slow down", 60.0)] * 9) for _ in range(2)]
    (failed,), clients = timed(1, fail=fail, asked={"patient": False})
    assert isinstance(failed, RetriesExhausted)
    assert "asked for a wait of 60 s" in str(failed)
    assert [len(one.times) for one in clients] == [1, 1]
    fail = [iter([Transient("slow down", 60.0)]), iter([Transient("broken")])]
    (answered,), _ = timed(1, fail=fail, asked={"patient": False})
    assert isinstance(answered, Response)


def test_a_request_that_the_rate_limits_fail_to_admit_gives_its_slot_back() -> None:
    found, _ = timed(3, refusals=3, concurrency=1)
    assert [type(one) for one in found] == [Response] * 3


def test_each_round_of_all_addresses_is_an_attempt() -> None:
    fail = [iter([Transient("broken")] * 99) for _ in range(2)]
    (failed,), clients = timed(1, fail=fail)
    assert str(failed).endswith("; 6 attempts")
    assert [len(one.times) for one in clients] == [6, 6]


def test_a_client_is_what_addresses_are_made_of() -> None:
    assert {"complete", "once", "close", "waited"} <= vars(Client).keys()
