"""Batches of OpenAI and Anthropic, over servers written from their documents."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from chainlang import chain, models
from chainlang.engines.anthropic.engine import AnthropicEngine
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.engine import ServerEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import EngineError
from chainlang.protocol.messages import Completion, Failure
from tests.engines import messages_server
from tests.engines.messages_server import MessagesServer
from tests.engines.server import Answer, Body, Server, as_json, error, from_engine, good
from tests.engines.test_openai import Clock, ask, finish, policy, texts


@define(eq=False)
class Batches:
    """State of a server's batches. Each ends at the poll with the number `polls`."""

    answer: Callable[[Body], Answer]
    polls: int = 2
    lost: set[int] = field(factory=set)
    """Numbers of the requests that have no result the first time that they come."""
    sizes: list[int] = field(factory=list)
    """Number of requests of each batch."""
    files: dict[str, bytes] = field(factory=dict)
    batches: dict[str, list[tuple[str, Any]]] = field(factory=dict)
    polled: dict[str, int] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)

    def begin(self, requests: list[tuple[str, Any]]) -> str:
        with self.lock:
            name = f"batch_{len(self.batches) + 1}"
            self.batches[name] = requests
            self.sizes.append(len(requests))
            return name

    def has_ended(self, name: str) -> bool:
        self.polled[name] = self.polled.get(name, 0) + 1
        return self.polled[name] >= self.polls

    def results(self, name: str) -> Iterator[tuple[str, Answer | None]]:
        for number, (one, body) in enumerate(self.batches[name]):
            is_lost = name == "batch_1" and number in self.lost
            yield one, None if is_lost else self.answer(body)


@define(eq=False)
class ChatServer(Server):
    state: Batches = field(kw_only=True)

    def route(self, method: str, path: str, content: bytes) -> Answer | None:
        parts = path.removeprefix("/v1/").split("/")
        match method, parts:
            case "POST", ["files"]:
                name = f"file_{len(self.state.files) + 1}"
                self.state.files[name] = content
                return as_json({"id": name})
            case "POST", ["batches"]:
                asked = json.loads(content)
                assert (asked["endpoint"], asked["completion_window"]) == (
                    "/v1/chat/completions",
                    "24h",
                )
                form = self.state.files[asked["input_file_id"]].split(b"\r\n")
                assert b"batch" in form
                lines = [json.loads(one) for one in form[-3].splitlines()]
                assert {one["method"] for one in lines} == {"POST"}
                return as_json(
                    {"id": self.state.begin([(one["custom_id"], one["body"]) for one in lines])}
                )
            case "GET", ["batches", name]:
                ended = self.state.has_ended(name)
                status = "completed" if ended else "in_progress"
                return as_json({"status": status, "output_file_id": f"out-{name}"})
            case "GET", ["files", name, "content"]:
                found = self.state.results(name.removeprefix("out-"))
                lines = [
                    {
                        "custom_id": one,
                        "response": {"status_code": it.status, "body": json.loads(it.body)},
                    }
                    for one, it in found
                    if it is not None
                ]
                return Answer("\n".join(map(json.dumps, lines)).encode(), type="application/jsonl")
        return None


@define(eq=False)
class ClaudeServer(MessagesServer):
    state: Batches = field(kw_only=True)

    def route(self, method: str, path: str, content: bytes) -> Answer | None:
        match method, path.removeprefix("/v1/messages/batches").split("/"):
            case "POST", [""] if path == "/v1/messages/batches":
                requests = json.loads(content)["requests"]
                assert all(len(one["custom_id"]) <= 64 for one in requests)
                begun = self.state.begin([(one["custom_id"], one["params"]) for one in requests])
                return as_json({"id": begun, "processing_status": "in_progress"})
            case "GET", ["", name]:
                status = "ended" if self.state.has_ended(name) else "in_progress"
                return as_json({"processing_status": status})
            case "GET", ["", name, "results"]:
                lines = [
                    {"custom_id": one, "result": _result(it)}
                    for one, it in self.state.results(name)
                ]
                return Answer("\n".join(map(json.dumps, lines)).encode(), type="application/jsonl")
        return None


def _result(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return {"type": "expired"}
    document = json.loads(answer.body)
    if answer.status == 200:
        return {"type": "succeeded", "message": document}
    return {"type": "errored", "error": document}


KINDS = ("openai", "anthropic")


@contextmanager
def asking(
    kind: str, folder: Path, state: Batches | None = None
) -> Iterator[tuple[Batches, Callable[[], ServerEngine], Server]]:
    """Yield the state of a server, and what makes engines for it."""
    real = from_engine if kind == "openai" else messages_server.from_engine
    state = state or Batches(real(FakeEngine(answers={"": "42"})))
    options: dict[str, Any] = {"retry": policy(Clock()), "batch": True, "batch_folder": folder}
    made: list[ServerEngine] = []
    server: Server = (
        ChatServer(state.answer, state=state)
        if kind == "openai"
        else ClaudeServer(state.answer, state=state)
    )

    def engine() -> ServerEngine:
        if kind == "openai":
            made.append(OpenAIEngine("m", base_url=server.url, **options))
        else:
            key, model = messages_server.KEY, messages_server.MODEL
            made.append(AnthropicEngine(model, base_url=server.url, api_key=key, **options))
        return made[-1]

    with server:
        try:
            yield state, engine, server
        finally:
            for one in made:
                one.close()


def replies(engine: ServerEngine, *names: str, **fields: Any) -> list[Completion | Failure]:
    found = finish(engine, *(ask(name, **fields) for name in names))  # type: ignore[arg-type]
    return [found[name] for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_requests_go_in_one_batch(kind: str, tmp_path: Path) -> None:
    with asking(kind, tmp_path) as (state, make, server):
        engine = make()
        found = replies(engine, *map(str, range(20)), count=2)
        assert [texts(one) for one in found] == [["42", "42"]] * 20
        assert state.sizes == [20 if kind == "openai" else 40]
        assert server.bodies == []
        assert engine.capabilities.streams is False
        assert [*tmp_path.iterdir()]
        engine.close()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_finds_its_samples_in_the_batch_that_runs(
    kind: str, tmp_path: Path
) -> None:
    with asking(kind, tmp_path) as (state, make, _):
        state.polls = 1_000_000
        first = make()
        first.submit([ask(str(number)) for number in range(5)])
        while not state.polled:
            first.step()
        first.close()  # before its end
        state.polls = 1
        again = replies(make(), *map(str, range(7)))
        assert [texts(one) for one in again] == [["42"]] * 7
        assert state.sizes == [5, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_without_a_result_goes_into_the_next_batch(kind: str, tmp_path: Path) -> None:
    with asking(kind, tmp_path) as (state, make, _):
        state.lost = {1, 2}
        found = replies(make(), *map(str, range(4)))
        assert [texts(one) for one in found] == [["42"]] * 4
        assert state.sizes == [4, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_requests_have_their_kinds(kind: str, tmp_path: Path) -> None:
    def answer(body: Body) -> Answer:
        text = body["messages"][-1]["content"]
        if text == "busy":
            return error(503, "overloaded", type="overloaded_error")
        if text == "long":
            return error(400, "prompt is too long", type="invalid_request_error")
        if kind == "openai":
            return good("42")
        return as_json(messages_server.reply("42"))

    with asking(kind, tmp_path, Batches(answer)) as (state, make, _):
        fine, long, busy = replies(make(), "fine", "long", "busy")
        assert texts(fine) == ["42"]
        assert isinstance(long, Failure)
        assert isinstance(busy, Failure)
        assert (long.kind, busy.kind) == ("context", "transport")
        # Without `max_tokens` the prompt may fit: a chat completion is asked for again.
        assert state.sizes == ([3, 2, 1] if kind == "openai" else [3, 1, 1])


def test_a_batch_that_is_not_accepted_fails_its_requests(tmp_path: Path) -> None:
    class Refusing(ChatServer):
        def route(self, method: str, path: str, content: bytes) -> Answer | None:
            if method == "POST" and path == "/v1/batches":
                return error(400, "You have reached your billing limit")
            return super().route(method, path, content)

    state = Batches(from_engine(FakeEngine()))
    with Refusing(state.answer, state=state) as server:
        engine = OpenAIEngine(
            "m", base_url=server.url, retry=policy(Clock()), batch=True, batch_folder=tmp_path
        )
        (found,) = replies(engine, "1")
        engine.close()
    assert isinstance(found, Failure)
    assert "reached your billing limit" in found.message


def test_a_chain_runs_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("chainlang.engines.http.batches._QUIET", 0.2)
    state = Batches(from_engine(FakeEngine(answers={"": "42"})), polls=1)
    with ChatServer(state.answer, state=state) as server:
        mine: dict[str, Any] = {"mine": models.openai("m", base_url=server.url, batch=True)}
        rows = [f"question {number}" for number in range(30)]
        summary = chain("3:E:mine:0.7 >> M").run(rows, tmp_path / "run", models=mine)
        assert (summary.rows, summary.failed) == (30, 0)
        assert sum(state.sizes) == 30  # of three samples each
        assert len(state.sizes) <= 3
        models.close("mine")


def test_rate_limits_and_batches_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="rate limits do not hold for batches"):
        OpenAIEngine("m", batch=True, batch_folder=tmp_path, requests_per_minute=5)
    with pytest.raises(EngineError, match="batch=True needs a folder"):
        OpenAIEngine("m", batch=True)
