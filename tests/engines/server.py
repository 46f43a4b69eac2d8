"""A server on this machine that answers as it is told: well, badly, late or not at all."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field, frozen

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Message, Request, Sampling

Body = Mapping[str, Any]


@frozen
class Answer:
    """What goes back. The connection breaks after `cut` bytes; `stall` is in seconds."""

    body: bytes = b""
    status: int = 200
    type: str | None = "application/json"
    headers: Mapping[str, str] = field(factory=dict)
    cut: int | None = None
    stall: float = 0.0


def as_json(document: object, status: int = 200, **more: Any) -> Answer:
    return Answer(json.dumps(document).encode(), status, **more)


def chat_reply(*texts: str, finish: str = "stop", prompt: int = 7, output: int = 10) -> Any:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
        }
        for index, text in enumerate(texts)
    ]
    return {
        "choices": choices,
        "usage": {"prompt_tokens": prompt, "completion_tokens": output},
    }


def good(*texts: str, **more: Any) -> Answer:
    return as_json(chat_reply(*texts, **more))


def as_events(document: Any, *, size: int = 3, cut: int | None = None) -> Answer:
    """Answer with a chat reply as it comes: `size` characters of each sample in an event."""
    longest = max(len(one["message"]["content"]) for one in document["choices"])
    events: list[Any] = []
    for start in range(0, longest + 1, size):
        for one in document["choices"]:
            text = one["message"]["content"][start : start + size]
            last = start <= len(one["message"]["content"]) < start + size
            delta = {"content": text} if start else {"role": "assistant", "content": text}
            finish = one["finish_reason"] if last else None
            choice = {"index": one["index"], "delta": delta, "finish_reason": finish}
            events += [{"choices": [choice], "usage": None}] if text or last else []
    events.append({"choices": [], "usage": document["usage"]})
    lines = [f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events]
    body = "".join([*lines, "data: [DONE]\n\n"]).encode()
    return Answer(body, type="text/event-stream; charset=utf-8", cut=cut)


def error(
    status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Answer:
    return as_json({"error": {"message": message, **more}}, status, headers=headers or {})


def echo(body: Body) -> Answer:
    """Answer with the last message and the seed of each sample."""
    prompt = body["messages"][-1]["content"]
    seed = body.get("seed", 0)
    return good(*(f"{prompt}/{seed + index}" for index in range(body.get("n", 1))))


def one_at_a_time(body: Body) -> Answer:
    """Answer like `echo`, but with the first sample alone, as servers do that do not know `n`."""
    return echo({**body, "n": 1})


def in_turn(*answers: Answer | Callable[[Body], Answer]) -> Callable[[Body], Answer]:
    """Answer from a list, and with its last from then on."""
    left = list(answers)
    lock = threading.Lock()

    def answer(body: Body) -> Answer:
        with lock:
            found = left.pop(0) if len(left) > 1 else left[0]
        return found(body) if callable(found) else found

    return answer


_NOT_SAMPLING = frozenset(
    {"model", "messages", "seed", "n", "response_format", "stream", "stream_options"}
)


def from_engine(engine: FakeEngine) -> Callable[[Body], Answer]:
    """Answer what another engine would: a real server, as far as the protocol can tell."""

    def answer(body: Body) -> Answer:
        options = {
            name: tuple(value) if name == "stop" else value
            for name, value in {"max_tokens": engine.context, **body}.items()
            if name not in _NOT_SAMPLING
        }
        held = body.get("response_format")
        request = Request(
            id="",
            model=body["model"],
            messages=tuple(Message(one["role"], one["content"]) for one in body["messages"]),
            sampling=Sampling(**options),
            seed=body.get("seed", 0),
            count=body.get("n", 1),
            schema=held and json.dumps(held["json_schema"]["schema"]),
        )
        reply = engine.complete(request)
        if not isinstance(reply, Completion):
            return error(400, reply.message, code="context_length_exceeded")
        document = chat_reply(*(sample.text for sample in reply.samples))
        for choice, sample in zip(document["choices"], reply.samples, strict=True):
            choice["finish_reason"] = sample.finish
        usage = reply.usage
        document["usage"] = {
            "prompt_tokens": usage.prompt_tokens // usage.calls,
            "completion_tokens": usage.output_tokens,
        }
        return as_events(document) if body.get("stream") else as_json(document)

    return answer


@define(eq=False)
class Server:
    """The server, as a context. It keeps what it was asked, and what happened meanwhile.

    `first` is the answer to the empty question that a client begins with.
    """

    answer: Callable[[Body], Answer]
    first: Answer = field(factory=lambda: error(400, "messages: Field required"))
    path: str = ""
    """The path of the API; any other is unknown. Default: any path."""
    ending: str = "/chat/completions"
    """The end of the path of each request."""
    unknown: Answer = field(factory=lambda: as_json({"detail": "Not Found"}, 404))
    listed: Answer = field(factory=lambda: as_json({"data": []}))
    """The answer to the question which models there are."""
    probed: int = 0
    bodies: list[dict[str, Any]] = field(factory=list)
    headers: list[dict[str, str]] = field(factory=list)
    asked: list[dict[str, str]] = field(factory=list)
    """The headers of each question which models there are."""
    in_flight: int = 0
    most_in_flight: int = 0
    hung_up: int = 0
    """How many clients went away while they waited."""
    _lock: threading.Lock = field(factory=threading.Lock)
    _stop: threading.Event = field(factory=threading.Event)
    _http: ThreadingHTTPServer = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.bodies]

    def __enter__(self) -> Server:
        handler = type("Handler", (_Handler,), {"scripted": self})
        self._http = _Quiet(("127.0.0.1", 0), handler)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._http.shutdown()
        self._http.server_close()

    def wait_for(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, "it did not happen"
            time.sleep(0.005)

    def handle(self, body: dict[str, Any], headers: Iterable[tuple[str, str]]) -> Answer:
        with self._lock:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in headers})
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.answer(body)

    def route(self, method: str, path: str, content: bytes) -> Answer | None:
        """Answer a request to another path of the API; None for one of replies."""
        return None

    def entry(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer a request without a body, which is for its models."""
        assert path.partition("?")[0].endswith("/models")
        self.asked.append(dict(headers))
        return self.listed

    def stall(self, client: socket.socket, seconds: float) -> bool:
        """Wait; return whether the client went away meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stop.is_set():
            readable, _, _ = select.select([client], [], [], 0.01)
            if readable and not client.recv(1, socket.MSG_PEEK):
                self.hung_up += 1
                return True
        return False

    def done(self) -> None:
        with self._lock:
            self.in_flight -= 1


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    scripted: Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if (routed := self.scripted.route("POST", self.path, content)) is not None:
            self._send(routed)
            return
        assert self.path.endswith(self.scripted.ending)
        body = json.loads(content)
        if self.scripted.path and self.path != self.scripted.path:
            self._send(self.scripted.unknown)
            return
        if not body.get("messages"):
            self.scripted.probed += 1
            self._send(self.scripted.first)
            return
        answer = self.scripted.handle(body, self.headers.items())
        gone = answer.stall > 0 and self.scripted.stall(self.connection, answer.stall)
        self.scripted.done()  # before the answer: the client may ask the next while we return
        self._send(Answer(cut=0) if gone else answer)

    def do_GET(self) -> None:
        if (routed := self.scripted.route("GET", self.path, b"")) is not None:
            self._send(routed)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.scripted.entry(self.path, headers))

    def _send(self, answer: Answer) -> None:
        if answer.cut == 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        if answer.type is not None:
            self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""
