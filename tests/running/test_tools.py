"""Chains that call tools: each call is made, once, and its result is a value of the run."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.ir.declarations import bodies_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from tests.laws import fewer

pytest.importorskip("mcp")
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from chainlang.engines.mcp import McpEngine

FILE = """
server shop = mcp("shop")
op buy : tool {
  server = shop
  tool = "buy"
  args = { item = "{{ query }}", of = { n = "{{ number }}" } }
}
op size : tool -> { n: int } {
  server = shop
  tool = "size"
  args = { text = "{{ candidate.answer }}" }
  pure = true
}
"""


class Shop:
    """A server of this program that counts its calls."""

    def __init__(self) -> None:
        self.bought: list[tuple[str, Any]] = []
        self.keys: list[Any] = []
        self.sizes: Counter[str] = Counter()
        self.fails = False
        server = MCPServer("shop", log_level="CRITICAL")

        @server.tool(structured_output=False)
        async def buy(item: str, of: dict[str, Any], context: Context) -> str:
            if self.fails:
                raise ValueError("closed")
            self.bought.append((item, of["n"]))
            self.keys.append((context.request_context.meta or {}).get("chainlang.idempotency-key"))
            return f"{item} no. {len(self.bought)}"

        @server.tool()
        def size(text: str) -> dict[str, int]:
            self.sizes[text] += 1
            return {"n": len(text)}

        self.engine = McpEngine(server, name="shop")


@pytest.fixture
def shop() -> Any:
    made = Shop()
    yield made
    made.engine.close()


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": str(one), "query": f"book {one % 5}", "number": one} for one in range(count)]


def test_six_hundred_calls_over_one_session(shop: Shop) -> None:
    chain = load(text=f"{FILE} main = 2:buy >> size")
    count = fewer(200, 70)
    found = list(chain.map(rows(count), engine=shop.engine, window=64))
    assert len(found) == count
    assert all(one.ok for one in found)
    assert len(shop.bought) == 2 * count  # equal arguments, too: each may have an effect
    assert sorted(one for _, one in shop.bought) == sorted([*range(count)] * 2)  # still numbers
    assert len(set(shop.keys)) == 2 * count
    assert None not in shop.keys


def test_a_pure_tool_is_called_once_for_equal_arguments(shop: Shop) -> None:
    chain = load(
        text="server shop = mcp('shop') op size : tool { server = shop tool = 'size' "
        "args = { text = '{{ query }}' } pure = true } main = size & size"
    )
    found = list(chain.map(rows(20), engine=shop.engine))
    assert {one.answer for one in found} == {'{\n  "n": 6\n}'}
    assert shop.sizes == {f"book {one}": 1 for one in range(5)}


def test_no_pass_drops_moves_or_stops_calls(shop: Shop) -> None:
    chain = load(text=f"{FILE} main = (a = E:fake) >> 9:buy >> M >> E:fake(fresh=true)")
    engines = {"shop": shop.engine, "fake": FakeEngine()}
    plan = str(chain.explain(engine=engines, outputs=["answer"]))
    assert "not buy: buy may have side effects" in plan
    assert "not equal rows: buy may have side effects" in plan
    assert "effects  together" not in plan
    assert "effects  starts with" not in plan
    chain({"query": "a", "number": 1}, engine=engines, outputs=["answer"])
    assert len(shop.bought) == 9


def test_a_resumed_run_repeats_no_call_that_is_recorded(shop: Shop, tmp_path: Path) -> None:
    chain = load(text=f"{FILE} main = buy >> J:fake")
    broken = True

    def judge(*_: object) -> str | None:
        return "no judge" if broken else None

    engines = {"shop": shop.engine, "fake": FakeEngine(answers=judge)}
    first = chain.run(rows(10), tmp_path / "run", engine=engines)
    assert (first.failed, len(shop.bought)) == (10, 10)
    broken = False
    again = chain.run(rows(10), tmp_path / "run", engine=engines, retry_failed=True)
    assert (again.failed, len(shop.bought)) == (0, 10)
    text = (tmp_path / "run" / "metadata.json").read_text()
    assert "mcp" in json.loads(text)["models"]["shop"]["fingerprint"]["engine"]


def test_the_key_of_a_call_is_that_of_its_run(shop: Shop, tmp_path: Path) -> None:
    chain = load(text=f"{FILE} main = buy")
    for name in ("one", "two"):
        chain.run(rows(3), tmp_path / name, engine=shop.engine)
    assert len(set(shop.keys)) == 6  # another run has other effects
    before, shop.keys[:] = {*shop.keys[:3]}, []
    connection = sqlite3.connect(tmp_path / "one" / "journal.sqlite")
    connection.execute("DELETE FROM samples")  # as if a crash had come before they were recorded
    connection.execute("DELETE FROM notes WHERE name != 'mark' AND name != 'run'")
    connection.commit()
    connection.close()
    for path in (tmp_path / "one").glob("*/*.jsonl"):
        path.unlink()
    chain.run(rows(3), tmp_path / "one", engine=shop.engine)
    assert {*shop.keys} == before


def test_the_cache_of_other_runs_answers_no_call_with_effects(shop: Shop, tmp_path: Path) -> None:
    chain = load(text=f"{FILE} main = buy >> size")
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path / "cache"}
    for cache in ("write", "write"):
        settings["cache"] = cache
        assert chain({"query": "a", "number": 1}, engine=shop.engine, **settings).ok
    assert len(shop.bought) == 2
    assert len(shop.sizes) == 2  # of "a no. 1" and "a no. 2"


def test_a_tool_that_fails_is_repeated_by_retry_alone(shop: Shop) -> None:
    shop.fails = True
    chain = load(text=f"{FILE} main = fallback(retry(buy, times=3, on=['function']), E:fake)")
    engines = {"shop": shop.engine, "fake": FakeEngine(answers=lambda *_: "sold out")}
    found = chain({"query": "a", "number": 1}, engine=engines)
    assert found.answer == "sold out"
    assert any("buy failed" in one.message for one in found.events)


def test_the_reference_interpreter_agrees(shop: Shop) -> None:
    chain = load(text=f"{FILE} main = 2:buy >> size >> M(by='n')")

    def complete(request: Any) -> Any:
        shop.engine.submit([request])
        while not (found := shop.engine.step()):
            pass
        return found[0]

    row = {"query": "abc", "number": 7}
    record = Record(row, "1", "abc")
    items = chain.items
    body = bodies_of(chain.file.items)["main"]
    oracle = interpret(body, record, complete, declared=items)
    shop.bought.clear()
    found = chain(row, engine=shop.engine)
    assert isinstance(oracle, Record)
    assert found["n"] == oracle.candidates[0].fields["n"] == len("abc no. 1")


def test_values_of_rows_are_no_templates(shop: Shop) -> None:
    chain = load(text=f"{FILE} main = buy")
    hostile = '"}, "x": {{ 7 * 7 }} {% for a in b %} \u202e'
    chain({"query": hostile, "number": {"deep": [1, None]}}, engine=shop.engine)
    assert shop.bought == [(hostile, {"deep": [1, None]})]


VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-(2**53), 2**53)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(strategies.characters(codec="utf-8")),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(VALUES, strategies.text(strategies.characters(codec="utf-8")))
def test_arguments_are_the_values_of_the_row(value: Any, text: str) -> None:
    seen: list[Any] = []

    def heard(request: Any, _: int) -> str:
        seen.append(json.loads(request.messages[-1].text))
        return "ok"

    chain = load(
        text="server s = mcp('s') op echo : tool { server = s tool = 'echo' args = "
        "{ whole = '{{ value }}', part = 'a {{ text }} b', deep = { it = ['{{ value }}', 1] } } } "
        "main = echo"
    )
    chain({"value": value, "text": text}, engine=FakeEngine(answers=heard))
    assert seen == [{"whole": value, "part": f"a {text} b", "deep": {"it": [value, 1]}}]
