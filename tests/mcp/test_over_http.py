"""A chain calls a chain: the one is served over HTTP, and a tool of the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError
from chainlang.models.approval import approve, changes
from chainlang.settings import CallSettings

pytest.importorskip("mcp")
import uvicorn

from chainlang.mcp import Exported, served
from chainlang.mcp.transports import KEY, app_of

FILE = """
server sums = mcp("http://127.0.0.1:PORT/mcp"SETTINGS)
op ask : tool -> { answer: str, calls: int } {
  server = sums
  tool = "sums"
  args = { query = "{{ query }}" }
}
main = 2:ask >> M
"""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve a chain with a key, and yield the port."""
    monkeypatch.setenv(KEY, "s3cret")
    engine = FakeEngine(answers=lambda request, _: request.messages[-1].text[-1])
    long = FakeEngine(answers={"": "x" * 4_000})
    exported = [
        Exported("sums", chain("3:E >> M"), settings={"engine": engine}),
        Exported("long", chain("E"), settings={"engine": long}),
    ]
    config = uvicorn.Config(
        app_of(served(exported), "127.0.0.1"), port=0, log_level="critical", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def written(folder: Path, port: int, settings: str) -> Path:
    path = folder / "x.chain"
    path.write_text(FILE.replace("PORT", str(port)).replace("SETTINGS", settings))
    return path


def approved(path: Path) -> Any:
    made = load(path)
    for one in changes(made.items, CallSettings.of({})):
        approve(one)
    return made


def test_a_chain_calls_a_chain(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINLANG_SUMS_KEY", "s3cret")
    made = approved(written(tmp_path, port, ', api_key=env("CHAINLANG_SUMS_KEY")'))
    rows = [{"id": str(one), "query": str(one)} for one in range(20)]
    found = list(made.map(rows))
    assert [one.answer for one in found] == [str(one % 10) for one in range(20)]
    assert [one.usage.calls for one in found] == [2] * 20


def test_a_key_is_needed_and_a_long_result_is_refused(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="the tools of sums can't be listed"):
        approved(written(tmp_path, port, ""))
    monkeypatch.setenv("CHAINLANG_SUMS_KEY", "s3cret")
    path = written(tmp_path, port, ', api_key=env("CHAINLANG_SUMS_KEY"), max_bytes=1000')
    path.write_text(path.read_text().replace('tool = "sums"', 'tool = "long"'))
    (found,) = approved(path).map(["?"], on_error="collect")
    assert found.failure.cause == "function"
    assert "more than max_bytes=1000" in found.failure.message
    assert "s3cret" not in str(found.failure)


def test_an_address_elsewhere_has_to_be_allowed(tmp_path: Path) -> None:
    path = written(tmp_path, 1, "")
    path.write_text(path.read_text().replace("http://127.0.0.1:1", "https://tools.example.com"))
    with pytest.raises(EngineError, match="not an allowed host"):
        approved(path)
