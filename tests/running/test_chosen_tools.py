"""Models that call tools: rounds, events, failures, what is recorded, and what passes leave."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chainlang import ChainlangError, E, chain, load, op
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.errors import EngineError, MeaningError, OperandError, RowError
from chainlang.protocol.messages import Request, ToolSpec


class Weather:
    """Tools that note their calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def weather(self, city: str, days: int = 1) -> str:
        """Return the forecast of a city."""
        self.calls.append(("weather", city))
        if city == "Atlantis":
            raise LookupError("no such city")
        return f"sunny in {city}" * days

    async def degrees(self, city: str) -> dict[str, int]:
        """Return the degrees of a city."""
        self.calls.append(("degrees", city))
        await asyncio.sleep(0)
        return {"degrees": 3}


def call(name: str, /, **arguments: Any) -> Reply:
    return Reply(calls=[(name, arguments)])


BERN = {
    "How is it in": call("weather", city="Bern"),
    "sunny in Bern": "It is sunny.",
    "error": "I do not know.",
    "degrees": "It has 3 degrees.",
}


def test_a_result_is_sent_back_and_the_last_reply_is_the_candidate() -> None:
    tools = Weather()
    made = E("m", 2, 0.7, tools=[tools.weather, tools.degrees])
    assert str(made) == '2:E:m:0.7(tools=["weather", "degrees"])'
    result = made("How is it in Bern?", engine=FakeEngine(answers=BERN))
    assert result["responses"] == ["It is sunny.", "It is sunny."]
    assert tools.calls == [("weather", "Bern")] * 2
    assert result.usage.calls == 4
    said = result.candidates[0].messages
    assert [one.role for one in said] == ["user", "assistant", "tool"]
    assert said[1].calls[0].id == said[2].call_id
    assert said[2].text == "sunny in Bern"
    assert [(one.kind, one.sample) for one in result.events] == [("tool", 0), ("tool", 1)]
    assert result.events[0].message == 'weather({"city": "Bern"}): sunny in Bern'
    assert [one.role for one in result.candidates[0].conversation] == ["user", "assistant"]


def test_the_request_has_names_descriptions_and_schemas() -> None:
    seen: list[Request] = []

    def answer(request: Request, index: int) -> str:
        seen.append(request)
        return "no"

    E("m", tools=Weather().weather)("q", engine=FakeEngine(answers=answer))
    assert seen[0].tools == (
        ToolSpec("weather", "Return the forecast of a city.", seen[0].tools[0].parameters),
    )
    assert json.loads(seen[0].tools[0].parameters) == {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (call("weather"), "city: Missing required argument"),
        (call("weather", city="Bern", when=1), "when: Unexpected keyword argument"),
        (call("weather", city="Bern", days="many"), "days: Input should be a valid integer"),
        (call("wether", city="Bern"), "there is no such tool; there are: weather"),
        (Reply(calls=[("weather", "{")]), "the arguments are not JSON"),
        (Reply(calls=[("weather", "[1]")]), "the arguments are not a JSON object"),
        (call("weather", city="Atlantis"), "LookupError: no such city"),
    ],
)
def test_a_wrong_call_is_answered_with_its_error_and_counted(reply: Reply, said: str) -> None:
    answers = {"How is it": reply, "error: ": "I do not know."}
    made = E("m", tools=Weather().weather)
    result = made("How is it?", engine=FakeEngine(answers=answers))
    assert result.answer == "I do not know."
    (event,) = result.events
    assert event.kind == "tool_error"
    assert said in event.message
    assert said in result.candidates[0].messages[-1].text


def test_several_calls_of_a_reply_run_together_and_keep_their_order() -> None:
    tools = Weather()
    several = [("degrees", {"city": "Bern"}), ("weather", {"city": "Bern"})]
    answers = {"How is it": Reply("Let me see.", calls=several), "sunny": "Both."}
    made = E("m", tools=[tools.weather, tools.degrees])
    result = made("How is it?", engine=FakeEngine(answers=answers))
    assert result.answer == "Both."
    texts = [one.text for one in result.candidates[0].messages]
    assert texts == ["How is it?", "Let me see.", '{"degrees": 3}', "sunny in Bern"]
    many = Reply(calls=[("weather", {"city": "Bern"})] * 40)
    answers = {"How is it": many, "at most 32": "Too many."}
    result = made("How is it?", engine=FakeEngine(answers=answers))
    assert result.answer == "Too many."
    assert sum(one.kind == "tool_error" for one in result.events) == 8


def test_rounds_are_bounded_and_end_with_a_cause_of_their_own() -> None:
    tools = Weather()
    again = FakeEngine(answers=lambda request, index: call("weather", city="Bern"))
    with pytest.raises(RowError, match=r"called tools in each of its 2 rounds.*tool_rounds="):
        E("m", tools=tools.weather, tool_rounds=2)("q", engine=again)
    assert len(tools.calls) == 2
    result = E("m", tools=tools.weather)("q", engine=again, on_error="collect")
    assert result.failure is not None
    assert result.failure.cause == "tools"
    assert len(tools.calls) == 10  # the default is 8 rounds
    fall = chain('fallback(E:m(tools="weather", tool_rounds=1), E:other, on="tools")')
    both = {"m": again, "other": FakeEngine(answers={"q": "plain"})}
    assert fall.bind(weather=tools.weather)("q", engine=both).answer == "plain"


def test_a_retried_sample_calls_its_tools_again() -> None:
    tools = Weather()
    made = chain('retry(E:m:1(tools="weather", max_tokens=4), times=2)').bind(weather=tools.weather)
    answers = {"How is it": call("weather", city="Bern"), "sunny": ["x" * 99, "fine"]}

    def answer(request: Request, index: int) -> Any:
        if request.messages[-1].role == "tool":
            return "x" * 99 if len(tools.calls) == 1 else "fine"
        return answers["How is it"]

    result = made("How is it?", engine=FakeEngine(answers=answer))
    assert result.answer == "fine"
    assert len(tools.calls) == 2
    assert [one.kind for one in result.events] == ["tool", "cut", "retry", "tool"]


def test_text_file_and_python_give_the_same_chain() -> None:
    tools = Weather()
    text = (
        'op ask : generate { user = "{{ query }}" tools = ["weather"] tool_rounds = 3 }\nmain = ask'
    )
    made = load(text=text, functions={"weather": tools.weather})
    ours = op("ask", user="{{ query }}", tools=["weather"], tool_rounds=3)
    assert made == ours.as_chain()
    assert made("How is it in Bern?", engine=FakeEngine(answers=BERN)).answer == "It is sunny."
    assert load(text=str(made), functions={"weather": tools.weather}) == made
    for one in (chain('E(tools="weather", tool_rounds=3)'), E(tools="weather", tool_rounds=3)):
        assert one.bind(weather=tools.weather)("How is it in", engine=FakeEngine(answers=BERN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('E(tools=["weathr"])', r"(?s)the tool 'weathr' is not bound.*\^.*bind it"),
        ('E(tools=["weather", "wether"])', r"(?s)the tool 'wether'.*\^.*did you mean 'weather'"),
        ('E(tools=["weather", "weather"])', "a list of different names"),
        ('E(tools="weather", tool_rounds=65)', "a whole number from 1 to 64, found 65"),
        ("E(tool_rounds=3)", "tool_rounds= has no effect: 'E' has no tools"),
        ('M(tools="weather")', "unknown option 'tools' of M"),
    ],
)
def test_what_is_wrong_with_tools_has_a_caret(text: str, said: str) -> None:
    functions = {"weather": Weather().weather} if '"weather"' in text else {}
    with pytest.raises(MeaningError, match=said):
        chain(text, functions=functions).program()


def test_functions_that_a_model_cannot_call_are_refused() -> None:
    def star(*cities: str) -> str:
        return ""

    def typed(what: object(), /) -> str:  # type: ignore[valid-type]
        return ""

    with pytest.raises(OperandError, match=r"the tool star\(\) takes '\*cities: str'"):
        E(tools=star)
    with pytest.raises(OperandError, match=r"the tool typed\(\)"):
        E(tools=typed)
    with pytest.raises(MeaningError, match="the name of a tool in quotes"):
        E(tools=[lambda city: city])


def test_an_engine_without_tools_refuses_before_the_first_row() -> None:
    from attrs import evolve

    class Without(FakeEngine):
        @property
        def capabilities(self) -> Any:
            return evolve(super().capabilities, name="plain", tools=False)

    class Untyped(FakeEngine):
        @property
        def capabilities(self) -> Any:
            return evolve(super().capabilities, name="plain", typed_tools=False)

    tools = Weather()
    with pytest.raises(EngineError, match="the plain engine can't give 'm' the tools of E"):
        list(E("m", tools=tools.weather).map(["q"], engine=Without()))
    typed = op("ask", user="{{ query }}", returns="{ a: int }", tools="weather")
    typed = typed.as_chain().bind(weather=tools.weather)
    with pytest.raises(EngineError, match="tools and hold its reply to the type of ask"):
        list(typed.map(["q"], engine=Untyped()))
    assert not tools.calls


def test_typed_stages_call_tools_too() -> None:
    tools = Weather()
    typed = op("ask", user="{{ query }}", returns="{ a: int }", tools="weather").as_chain()
    answers = {"How is it": call("weather", city="Bern"), "sunny": '{"a": 3}'}
    result = typed.bind(weather=tools.weather)("How is it?", engine=FakeEngine(answers=answers))
    assert result.answer == {"a": 3}


def test_a_resumed_run_repeats_no_recorded_call(tmp_path: Any) -> None:
    tools, rows = Weather(), [f"How is it in Bern, {number}?" for number in range(6)]
    stopped: list[int] = []

    def answer(request: Request, index: int) -> Any:
        if request.messages[-1].role != "tool":
            return call("weather", city="Bern")
        if len(tools.calls) == 3 and not stopped:
            stopped.append(1)
            raise RuntimeError("the machine is gone")
        return "fine"

    made = E("m", tools=tools.weather)
    engine = FakeEngine(answers=answer)
    with pytest.raises(RuntimeError, match="the machine is gone"):
        made.run(rows, tmp_path / "run", engine=engine, window=1)
    summary = made.run(rows, tmp_path / "run", engine=engine, window=1)
    assert summary.rows == 6
    assert len(tools.calls) == 6
    again = made.run(rows, tmp_path / "run", engine=engine, window=1)
    assert again.rows == 6
    assert len(tools.calls) == 6


def test_the_cache_of_other_runs_holds_no_results_of_tools(tmp_path: Any) -> None:
    tools, engine = Weather(), FakeEngine(answers=BERN)
    made = E("m", tools=tools.weather)
    for _ in range(2):
        settings = {"engine": engine, "cache": "write", "cache_folder": tmp_path}
        assert made("How is it in Bern?", **settings).answer == "It is sunny."
    assert len(tools.calls) == 2
    assert engine.metrics.requests == 2


def test_passes_leave_calls_as_they_are() -> None:
    tools = Weather()
    made = chain('5:E:m:1(tools="weather") >> M').bind(weather=tools.weather)
    rows = ["How is it in Bern?"] * 3
    found = [one.answer for one in made.map(rows, engine=FakeEngine(answers=BERN))]
    assert found == ["It is sunny."] * 3
    assert len(tools.calls) == 15
    page = str(made.explain())
    assert "weather may have side effects" in page
    assert "tools=weather  up to 8 rounds" in page
    assert "5 to 45" in page


def test_streams_and_async_calls_have_the_last_reply() -> None:
    made = E("m", tools=Weather().weather)
    engine = FakeEngine(answers=BERN)
    assert "".join(map(str, made.stream("How is it in Bern?", engine=engine))) == "It is sunny."
    assert asyncio.run(made.acall("How is it in Bern?", engine=engine)).answer == "It is sunny."


def test_a_budget_of_a_row_counts_the_replies() -> None:
    made = E("m", tools=Weather().weather)
    result = made("How is it in", engine=FakeEngine(answers=BERN), row_calls=1, on_error="collect")
    assert result.failure is not None
    assert result.failure.cause == "budget"
    assert made("How is it in", engine=FakeEngine(answers=BERN), row_calls=2).ok


def test_two_functions_of_one_name_are_not_put_together() -> None:
    def other() -> Any:
        def weather(city: str) -> str:
            return city

        return weather

    with pytest.raises(ChainlangError, match="bind the tool 'weather' to different functions"):
        _ = E(tools=other()) >> E(tools=other())


def test_the_sandbox_is_a_tool() -> None:
    answers = {
        "17 + 25": call("code", program="print(17 + 25)"),
        "42": "It is 42.",
        "1 / 0": call("code", program="1 / 0"),
        "ZeroDivision": "It has no value.",
    }
    made, engine = chain('E:m(tools="code")'), {"m": FakeEngine(answers=answers)}
    result = made("17 + 25?", engine=engine)
    assert result.answer == "It is 42."
    assert json.loads(result.candidates[0].messages[-1].text)["stdout"] == "42\n"
    assert made("1 / 0?", engine=engine).answer == "It has no value."
    of_file = load(text='op run : code { seconds = 1 }\nmain = E:m(tools="run")')
    engine = {"m": FakeEngine(answers={"42": "It is 42.", "17": call("run", program="42")})}
    assert of_file("17 + 25?", engine=engine).answer == "It is 42."
    reading = load(text='op run : code { tests = "{{ tests }}" }\nmain = E:m(tools="run")')
    with pytest.raises(MeaningError, match="'run' reads tests, and as a tool has no row"):
        reading({"query": "17", "tests": ""}, engine=engine)


SHOP = """
server shop = mcp("shop")
op plus : tool { server = shop tool = "add" }
main = E:m(tools=["plus"])
"""


def test_a_tool_of_a_server_is_a_tool_with_its_own_schema() -> None:
    pytest.importorskip("mcp")
    from mcp.server import MCPServer

    from chainlang.engines.mcp import McpEngine

    server = MCPServer("shop", log_level="CRITICAL")
    called: list[int] = []

    @server.tool(description="Return a sum.")
    def add(a: int, b: int) -> int:
        called.append(a)
        if a == 0:
            raise ValueError("not zero")
        return a + b

    seen: list[ToolSpec] = []

    def answer(request: Request, index: int) -> Any:
        seen.extend(request.tools)
        said = request.messages[-1]
        if said.role == "tool":
            return said.text
        return call("plus", a=int(said.text) if said.text.isdecimal() else said.text, b=25)

    engines = {"m": FakeEngine(answers=answer), "shop": McpEngine(server)}
    made = load(text=SHOP)
    assert made("17", engine=engines).answer == "42"
    assert (seen[0].name, seen[0].description) == ("plus", "Return a sum.")
    assert json.loads(seen[0].parameters)["required"] == ["a", "b"]
    assert made("x", engine=engines).answer == "error: arguments of another type: a"
    assert called == [17]
    assert "add failed" in made("0", engine=engines).answer
    with pytest.raises(MeaningError, match="'plus' has args, and the model that calls it"):
        load(text=SHOP.replace('"add"', '"add" args = { a = 1 }'))("17", engine=engines)
    with pytest.raises(EngineError, match=r"(?s)no tool 'ad'.*it has: add"):
        load(text=SHOP.replace('"add"', '"ad"'))("17", engine=engines)


def test_an_op_that_asks_a_model_is_no_tool() -> None:
    text = 'op ask : generate { user = "{{ query }}" }\nmain = E(tools="ask") >> ask'
    with pytest.raises(
        MeaningError, match=r"(?s)the op 'ask' asks a model.*\^.*function of Python"
    ):
        load(text=text).program()


def test_a_traced_function_and_branches_take_such_stages_as_any_other() -> None:
    from chainlang import M, trace

    tools = Weather()

    @trace
    def asked(query: str) -> Any:
        drafts = E("m", 2, 0.7, tools=[tools.weather])(query)  # type: ignore[call-overload]
        return M(drafts)

    assert str(asked) == '(drafts = 2:E:m:0.7(tools="weather")) >> M'
    assert asked("How is it in Bern?", engine=FakeEngine(answers=BERN)).answer == "It is sunny."
    both = E("m", tools=tools.weather) | E("m")
    found = both("How is it in Bern?", engine=FakeEngine(answers=BERN), on_error="collect")
    assert found.branches["0"].answer == "It is sunny."
    assert "the stage has none" in str(found.branches["1"].error)
