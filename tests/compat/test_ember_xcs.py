"""Ember's execution engine: overlapping calls, options, graphs, recorded graphs, transforms."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chainlang.compat import ember
from chainlang.compat.ember import EmberModel, LMModule, LMModuleConfig, Operator, non
from chainlang.compat.ember.core.exceptions import (
    ExecutionError,
    InvalidArgumentError,
    OperatorExecutionError,
    TransformError,
)
from chainlang.compat.ember.xcs import (
    ExecutionOptions,
    JITOptions,
    NoOpScheduler,
    ParallelScheduler,
    TracerContext,
    TransformOptions,
    XCSExecutionOptions,
    XCSGraph,
    autograph,
    compose,
    disable_structural_jit,
    execute,
    execute_graph,
    execution_options,
    explain_jit_selection,
    get_execution_options,
    get_jit_stats,
    jit,
    merge_xcs_graphs,
    mesh_sharded,
    pmap,
    reset_execution_options,
    set_execution_options,
    structural_jit,
    vmap,
)
from chainlang.compat.ember.xcs.jit import JITMode
from chainlang.compat.ember.xcs.transforms.mesh import DeviceMesh, PartitionSpec
from chainlang.engines.fake import FakeEngine
from tests.laws import fewer

WAIT = 120  # seconds until a call that waits for another one gives up


class Text(EmberModel):
    text: str


class Meeting:
    """Counts the calls that are inside at the same time; `all_here` waits for a number of them."""

    def __init__(self, expected: int = 2) -> None:
        self.barrier = threading.Barrier(expected)
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def all_here(self) -> None:
        self.barrier.wait(WAIT)

    def alone(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.002)
        with self.lock:
            self.inside -= 1


class Step(Operator[Text, Text]):
    """Appends its mark; `visit` is called inside."""

    mark: str
    visit: Callable[[], None]

    def forward(self, *, inputs: Text) -> Text:
        self.visit()
        return Text(text=inputs.text + self.mark)


class Pair(Operator[Text, Text]):
    """Two steps that do not need each other, and one that needs both."""

    def __init__(self, visit: Callable[[], None]) -> None:
        self.left, self.right = Step(mark="l", visit=visit), Step(mark="r", visit=visit)
        self.last = Step(mark="!", visit=lambda: None)

    def forward(self, *, inputs: Text) -> Text:
        left, right = self.left(inputs=inputs), self.right(inputs=inputs)
        return self.last(text=f"{left.text}{right.text}")


@jit
class Jitted(Pair):
    """The same, jitted."""


# ---------------------------------------------------------------- jit


def test_calls_that_do_not_need_each_other_overlap_and_the_result_is_that_of_plain_calls() -> None:
    result = Jitted(Meeting(2).all_here)(text="a")
    assert type(result) is Text
    assert result == Pair(lambda: None)(text="a") == Text(text="alar!")


def test_nested_operators_overlap_too_unless_not_recursive() -> None:
    class Twice(Operator[Text, Any]):
        def __init__(self, visit: Callable[[], None]) -> None:
            self.pairs = [Pair(visit), Pair(visit)]

        def forward(self, *, inputs: Text) -> Any:
            return {"texts": [one.text for one in [pair(inputs=inputs) for pair in self.pairs]]}

    meeting = Meeting(4)
    made = jit(type("All", (Twice,), {}))(meeting.all_here)
    assert made(text="a") == {"texts": ["alar!", "alar!"]}
    meeting = Meeting()
    flat = jit(recursive=False)(type("Flat", (Twice,), {}))(meeting.alone)
    assert flat(text="a") == {"texts": ["alar!", "alar!"]}
    assert meeting.most <= 2


def test_a_function_is_jitted_and_a_call_waits_for_what_it_reads() -> None:
    left, right = (Step(mark=mark, visit=Meeting(1).all_here) for mark in "lr")

    @jit
    def chained(text: str) -> str:
        first = left(text=text)
        return f"{right(inputs=first).text}{first.text}"

    assert chained("a") == "alral"
    assert get_jit_stats(chained)["calls"] == 1
    assert explain_jit_selection(chained)["strategy"] == "overlap"


@pytest.mark.parametrize("guard", ["try", "with", "comprehension"])
def test_what_a_try_catches_is_raised_there(guard: str) -> None:
    class Failing(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            raise ValueError(inputs["text"])

    @jit
    class Careful(Operator[Any, Any]):
        def __init__(self) -> None:
            self.inner = Failing()

        def forward(self, *, inputs: Any) -> Any:
            if guard == "try":
                try:
                    return self.inner(inputs=inputs)
                except OperatorExecutionError:
                    return {"text": "caught"}
            if guard == "with":
                with pytest.raises(OperatorExecutionError):
                    self.inner(inputs=inputs)
            else:
                try:
                    return [self.inner(inputs=inputs) for _ in range(2)]
                except OperatorExecutionError:
                    return {"text": "caught"}
            return {"text": "caught"}

    assert Careful()(text="a") == {"text": "caught"}


def test_an_error_is_raised_even_where_the_result_is_not_read() -> None:
    class Failing(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            raise ValueError("boom")

    @jit
    class Careless(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            Failing()(inputs=inputs)
            return {"text": "a"}

    with pytest.raises(OperatorExecutionError, match="boom"):
        Careless()(text="a")


def test_options_say_whether_and_how_many_calls_overlap() -> None:
    class Many(Operator[Text, Any]):
        def __init__(self, visit: Callable[[], None]) -> None:
            self.steps = [Step(mark=str(number), visit=visit) for number in range(8)]

        def forward(self, *, inputs: Text) -> Any:
            return {"texts": [one.text for one in [step(inputs=inputs) for step in self.steps]]}

    made = jit(Many)
    expected = {"texts": [f"a{number}" for number in range(8)]}
    for options, most in (({"scheduler": "sequential"}, 1), ({"max_workers": 3}, 3)):
        meeting = Meeting()
        with execution_options(**options):
            assert made(meeting.alone)(text="a") == expected
        assert meeting.most <= most
    meeting = Meeting()
    with disable_structural_jit():
        assert made(meeting.alone)(text="a") == expected
        assert explain_jit_selection(Many)["strategy"] == "plain"
    assert meeting.most == 1
    made.disable_jit()  # type: ignore[attr-defined]
    assert made(meeting.alone)(text="a") == expected
    assert meeting.most == 1
    made.enable_jit()  # type: ignore[attr-defined]
    assert made(Meeting(8).all_here)(text="a") == expected


def test_structural_jit_looks_at_what_an_operator_holds() -> None:
    def made(**options: Any) -> Any:
        return structural_jit(**options)(type("Made", (Pair,), {}))

    assert made()(Meeting(2).all_here)(text="a").text == "alar!"
    assert made(execution_strategy="parallel")(Meeting(2).all_here)(text="a").text == "alar!"
    meeting = Meeting()
    for options in ({"execution_strategy": "sequential"}, {"parallel_threshold": 4}):
        assert made(**options)(meeting.alone)(text="a").text == "alar!"
    assert meeting.most == 1
    with pytest.raises(InvalidArgumentError, match="execution_strategy= can't be 'fast'"):
        structural_jit(execution_strategy="fast")  # type: ignore[arg-type]


def test_sample_inputs_are_checked_when_an_operator_is_made() -> None:
    made = jit(options=JITOptions(sample_input={"query": "a"}))(type("Made", (Pair,), {}))
    with pytest.raises(ember.core.exceptions.SpecificationValidationError, match="text: Field"):
        made(lambda: None)
    with pytest.raises(InvalidArgumentError, match="jit has no option 'modes'"):
        jit(modes="auto")  # type: ignore[call-overload]
    with pytest.raises(InvalidArgumentError, match="not of the function <lambda>"):
        jit(mode=JITMode.TRACE)(lambda: 42)
    with pytest.raises(InvalidArgumentError, match="no option 'cache_size'"):
        JITOptions(cache_size=128)


def test_samples_do_not_depend_on_overlapping() -> None:
    class Both(Operator[Any, Any]):
        def __init__(self) -> None:
            self.parts = [
                non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7) for _ in range(3)
            ]

        def forward(self, *, inputs: Any) -> Any:
            found = [part(inputs=inputs) for part in self.parts]
            return {"responses": [answer for one in found for answer in one.responses]}

    def answers(made: type[Both]) -> list[str]:
        engine = FakeEngine(answers=lambda request, index: f"{request.seed} {index}")
        with ember.use(engine=engine):
            return list(made()(query="q")["responses"])

    plain = answers(Both)
    assert len({*plain}) == 6
    assert answers(jit(type("Made", (Both,), {}))) == plain


# ---------------------------------------------------------------- options


def test_options_nest_and_are_checked() -> None:
    with execution_options(max_workers=4), execution_options(timeout_seconds=2):
        assert (get_execution_options().max_workers, get_execution_options().parallel) == (4, True)
    set_execution_options(use_parallel=False)
    assert not get_execution_options().parallel
    reset_execution_options()
    with XCSExecutionOptions(scheduler="parallel", timeout=3.0):
        assert get_execution_options().timeout_seconds == 3.0
    assert get_execution_options() == ExecutionOptions()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_worker": 2}, "Invalid execution option: max_worker"),
        ({"max_workers": 0}, "max_workers= can't be 0"),
        ({"scheduler": "fast"}, "scheduler= can't be 'fast'"),
        ({"executor": "process"}, "executor= can't be 'process'"),
        ({"device_strategy": "gpu"}, "device_strategy= can't be 'gpu'"),
        ({"timeout_seconds": -1}, "timeout_seconds= can't be -1"),
    ],
)
def test_an_option_without_a_meaning_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        execution_options(**options)


def test_caching_gives_an_equal_call_the_same_samples() -> None:
    lm = LMModule(LMModuleConfig("a"))
    engine = FakeEngine(answers=lambda request, index: str(request.seed))
    with ember.use(engine=engine, cache_folder=None):
        assert lm("q") != lm("q")
        with execution_options(enable_caching=True):
            assert lm("q") == lm("q")
            calls = jit(preserve_stochasticity=True)(lambda: [lm("q"), lm("q")])()
    assert calls[0] != calls[1]


def test_calls_are_logged_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    step = Step(mark="!", visit=lambda: None)
    with caplog.at_level(logging.INFO, "chainlang.compat.ember"):
        with execution_options(trace_execution=True), TracerContext() as tracer:
            step(text="a")
        with execution_options(debug=True):
            step(text="b")
    assert "Step ended after" in caplog.messages[0]
    assert any("Step(Text(text='b'))" in one for one in caplog.messages)
    (record,) = tracer.records
    assert (record.operator_name, record.outputs, record.succeeded) == (
        "Step",
        Text(text="a!"),
        True,
    )


# ---------------------------------------------------------------- graphs


def waited(event: threading.Event) -> None:
    assert event.wait(WAIT)


def test_a_node_starts_when_what_it_reads_is_there() -> None:
    graph, meeting = XCSGraph(), Meeting(2)
    slow = threading.Event()
    graph.add_node(Step(mark="s", visit=lambda: waited(slow)), "slow")
    graph.add_node(Step(mark="l", visit=meeting.all_here), "left")
    graph.add_node(Step(mark="r", visit=meeting.all_here), "right")
    graph.add_node(Step(mark="!", visit=slow.set), "after")  # needs left alone
    graph.add_edge("left", "after")
    found = execute_graph(graph, {"text": "a"}, scheduler=ParallelScheduler(4))
    assert found == {
        "slow": {"text": "as"},
        "left": {"text": "al"},
        "right": {"text": "ar"},
        "after": {"text": "al!"},
    }


def test_where_nodes_join_nothing_is_lost() -> None:
    graph = XCSGraph()
    for number in range(3):
        ensemble = non.UniformEnsemble(num_units=2, model_name=f"m{number}", temperature=0.7)
        graph.add_node(ensemble, f"e{number}")
    graph.add_node(non.MostCommon(), "vote")
    graph.add_node(lambda *, inputs: inputs, "all")
    for number in range(3):
        graph.add_edge(f"e{number}", "vote")
        graph.add_edge(f"e{number}", "all")
    graph.add_edge("vote", "all", {"final_answer": "voted"})
    engine = FakeEngine(answers=lambda request, index: "b" if request.model == "m0" else "c")
    with ember.use(engine=engine):
        found = execute(graph, inputs={"query": "q"}, options={"max_workers": 2})
    assert found["vote"]["final_answer"] == "c"
    assert found["all"] == {
        "responses": ["b", "b", "c", "c", "c", "c"],
        "voted": "c",
        "query": "q",
    }


def test_a_judge_behind_branches_reads_the_answer_of_each() -> None:
    graph = XCSGraph()
    for name in "ab":
        graph.add_node(non.Verifier(model_name=name, temperature=0), name)
        graph.add_edge("e", name) if "e" in graph.nodes else graph.add_node(
            non.UniformEnsemble(num_units=1, model_name="e", temperature=0.7), "e"
        )
    graph.add_edge("e", "a")
    graph.add_node(non.JudgeSynthesis(model_name="j"), "judge")
    for name in "ab":
        graph.add_edge(name, "judge")
    asked: list[str] = []

    def answer(request: Any, index: int) -> str:
        if request.model == "j":
            asked.append(request.messages[-1].text)
            return '{"reasoning": "", "final_answer": "x"}'
        if request.model == "e":
            return "0"
        return f'{{"explanation": "", "verdict": "incorrect", "revised_answer": "{request.model}"}}'

    with ember.use(engine=FakeEngine(answers=answer)):
        assert execute_graph(graph, {"query": "q"})["judge"]["final_answer"] == "x"
    assert "Answer 1: a" in asked[0]
    assert "Answer 2: b" in asked[0]


def failing(*, inputs: Any) -> Any:
    raise ValueError("boom")


def test_a_failed_node_is_an_error_with_the_outputs_of_the_others() -> None:
    graph = XCSGraph()
    graph.add_node(failing, "bad")
    graph.add_node(lambda *, inputs: {"value": 1}, "good")
    graph.add_node(lambda *, inputs: {"value": 2}, "after")
    graph.add_edge("bad", "after")
    with pytest.raises(ExecutionError, match="node 'bad' failed: ValueError: boom") as caught:
        execute_graph(graph, {}, scheduler="sequential", continue_on_error=True)
    assert caught.value.outputs == {"good": {"value": 1}}
    with pytest.raises(ExecutionError) as caught:
        execute_graph(graph, {}, scheduler="sequential")
    assert caught.value.outputs == {}
    part = execute_graph(
        graph, {}, options={"return_partial_results": True, "continue_on_error": True}
    )
    assert (part, [*part.errors]) == ({"good": {"value": 1}}, ["bad"])


def test_a_graph_has_a_time() -> None:
    graph, never = XCSGraph(), threading.Event()
    graph.add_node(lambda *, inputs: never.wait(WAIT), "slow")
    with pytest.raises(ExecutionError, match=r"'slow' did not end within 0.01 s"):
        execute_graph(graph, {}, options={"timeout_seconds": 0.01})
    never.set()


def test_a_graph_is_checked_and_merged() -> None:
    graph = XCSGraph()
    one = graph.add_node(failing, "one", name="first")
    two = graph.add_node(failing)
    graph.add_edge(one, two)
    graph.add_edge(one, two, {"a": "b"})
    assert graph.nodes[two].inbound_edges == [one]
    assert "one: first" in str(graph)
    for call in (
        lambda: graph.add_node(failing, "one"),
        lambda: graph.add_node(3, "three"),
        lambda: graph.add_edge("one", "tow"),
    ):
        with pytest.raises(ValueError, match="node"):
            call()
    merged = merge_xcs_graphs(graph, graph, "again")
    assert len(merged.nodes) == 4
    assert "again_one" in merged.nodes
    graph.add_edge(two, one)
    with pytest.raises(ValueError, match="Graph contains a cycle"):
        graph.topological_sort()
    noop = execute_graph(merged, {}, scheduler=NoOpScheduler())
    assert noop["one"] == {"_simulated": True}


def test_a_recorded_graph_is_run_as_often_as_wanted() -> None:
    ran: list[str] = []
    step = Step(mark="!", visit=lambda: ran.append("step"))
    with autograph() as graph:
        first = step(text="a")
        second = step(inputs=first)
        third = step(text=second.text)
        with pytest.raises(InvalidArgumentError, match="not known while a graph is recorded"):
            f"{first.text}"
        with pytest.raises(InvalidArgumentError, match="not known"):
            bool(first)
    assert ran == []
    assert execute(graph)[third] == {"text": "a!!!"}
    changed = execute(graph, inputs={"text": "b"})
    assert (changed[first], changed[second]) == ({"text": "b!"}, {"text": "b!!"})
    assert len(ran) == 6


# ---------------------------------------------------------------- transforms


def test_items_overlap_keep_their_order_and_lose_none() -> None:
    met = Meeting(3)
    assert vmap(lambda x: (met.all_here(), x * 2)[1])([1, 2, 3]) == [2, 4, 6]
    meeting = Meeting()
    counted = vmap(lambda x: (meeting.alone(), x)[1], batch_size=2)
    assert counted([*range(7)]) == [*range(7)]
    assert meeting.most <= 2
    assert pmap(lambda x: (meeting.alone(), x)[1], num_workers=2)([*range(5)]) == [*range(5)]
    assert meeting.most <= 2
    assert vmap(lambda x: x)([]) == []


def test_every_documented_form_of_a_transform() -> None:
    add = vmap(lambda x, y: x + y)
    assert add([1, 2], [10, 20]) == [11, 22]
    assert vmap(lambda x, y: x + y, in_axes=(0, None))([1, 2], 10) == [11, 12]
    assert vmap(lambda *, inputs: inputs["a"] + inputs["b"])(inputs={"a": [1, 2], "b": 3}) == [4, 5]
    only = vmap(lambda *, inputs: {"n": len(inputs["b"])}, in_axes={"a": 0})
    assert only(inputs={"a": [1, 2], "b": [3]}) == {"n": [1, 1]}
    assert vmap(lambda row: row["a"])({"a": [1, 2]}) == [1, 2]
    double = compose(vmap(batch_size=2), pmap(num_workers=2))(lambda x: 2 * x)
    assert double([1, 2, 3]) == [2, 4, 6]
    assert pmap(vmap(lambda x: 2 * x), num_workers=2)([[1, 2], [3]]) == [[2, 4], [6]]
    assert pmap(vmap(lambda *, inputs: {"y": 2 * inputs["x"]}), num_workers=2)(
        inputs={"x": [1, 2, 3]}
    ) == {"y": [2, 4, 6]}
    assert vmap(Step(mark="!", visit=lambda: None))(inputs={"text": ["a", "b"]}) == {
        "text": ["a!", "b!"]
    }


def test_an_operator_that_is_a_chain_is_run_over_all_items_at_once() -> None:
    engine = FakeEngine(latency=lambda _: 1.0, answers=lambda r, i: f"{r.seed}")
    ensemble = non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7)
    with ember.use(engine=engine):
        found = vmap(ensemble)(inputs={"query": ["q", "q", "r"]})
        assert engine.most_in_flight == 6
        with execution_options(max_workers=1):
            assert len(vmap(ensemble)(["q", "q"])) == 2
    assert len(found["responses"]) == 3
    assert found["responses"][0] != found["responses"][1]


def test_errors_of_items_are_raised_or_collected() -> None:
    def inverse(x: int) -> float:
        return 1 / x

    with pytest.raises(ZeroDivisionError):
        vmap(inverse)([1, 0, 2])
    found = pmap(inverse, options=TransformOptions(propagate_errors=False))([1, 0, 2])
    assert (found[0], type(found[1]), found[2]) == (1.0, ZeroDivisionError, 0.5)
    never = threading.Event()
    with pytest.raises(ExecutionError, match="did not end within"):
        pmap(lambda x: never.wait(WAIT), options=TransformOptions(timeout=0.01))([1])
    never.set()


@pytest.mark.parametrize(
    "call",
    [
        lambda: vmap(len)(3),
        lambda: vmap(max)([1, 2], [1]),
        lambda: vmap(max, in_axes=(0,))([1], [1]),
        lambda: vmap(len, in_axes=1),
        lambda: vmap(len, out_axes=1),
        lambda: vmap(len, batch_size=0),
        lambda: DeviceMesh(devices=["a"], shape=(2, 2)),
        lambda: mesh_sharded(len, DeviceMesh(shape=(2,)), PartitionSpec(1)),
    ],
)
def test_a_transform_without_a_meaning_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TransformError):
        call()


def test_a_mesh_computes_each_part_once() -> None:
    mesh, parts = DeviceMesh(shape=(2, 2)), list[Any]()

    def double(part: list[Any]) -> list[Any]:
        parts.append(part)
        return [[2 * one for one in row] if isinstance(row, list) else 2 * row for row in part]

    assert mesh_sharded(double, mesh, partition_spec=PartitionSpec(0))([*range(8)]) == [
        2 * one for one in range(8)
    ]
    assert sorted(map(len, parts)) == [4, 4]
    parts.clear()
    square = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    found = mesh_sharded(double, mesh, PartitionSpec(0, 1))(square)
    assert found == [[2, 4, 6], [8, 10, 12], [14, 16, 18]]
    assert len(parts) == 4


def test_threads_of_a_forward_call_models_too() -> None:
    lms = [LMModule(LMModuleConfig(name)) for name in "abc"]

    class Threaded(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            with ThreadPoolExecutor(3) as pool:
                return {"responses": [*pool.map(lambda lm: lm(inputs["query"]), lms)]}

    with ember.use(engine=FakeEngine(answers={"q": "42"})):
        assert Threaded()(query="q") == {"responses": ["42"] * 3}


def test_ctrl_c_waits_for_no_call() -> None:
    never, started, ended = threading.Event(), list[int](), list[int]()

    class Slow(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            started.append(inputs["number"])
            never.wait(WAIT)
            ended.append(inputs["number"])

    class Stopped(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            for number in range(3):
                Slow()(number=number)
            raise KeyboardInterrupt

    with execution_options(max_workers=2), pytest.raises(KeyboardInterrupt):
        jit(Stopped)()(a=1)
    assert not ended
    assert len(started) <= 2
    never.set()


def test_many_calls_have_few_threads() -> None:
    most: list[int] = []

    def counted(x: int) -> int:
        most.append(threading.active_count())
        return x

    numbers = [*range(fewer(2000, 500))]
    assert vmap(counted)(numbers) == numbers

    class Counted(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            return {"value": counted(inputs["value"])}

    @jit
    def several() -> list[int]:
        made = Counted()
        return [one["value"] for one in [made(value=number) for number in numbers]]

    assert several() == numbers
    assert max(most) < 200


class Texts(EmberModel):
    texts: list[Text]
    first: Text


def test_results_that_are_pending_are_fields_of_models_and_later_values() -> None:
    @jit
    class Gathered(Operator[Text, Texts]):
        def __init__(self) -> None:
            self.steps = [Step(mark=mark, visit=Meeting(1).all_here) for mark in "abc"]

        def forward(self, *, inputs: Text) -> Texts:
            found = [step(inputs=inputs) for step in self.steps]
            return Texts(texts=found, first=found[0])

    found = Gathered()(text="")
    assert [type(one) for one in (*found.texts, found.first)] == [Text] * 4
    assert found.model_dump() == {
        "texts": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
        "first": {"text": "a"},
    }
