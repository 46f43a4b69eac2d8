"""Laws of Ember's engine: overlapping, the number of workers and recording change no result."""

from __future__ import annotations

import hashlib
from typing import Any

import hypothesis.strategies as st
from attrs import frozen

from chainlang.compat import ember
from chainlang.compat.ember import LMModule, LMModuleConfig, Operator, non
from chainlang.compat.ember.xcs import autograph, execute, execution_options, jit
from chainlang.engines.fake import FakeEngine
from tests.laws import law


@frozen
class Call:
    """A call of an operator: its kind, and which earlier results it reads."""

    kind: str
    reads: tuple[int, ...]
    inner: int
    """Number of operators around it."""


KINDS = ("ask", "ensemble", "vote", "judge", "join")
CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from(KINDS),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=6,
)


def answer(request: Any, index: int) -> str:
    text = "\n".join(one.text for one in request.messages)
    said = hashlib.blake2b(f"{request.seed + index} {text}".encode(), digest_size=4).hexdigest()
    if request.model == "j":
        return f'{{"reasoning": "", "final_answer": "{said}"}}'
    return said


class Ask(Operator[Any, Any]):
    """One call of a model, over the answers that it is given."""

    def __init__(self) -> None:
        self.lm = LMModule(LMModuleConfig("a"))

    def forward(self, *, inputs: Any) -> Any:
        return {"responses": [self.lm(" ".join(inputs["responses"]))]}


class Join(Operator[Any, Any]):
    """The answers that it is given, and how many there are."""

    def forward(self, *, inputs: Any) -> Any:
        return {"responses": [*inputs["responses"], str(len(inputs["responses"]))]}


class Around(Operator[Any, Any]):
    """An operator that calls another one."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def forward(self, *, inputs: Any) -> Any:
        return self.inside(inputs=inputs)


def operator_of(call: Call) -> Any:
    made: Any = {
        "ask": Ask,
        "join": Join,
        "vote": non.MostCommon,
        "ensemble": lambda: non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7),
        "judge": lambda: non.JudgeSynthesis(model_name="j"),
    }[call.kind]()
    for _ in range(call.inner):
        made = Around(made)
    return made


class Program(Operator[Any, Any]):
    """Calls one after another, each with the results of two earlier ones."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.operators = [operator_of(call) for call in calls]

    def forward(self, *, inputs: Any) -> Any:
        found: list[Any] = [{"query": inputs["query"], "responses": ["x"]}]
        for call, operator in zip(self.calls, self.operators, strict=True):
            read = [found[one % len(found)] for one in call.reads]
            answers = [answer for one in read for answer in one["responses"]]
            found.append(operator(inputs={"query": inputs["query"], "responses": answers}))
        return {"all": [one["responses"] for one in found[1:]]}


class JittedProgram(Program):
    """The same, jitted."""


jit(JittedProgram)


def outputs(made: type[Program], calls: list[Call], **options: Any) -> Any:
    with ember.use(engine=FakeEngine(answers=answer)), execution_options(**options):
        program = made(calls)
        return [program(query="q"), program(query="q")]


@law(CALLS, share=4)
def test_overlapping_changes_no_result(calls: list[Call]) -> None:
    plain = outputs(Program, calls)
    assert outputs(JittedProgram, calls) == plain
    assert outputs(JittedProgram, calls, max_workers=2) == plain
    assert outputs(JittedProgram, calls, scheduler="sequential") == plain


@law(CALLS, share=4)
def test_a_recorded_graph_gives_the_same_however_it_is_run(calls: list[Call]) -> None:
    with autograph() as graph:
        found: list[Any] = []
        for call in calls:
            read = found[call.reads[0] % len(found)] if found else None
            given = ["x"] if read is None else read.responses
            found.append(operator_of(call)(inputs={"query": "q", "responses": given}))

    def run(**options: Any) -> Any:
        with ember.use(engine=FakeEngine(answers=answer)):
            return execute(graph, options=options)

    first = run()
    assert len(first) == len(calls)
    assert run(scheduler="sequential") == run(max_workers=2) == first
