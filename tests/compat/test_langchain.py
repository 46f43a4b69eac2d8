"""Chains among LangChain's runnables and LangGraph's nodes, and both of them inside chains."""

from __future__ import annotations

import asyncio
import json
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from chainlang import ChainlangError, E, chain, function, load
from chainlang.compat.langchain import as_node, as_runnable, as_stage
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, SettingError
from chainlang.runtime import run_loop
from chainlang.session import session

QA = "3:E >> M"
TYPED = """
input { text: str, n: int(1..5) = 3 }
op found : generate -> { place: str, sure: bool } { user = "{{ text }} {{ n }}" }
main = found
"""


class State(TypedDict, total=False):
    question: str
    answer: Any
    sure: Any
    log: Annotated[list[str], operator.add]


def engine(**more: Any) -> FakeEngine:
    return FakeEngine(answers={"17 + 25": "42", "What": "Hello, you."}, **more)


def graph(*nodes: Any, **compiled: Any) -> Any:
    """Return a graph of nodes one after another."""
    made, before = StateGraph(State), START
    for number, node in enumerate(nodes):
        name = f"node{number}"
        made.add_node(
            name,
            node,
            retry_policy=RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False),
        )
        made.add_edge(before, name)
        before = name
    return made.compile(**compiled)


# ---------------------------------------------------------------- a runnable


def test_a_chain_composes_with_runnables_in_every_way_of_running() -> None:
    whole = (
        PromptTemplate.from_template("{q}?")
        | as_runnable(QA, engine=engine())
        | RunnableLambda(lambda answer: f"{answer}!")
    )
    given = {"q": "17 + 25"}
    assert whole.invoke(given) == "42!"
    assert asyncio.run(whole.ainvoke(given)) == "42!"
    assert whole.batch([given] * 3) == ["42!"] * 3
    assert asyncio.run(whole.abatch([given] * 2)) == ["42!"] * 2
    assert "".join(whole.stream(given)) == "42!"
    both = RunnableParallel(a=as_runnable(QA, engine=engine()), b=RunnableLambda(len))
    assert both.invoke("17 + 25?") == {"a": "42", "b": 8}


@pytest.mark.slow
def test_a_batch_of_a_thousand_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def counting(prepared: Any, rows: Any, **more: Any) -> Any:
        begun.append(prepared.window)
        return run_loop.run(prepared, rows, **more)

    monkeypatch.setattr(session, "run", counting)
    fake = FakeEngine(answers=lambda request, index: request.messages[-1].text[:4])
    runnable = as_runnable("E", engine=fake)
    inputs = [f"{number:04}" for number in range(1000)]
    assert runnable.batch(inputs, {"max_concurrency": 500}) == inputs
    assert asyncio.run(runnable.abatch(inputs, {"max_concurrency": 100})) == inputs
    assert begun == [500, 100]
    assert fake.metrics.requests == 2000


def test_a_failed_row_of_a_batch_is_at_its_place() -> None:
    def picky(answer: str) -> str:
        if answer == "42":
            raise ValueError("not this one")
        return answer

    runnable = as_runnable(chain("E") >> picky, engine=engine())
    found = runnable.batch(["What?", "17 + 25?", "What?"], return_exceptions=True)
    assert found[0] == found[2] == "Hello, you."
    assert isinstance(found[1], RowError)
    with pytest.raises(RowError, match=r"error\[row\].*\n.*picky failed|picky failed: ValueError"):
        runnable.batch(["What?", "17 + 25?"])


def test_one_text_is_streamed_and_anything_else_comes_at_once() -> None:
    runnable = as_runnable("E", engine=engine())
    assert list(runnable.stream("What?")) == ["Hell", "o, y", "ou."]

    async def every(given: str) -> list[Any]:
        return [piece async for piece in runnable.astream(given)]

    assert asyncio.run(every("What?")) == ["Hell", "o, y", "ou."]
    assert list(as_runnable("3:E", engine=engine()).stream("What?")) == ["Hello, you."]
    typed = as_runnable(load(text=TYPED), engine=FakeEngine())
    assert [set(one) for one in typed.stream({"text": "a"})] == [{"place", "sure"}]
    retried = as_runnable("retry(E, times=2)", engine=engine())
    assert list(retried.stream("What?")) == ["Hello, you."]


def test_inputs_are_rows_texts_prompts_and_messages() -> None:
    runnable = as_runnable("E", engine=engine())
    one = ChatPromptTemplate.from_messages([("human", "17 + 25?")])
    for given in ("17 + 25?", {"query": "17 + 25?"}, HumanMessage("17 + 25?"), one.invoke({})):
        assert runnable.invoke(given) == "42"
    several = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "17 + 25?")])
    with pytest.raises(ChainlangError, match="a prompt of 2 messages"):
        (several | runnable).invoke({})


def test_branches_are_an_object_of_their_answers() -> None:
    runnable = as_runnable("(a = E) | (b = 3:E >> M)", engine=engine())
    assert runnable.invoke("17 + 25?") == {"a": "42", "b": "42"}
    assert runnable.get_output_jsonschema()["type"] == "object"


def test_schemas_are_those_of_the_input_and_of_the_result() -> None:
    runnable = as_runnable(load(text=TYPED), engine=FakeEngine())
    text, row = runnable.get_input_jsonschema()["anyOf"]
    assert text == {"type": "string"}
    assert row["required"] == ["text"]
    assert row["properties"]["n"] == {
        "type": "integer", "minimum": 1, "maximum": 5, "default": 3,
    }  # fmt: skip
    answer = runnable.get_output_jsonschema()
    assert answer["properties"] == {"place": {"type": "string"}, "sure": {"type": "boolean"}}
    assert runnable.get_input_schema().model_validate({"text": "a"})
    with pytest.raises(ValueError, match="n: "):
        runnable.get_input_schema().model_validate({"text": "a", "n": 9})


def test_a_picture_has_the_stages() -> None:
    whole = RunnableLambda(str) | as_runnable(
        "(a = E & b = E:small) >> J >> loop(V, until=\"verdict == 'correct'\", max=2)"
    )
    drawn = whole.get_graph().draw_mermaid()
    assert [name in drawn for name in ("(E)", "E  small", "(J)", "(V)")] == [True] * 4
    edges = {(one.source, one.target) for one in as_runnable("E >> E >> M").get_graph().edges}
    assert {("E", "E (2)"), ("E (2)", "M")} <= edges


class Seen(BaseCallbackHandler):
    def __init__(self) -> None:
        self.started: list[tuple[str, Any]] = []
        self.ended: list[Any] = []
        self.failed: list[str] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
        self.started.append((more["name"], more["metadata"].get("job")))

    def on_chain_end(self, outputs: Any, **more: Any) -> None:
        self.ended.append(outputs)

    def on_chain_error(self, error: BaseException, **more: Any) -> None:
        self.failed.append(type(error).__name__)


@pytest.mark.parametrize("is_async", [False, True])
def test_callbacks_and_metadata_reach_the_runnables_inside(is_async: bool) -> None:
    seen = Seen()
    inner = as_stage(RunnableLambda(str.upper, name="inside"), "louder")
    runnable = as_runnable(E() >> inner, engine=engine())
    config: Any = {"callbacks": [seen], "metadata": {"job": 7}, "run_name": "outside"}
    given = "What?"
    found = (
        asyncio.run(runnable.ainvoke(given, config)) if is_async else runnable.invoke(given, config)
    )
    assert found == "HELLO, YOU."
    assert seen.started == [("outside", 7), ("inside", 7)]
    assert seen.ended == ["HELLO, YOU."] * 2


def test_what_a_runnable_does_not_take_is_said_at_once() -> None:
    with pytest.raises(SettingError, match="a runnable takes no 'on_error'"):
        as_runnable(QA, on_error="collect")
    with pytest.raises(SettingError, match="did you mean 'window'"):
        as_runnable(QA, winow=3)
    with pytest.raises(ChainlangError, match="takes no 'stop' beside its input"):
        as_runnable(QA, engine=engine()).invoke("What?", stop=["a"])
    with pytest.raises(ChainlangError, match="unknown stage type"):
        as_runnable("3:EE >> M")


@pytest.mark.parametrize("make", [lambda it: E() | it, lambda it: it >> E(), lambda it: E() >> it])
def test_a_runnable_beside_an_operator_is_refused_with_both_ways_on(make: Any) -> None:
    with pytest.raises(ChainlangError, match=r"(?s)RunnableLambda.*as_stage.*as_runnable"):
        make(RunnableLambda(str))


# ---------------------------------------------------------------- a node


@pytest.mark.parametrize("is_async", [False, True])
def test_a_node_writes_only_the_keys_it_names_as_json(is_async: bool, tmp_path: Any) -> None:
    chosen = {"answer": "votes", "sure": "first"}
    node = as_node("(first = 3:E) >> M", "question", chosen, engine=engine(), cache_folder=tmp_path)
    app = graph(node, lambda state: {"log": ["voted"]})
    given = {"question": "17 + 25?"}
    found = asyncio.run(app.ainvoke(given)) if is_async else app.invoke(given)
    expected = {"question": "17 + 25?", "answer": {'"42"': 3}, "sure": "42", "log": ["voted"]}
    assert json.loads(json.dumps(found)) == found == expected
    assert type(found["answer"]) is dict


def test_a_row_of_a_node_may_have_several_fields() -> None:
    made = load(text=TYPED)
    named = {"text": "question", "n": "sure"}
    node = as_node(made, named, "answer", engine=FakeEngine(), cache="off")
    found = node.invoke({"question": "a", "sure": 2, "log": []})
    assert set(found) == {"answer"}
    assert set(found["answer"]) == {"place", "sure"}
    several = as_node("E", ["query"], "answer", engine=engine(), cache="off")
    assert several.invoke({"query": "17 + 25?"}) == {"answer": "42"}
    with pytest.raises(ChainlangError, match="unknown name 'query' in the state"):
        several.invoke({"quary": "17 + 25?"})
    with pytest.raises(ChainlangError, match="the result has no 'verdict'"):
        as_node("E", "q", {"a": "verdict"}, engine=engine(), cache="off").invoke({"q": "What?"})


def test_two_chains_side_by_side_write_their_own_keys() -> None:
    made = StateGraph(State)
    for name in ("answer", "sure"):
        made.add_node(f"n_{name}", as_node("E", "question", name, engine=engine(), cache="off"))
        made.add_edge(START, f"n_{name}")
    found = made.compile().invoke({"question": "17 + 25?"})
    assert (found["answer"], found["sure"]) == ("42", "42")


def test_the_page_of_an_error_survives_a_graph() -> None:
    typo = 'E >> with_fields(E, query="{{ answer.lenght }}")'
    node = as_node(typo, "question", "answer", engine=engine(), cache="off")
    with pytest.raises(RowError) as raised:
        graph(node).invoke({"question": "17 + 25?"})
    page = str(raised.value)
    assert page.startswith("error[row]: ")
    assert "\n  |" in page
    assert "^" in page


def test_retries_and_resumes_draw_nothing_twice(tmp_path: Any) -> None:
    fake, calls = engine(), []

    def shaky(state: State) -> State:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("again")
        return {"log": [interrupt("go on?")]}

    qa = as_node(QA, "question", "answer", engine=fake, cache_folder=tmp_path)

    def both(state: State) -> State:  # LangGraph runs a node as a whole again
        update = qa.invoke(state)
        return {**update, **shaky(state)}

    app = graph(both, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    app.invoke({"question": "17 + 25?"}, config)
    drawn = fake.metrics.requests
    found = app.invoke(Command(resume="yes"), config)
    assert len(calls) == 4
    assert (found["answer"], found["log"]) == ("42", ["yes"])
    assert fake.metrics.requests == drawn == 1  # with two samples, which decide the vote


@pytest.mark.parametrize("is_async", [False, True])
def test_an_interrupt_inside_a_chain_is_refused(is_async: bool) -> None:
    def ask(answer: str) -> str:
        return str(interrupt("is it right?"))

    async def wait(answer: str) -> str:
        return str(interrupt("is it right?"))

    inner = StateGraph(State)
    inner.add_node("ask", lambda state: {"answer": interrupt("sure?")})
    inner.add_edge(START, "ask")
    stage = as_stage(inner.compile(checkpointer=InMemorySaver()), "inner", "question", "answer")
    for part in (ask, wait, stage):
        node = as_node(chain("E") >> part, "question", "answer", engine=engine(), cache="off")
        app = graph(node, checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        given: Any = {"question": "17 + 25?"}

        def run(app: Any = app, config: Any = config, given: Any = given) -> Any:
            return (
                asyncio.run(app.ainvoke(given, config)) if is_async else app.invoke(given, config)
            )

        with pytest.raises(RowError, match="an interrupt can't leave a chain"):
            run()


def test_cancelling_a_graph_ends_the_row() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def forever(answer: str) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return answer

    node = as_node(chain("E") >> forever, "question", "answer", engine=engine(), cache="off")
    app = graph(node)

    async def main() -> None:
        task = asyncio.create_task(app.ainvoke({"question": "17 + 25?"}))
        await asyncio.to_thread(begun.wait, 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 120)

    asyncio.run(main())


# ---------------------------------------------------------------- a stage


def test_a_graph_is_a_stage_of_a_chain() -> None:
    inner = graph(lambda state: {"answer": state["question"] * 2, "log": ["doubled"]})
    made = chain("2:E") >> as_stage(inner, "doubled", "question", "answer")
    assert str(made) == "2:E >> @doubled"
    assert made("17 + 25?", engine=engine())["responses"] == ["4242", "4242"]
    whole = E() >> as_stage(RunnableLambda(AIMessage), "said")
    assert whole("17 + 25?", engine=engine()).answer == "42"
    results = list(made.map(["17 + 25?"] * 20, engine=engine()))
    assert [one.answer for one in results] == ["4242"] * 20


def test_what_is_no_stage_is_refused() -> None:
    with pytest.raises(ChainlangError, match="expected a runnable of LangChain, found a builtin"):
        as_stage(len, "length")  # type: ignore[arg-type]
    with pytest.raises(ChainlangError, match="can't be the name of a stage"):
        as_stage(RunnableLambda(str), "a b")
    lost = E() >> as_stage(RunnableLambda(lambda text: {"a": text}), "lost", writes="b")
    with pytest.raises(RowError, match="lost returned no 'b': it has a"):
        lost("17 + 25?", engine=engine())


def test_functions_see_the_context_variables_of_the_caller() -> None:
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="nobody")

    def plain(answer: str) -> str:
        return f"{answer} {name.get()}"

    async def waiting(answer: str) -> str:
        return f"{answer} {name.get()}"

    made = E() >> function("plain", plain) >> waiting
    expected = "42 caller caller"

    async def main() -> str:
        name.set("caller")
        found = await made.acall("17 + 25?", engine=engine())
        return str(found.answer)

    assert asyncio.run(main()) == expected
