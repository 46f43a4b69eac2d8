"""A server in a thread, and an engine that waits until it may go on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from attrs import frozen

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Delta, Failure
from chainlang.serving import running

PATIENCE = 120.0
"""Seconds after which a test gives up; nothing passes or fails by how fast it was before."""


class HeldEngine(FakeEngine):
    """A fake engine that finishes nothing until it is released."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.released = threading.Event()
        self.hold_after: int | None = None
        """Number of steps after which it waits again."""
        self.steps = 0
        self._lock = threading.Lock()

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        if not self.released.wait(0.001):
            return []
        with self._lock:
            if self.steps == self.hold_after:
                self.released.clear()
                return []
        self.steps += 1
        return super().step(until)

    def go_on(self) -> None:
        """Finish everything, whether it waits already or would wait later."""
        with self._lock:
            self.hold_after = None
            self.released.set()

    @property
    def in_flight(self) -> int:
        return len(self._pending) + len(self._streaming)


def until(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.002)


@frozen
class Served:
    """A running server."""

    url: str
    client: httpx2.Client

    def chat(self, text: str = "What is 17 + 25?", **fields: Any) -> httpx2.Response:
        return self.client.post("/chat/completions", json=asked(text, **fields))

    def chunks(self, text: str = "What is 17 + 25?", **fields: Any) -> list[Any]:
        """Return the events of a stream, of which the last one is the text ``[DONE]``."""
        found = self.chat(text, stream=True, **fields)
        assert found.status_code == 200, found.text
        return list(events(found.text.splitlines()))

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        lines = self.client.get(f"{self.url.removesuffix('/v1')}/metrics").text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"chainlang:{name} ", f"chainlang:{name}{{"))
        )


def asked(text: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a request for the chain that is served alone."""
    return {"model": "chain", "messages": [{"role": "user", "content": text}], **fields}


def events(lines: Iterable[str]) -> Iterator[Any]:
    for line in lines:
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


def said(chunks: Iterable[Any], field: str = "content") -> str:
    """Return the text of the chunks of a stream."""
    choices = [one["choices"][0] for one in chunks if isinstance(one, dict) and one["choices"]]
    return "".join(one["delta"].get(field, "") for one in choices)


@contextmanager
def serving(chains: Any, *, key: str | None = None, **keywords: Any) -> Iterator[Served]:
    """Serve chains in the block; `key` is what the client sends."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    with (
        running(chains, **{"drain": 1, "engine": FakeEngine(), **keywords}) as url,
        httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE) as client,
    ):
        yield Served(url, client)
