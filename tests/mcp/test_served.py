"""Chains served as tools: their schemas, their calls, and who may call them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from chainlang import Chain, chain, load, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.ir.declarations import bodies_of

pytest.importorskip("mcp")
from mcp import Client, StdioServerParameters

from chainlang.mcp import Exported, served
from chainlang.mcp.transports import KEY, app_of

FILE = """# Answers sums,
# by a vote of three.

model one = fake("one")
input {
  question: str,
  "The Language" as lang "of the answer": "en" | "de" = "en",
  query = "{{ question }}",
}
op rate : generate -> { why: str, answer: int(1..5) } {
  user = "{{ query }}"
  model = one
  temperature = 0.7
}
best = 3:rate >> M
main = 3:E:one:0.7(system="{{ lang }}") >> M
"""


def called(exported: Exported, arguments: dict[str, Any], **more: Any) -> Any:
    async def main() -> Any:
        async with Client(served([exported])) as client:
            return await client.call_tool(exported.name, arguments, **more)

    return asyncio.run(main())


@pytest.mark.filterwarnings("ignore::chainlang.errors.ChainlangWarning")  # of unused definitions
def test_schemas_are_those_of_the_input_and_the_type() -> None:
    whole = load(text=FILE)
    one = Exported("sums", whole)
    assert one.input_schema["properties"] == {
        "question": {"type": "string"},
        "The Language": {"enum": ["en", "de"], "description": "of the answer"},
    }
    assert one.input_schema["required"] == ["question"]
    assert one.output_schema["properties"]["answer"] == {"type": "string"}
    body = bodies_of(whole.items)["best"]
    best = Exported("best", Chain(body, whole.items, is_checked=True))
    assert best.output_schema["properties"]["answer"]["maximum"] == 5
    assert Exported("any", chain("J")).output_schema["properties"]["answer"] == {}


def test_a_chain_without_an_input_takes_the_query() -> None:
    exported = Exported("ask", chain("E"), settings={"engine": FakeEngine(answers={"17": "42"})})
    found = called(exported, {"query": "17 + 25?"})
    assert found.structured_content == {"answer": "42", "calls": 1}
    assert found.content[0].text == "42"
    assert not found.is_error


def test_a_row_that_fails_is_a_result_with_an_error() -> None:
    engine = FakeEngine(answers={"": "no judge"})
    found = called(Exported("ask", chain("J"), settings={"engine": engine}), {"query": "?"})
    assert found.is_error
    found = called(Exported("ask", chain("E"), settings={"engine": engine}), {"text": "?"})
    assert found.content[0].text == "the argument 'query' is missing"


def test_branches_are_apart() -> None:
    engine = FakeEngine(answers={"": "hi"})
    made = Exported("ask", chain("(a = E) | (b = 2:E)"), settings={"engine": engine})
    assert called(made, {"query": "?"}).structured_content == {
        "answer": {"a": "hi", "b": "hi"},
        "calls": 3,
    }


def test_progress_is_reported() -> None:
    seen: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    engine = FakeEngine(answers={"": "a long reply " * 20})
    made = Exported("ask", chain("E"), settings={"engine": engine})
    called(made, {"query": "?"}, progress_callback=heard)
    assert seen


def test_a_cancelled_call_ends_its_row() -> None:
    aborted: list[str] = []

    class Slow(FakeEngine):
        def abort(self, ids: Any) -> None:
            aborted.extend(ids := list(ids))
            super().abort(ids)

        def step(self, until: float | None = None) -> Any:
            return [] if not aborted else super().step(until)

    engine = Slow()
    made = Exported("ask", chain("E"), settings={"engine": engine})

    async def main() -> None:
        async with Client(served([made])) as client:
            task = asyncio.create_task(client.call_tool("ask", {"query": "?"}))
            while not engine.submitted:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while not aborted:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 120))
    assert aborted


def test_many_clients_share_engines() -> None:
    engine = FakeEngine(answers=lambda request, _: request.messages[-1].text[-1])
    made = served([Exported("ask", chain("3:E >> M"), settings={"engine": engine})])

    async def main() -> list[Any]:
        async with Client(made) as one, Client(made) as two:
            calls = [
                client.call_tool("ask", {"query": str(number)})
                for number in range(10)
                for client in (one, two)
            ]
            return await asyncio.gather(*calls)

    found = asyncio.run(main())
    assert [one.structured_content["answer"] for one in found] == [
        str(number) for number in range(10) for _ in range(2)
    ]


@pytest.mark.slow
def test_the_command_serves_a_file_over_stdin_and_stdout(tmp_path: Path) -> None:
    (tmp_path / "sums.chain").write_text(FILE)
    command = ["-m", "chainlang", "mcp", str(tmp_path / "sums.chain"), "--tool", "best"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}

    async def main() -> tuple[Any, Any]:
        target = StdioServerParameters(command=sys.executable, args=command, env=environment)
        async with Client(target, read_timeout_seconds=120) as client:
            tools = (await client.list_tools()).tools
            return tools, await client.call_tool("best", {"question": "17 + 25?"})

    tools, found = asyncio.run(main())
    assert [one.name for one in tools] == ["sums", "best"]
    assert tools[0].description == "Answers sums, by a vote of three."
    assert 1 <= found.structured_content["answer"] <= 5


# ---------------------------------------------------------------- over HTTP


def response(app: Any, **headers: str) -> int:
    import httpx2

    first = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepted = {"accept": "application/json, text/event-stream", **headers}

    async def main() -> int:
        inner = getattr(app, "inner", app)
        async with inner.router.lifespan_context(inner):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport) as client:
                url = "http://127.0.0.1:8765/mcp"
                found = await client.post(url, json=first, headers=accepted)
                return int(found.status_code)

    return asyncio.run(main())


def ask() -> Any:
    return served([Exported("ask", chain("E"), settings={"engine": FakeEngine()})])


def test_a_request_has_to_name_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    assert response(app_of(ask(), "127.0.0.1"), host="evil.example:8765") == 421
    assert response(app_of(ask(), "127.0.0.1"), origin="http://evil.example") == 403
    assert response(app_of(ask(), "127.0.0.1")) not in (401, 403, 421)


def test_other_machines_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(ChainlangError, match="there is no key"):
        app_of(ask(), "0.0.0.0")
    monkeypatch.setenv(KEY, "s3cret")
    assert response(app_of(ask(), "127.0.0.1")) == 401
    assert response(app_of(ask(), "127.0.0.1"), authorization="Bearer other") == 401
    assert response(app_of(ask(), "127.0.0.1"), authorization="Bearer s3cret") != 401


class Asked(BaseModel):
    text: str
    words: int = 50


def test_the_fields_of_a_class_are_arguments() -> None:
    made = chain(op("say", user="{{ text }} {{ words }}"), input=Asked)
    schema = Exported("say", made).input_schema
    assert set(schema["properties"]) == {"text", "words"}
    assert schema["required"] == ["text"]
