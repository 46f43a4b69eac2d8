"""Clients that go away, requests that wait, and the end of a server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.serving import running
from chainlang.serving.chat_stream import EventStream
from tests.serving.long import streams
from tests.serving.served import PATIENCE, HeldEngine, Served, asked, events, said, serving, until
from tests.serving.test_refused import is_ours

OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


LONG = FakeEngine(answers={"": "a text of several tokens, which come one by one"})


def sent(served: Served, **fields: object) -> socket.socket:
    """Send a request for a completion, and return its connection."""
    body = json.dumps({**asked("Why?"), **fields}).encode()
    host, _, port = served.url.removeprefix("http://").removesuffix("/v1").rpartition(":")
    found = socket.create_connection((host, int(port)), PATIENCE)
    OPEN.append(found)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    found.sendall(head.encode() + body)
    return found


def rest_of(connection: socket.socket) -> bytes:
    """Return what a server sends until it closes a connection."""
    with connection.makefile("rb") as reader:
        return reader.read()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["E", "3:E >> J"])
def test_a_client_that_goes_away_ends_its_row(text: str, stream: bool) -> None:
    engine = HeldEngine()
    with serving(chain(text), engine=engine) as served:
        connection = sent(served, stream=stream)
        until(lambda: engine.in_flight > 0)
        assert served.metric("num_requests_running") == 1
        connection.close()
        until(lambda: engine.in_flight == 0)
        until(lambda: served.metric("num_requests_running") == 0)
        until(lambda: served.metric("request_success_total") == 1)  # with the reason "abort"
        engine.released.set()
        assert served.chat().status_code in (200, 502)  # the next one is answered


def test_a_client_that_goes_away_at_any_chunk_leaves_nothing_in_flight() -> None:
    with serving(chain("E"), engine=LONG) as served:
        whole = len(served.chunks())
        for chunks in range(whole + 1):
            connection = sent(served, stream=True)
            data = b""
            while data.count(b"data: ") < chunks:
                data += connection.recv(64)
            connection.close()
        until(lambda: served.metric("num_requests_running") == 0)
        until(lambda: not LONG._pending and not LONG._streaming)
        assert said(served.chunks()) == "a text of several tokens, which come one by one"


def test_callers_share_an_engine_and_are_in_flight_together() -> None:
    engine = HeldEngine()
    with serving({"chain": chain("3:E >> J"), "other": chain("2:E")}, engine=engine) as served:
        connections = [sent(served, seed=number) for number in range(5)]
        connections += [sent(served, seed=number, model="other") for number in range(5)]
        until(lambda: sum(one.drawn for _, _, one in engine._pending) == 5 * 3 + 5 * 2)
        engine.released.set()
        for one in connections:
            one.recv(4)


def test_requests_beyond_the_queue_are_refused() -> None:
    engine = HeldEngine()
    with serving(chain("E"), engine=engine, window=1, queue=1) as served:
        first, second = sent(served), sent(served, stream=True)
        until(lambda: served.metric("num_requests_waiting") == 1)
        found = served.chat()
        assert (found.status_code, is_ours(found.content)) == (503, True)
        assert found.json()["error"]["code"] == "server_overloaded"
        assert found.headers["retry-after"] == "1"
        first.close()
        until(lambda: served.metric("num_requests_waiting") == 0)  # the second one runs
        engine.released.set()
        until(lambda: served.metric("num_requests_running") == 0)
        second.close()


def test_a_client_that_waits_may_go_away() -> None:
    engine = HeldEngine()
    with serving(chain("E"), engine=engine, window=1) as served:
        first, second = sent(served), sent(served)
        until(lambda: served.metric("num_requests_waiting") == 1)
        second.close()
        until(lambda: served.metric("num_requests_waiting") == 0)
        assert served.metric("num_requests_running") == 1
        engine.released.set()
        first.close()


def test_a_quiet_stream_has_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    made = EventStream.__call__

    async def soon(self, *given):
        object.__setattr__(self, "quiet", 0.01)
        await made(self, *given)

    monkeypatch.setattr(EventStream, "__call__", soon)
    engine = HeldEngine()
    with serving(chain("E"), engine=engine) as served:
        reader = sent(served, stream=True).makefile("rb")
        while b": the chain is running" not in reader.readline():
            pass
        engine.released.set()
        lines = []
        while b"[DONE]" not in (line := reader.readline()):
            lines.append(line.decode().strip())
        reader.close()
    assert said(events(lines))


@pytest.mark.parametrize("stream", [False, True])
def test_at_the_end_rows_in_flight_have_their_time(stream: bool) -> None:
    engine = HeldEngine()
    with running(chain("E"), engine=engine, drain=0) as url:
        connection = sent(Served(url, None), stream=stream)
        until(lambda: engine.in_flight > 0)
    answer = rest_of(connection)
    until(lambda: not engine.in_flight)
    assert b"server_ending" in answer
    assert answer.startswith(b"HTTP/1.1 200" if stream else b"HTTP/1.1 503")


@pytest.mark.parametrize("stream", [False, True])
def test_at_the_end_rows_that_are_done_in_time_are_answered(stream: bool) -> None:
    engine = HeldEngine()
    with serving(chain("E"), engine=engine, drain=PATIENCE) as served:
        connection = sent(served, stream=stream)
        until(lambda: engine.in_flight > 0)
        threading.Timer(0.2, engine.released.set).start()
    answer = rest_of(connection)
    assert b'"finish_reason"' in answer
    assert b"server_ending" not in answer


@pytest.mark.slow
def test_a_hundred_streams_at_once_have_the_answers_of_the_chain() -> None:
    assert streams(100).startswith("100 streams at once")
