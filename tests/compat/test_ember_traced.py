"""A `forward` as one chain: what it is, what it gives, and when there is none."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import pytest

from chainlang import Chain, E, chain, trace
from chainlang.compat import ember
from chainlang.compat.ember import EmberModel, LMModule, LMModuleConfig, Operator, non
from chainlang.compat.ember.core.exceptions import InvalidArgumentError
from chainlang.compat.ember.operators import (
    EnsembleOperator,
    JudgeSynthesisOperator,
    Specification,
)
from chainlang.compat.ember.xcs import (
    execution_options,
    explain_jit_selection,
    get_jit_stats,
    jit,
    structural_jit,
)
from chainlang.engines.fake import FakeEngine


class Query(EmberModel):
    query: str


class Answer(EmberModel):
    answer: str
    why: str = ""


class RefineSpecification(Specification[Query, Query]):
    input_model = Query
    structured_output = Query
    prompt_template = "Refine: {query}"


class Refine(Operator[Query, Query]):
    specification: ClassVar[Any] = RefineSpecification()

    def __init__(self) -> None:
        self.lm = LMModule(LMModuleConfig("r", temperature=0.0))

    def forward(self, *, inputs: Query) -> Query:
        return Query(query=self.lm(prompt=self.specification.render_prompt(inputs=inputs)))


class Panel(Operator[Query, Answer]):
    def __init__(self) -> None:
        self.refine = Refine()
        self.ensemble = non.UniformEnsemble(num_units=1, model_name="a", temperature=0.0)
        self.other = EnsembleOperator(lm_modules=[LMModule(LMModuleConfig("b", temperature=0.0))])
        self.judge = non.JudgeSynthesis(model_name="j", temperature=0.0)

    def forward(self, *, inputs: Query) -> Answer:
        refined = self.refine(inputs=inputs)
        found = self.ensemble(query=refined.query)
        other = self.other(inputs={"query": inputs.query})
        judged = self.judge(query=inputs.query, responses=[found.answer, other.answer])
        return Answer(answer=judged.final_answer, why=judged.reasoning)


class Voted(Operator[Query, Answer]):
    def __init__(self) -> None:
        self.ensemble = non.UniformEnsemble(num_units=3, model_name="a", temperature=0.7)
        self.vote = non.MostCommon()

    def forward(self, *, inputs: Query) -> dict[str, Any]:
        found = self.ensemble.forward(inputs={"query": inputs.query})  # also called by name
        voted = self.vote(inputs={"query": inputs.query, "responses": found["responses"]})
        return {"answer": voted["final_answer"], "why": "a vote"}


@jit
class JittedPanel(Panel):
    """The same, as one chain."""


def reply(request: Any, index: int) -> str:
    text = "\n".join(one.text for one in request.messages)
    if request.model == "j":
        return f'{{"reasoning": "{text.count("Answer")} answers", "final_answer": "{len(text)}"}}'
    return f"{request.model} on {text}"


def test_a_forward_that_passes_values_on_is_one_chain() -> None:
    assert str(JittedPanel().as_chain()) == (
        'op ask : generate {\n  user = "Refine: {{ query }}"\n}\n'
        'main = ((ask:r:0 >> (found = with_fields(E:a:0(fresh=true), query="{{ ask.answer }}")))'
        " & (other = E:b:0)) >> J:j:0\n"
    )
    made = JittedPanel().as_chain()
    assert isinstance(made, Chain)
    assert Chain.from_json(made.to_json()) == made
    assert Voted().as_chain() == chain("(found = 3:E:a:0.7) >> M")


def test_it_gives_what_plain_calls_give() -> None:
    with ember.use(engine=FakeEngine(answers=reply)):
        plain, jitted = Panel()(query="Is it?"), JittedPanel()
        assert jitted(query="Is it?") == plain
        assert type(jitted(query="Is it?")) is Answer
        with execution_options(scheduler="sequential"):
            assert jitted(query="Is it?") == plain
        with execution_options(max_workers=2):
            assert jitted(query="Is it?") == plain
    stats = get_jit_stats(JittedPanel)
    assert (stats["calls"], stats["calls_as_one_chain"]) == (4, 2)
    assert (stats["compilation_count"], stats["cache_misses"], stats["cache_hits"]) == (1, 1, 1)
    assert stats["total_execution_time_ms"] == pytest.approx(4 * stats["avg_execution_time_ms"])
    assert get_jit_stats()["calls"] >= 4
    told = explain_jit_selection(jitted)
    assert (told["strategy"], "J:j:0" in told["chain"]) == ("chain", True)


def test_it_runs_over_rows_as_any_chain() -> None:
    engine = FakeEngine(answers=lambda request, index: "c" if index == 1 else "b")
    results = Voted().map(["p", "q"], engine=engine)
    assert [one.answer for one in results] == ["b", "b"]
    assert "generate 3" in str(Voted().explain())


def test_calls_in_a_traced_function_are_recorded() -> None:
    panel = non.UniformEnsemble(num_units=3, model_name="a", temperature=0.7)

    @trace
    def best(query: str) -> Any:
        return non.Verifier(model_name="v", temperature=0)(
            query=query, candidate_answer=LMModule(LMModuleConfig("a", temperature=0))(query)
        )

    assert "V:v:0" in str(best)
    assert panel == E("a", 3, 0.7)


# ---------------------------------------------------------------- what is no chain


class Branching(Panel):
    def forward(self, *, inputs: Query) -> Answer:
        if "?" in inputs.query:
            return Answer(answer="a question")
        return super().forward(inputs=inputs)


class Counting(Panel):
    ran: ClassVar[list[str]] = []

    def helper(self, text: str) -> str:
        self.ran.append(text)
        return text

    def forward(self, *, inputs: Query) -> Answer:
        return Answer(answer=self.helper(inputs.query))


class Random(Panel):
    def forward(self, *, inputs: Query) -> Answer:
        return Answer(answer=self.ensemble(query=f"{inputs.query} {random.random()}").answer)


class Shouting(Panel):
    def forward(self, *, inputs: Query) -> Answer:
        return Answer(answer=self.ensemble(query=inputs.query.upper()).answer)


class OfFunctions(Panel):
    ran: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.judge = JudgeSynthesisOperator(lm_module=self.said)

    @classmethod
    def said(cls, *, prompt: str) -> str:
        cls.ran.append(prompt)
        return "Final Answer: 42"

    def forward(self, *, inputs: Query) -> Answer:
        return Answer(answer=self.judge(query=inputs.query, responses=["a"]).final_answer)


class Listing(Panel):
    def forward(self, *, inputs: Query) -> Answer:
        found = self.ensemble(query=inputs.query)
        return Answer(answer=" ".join(found.responses))


class Two(Panel):
    def forward(self, *, inputs: Query) -> Answer:
        found, other = self.ensemble(query=inputs.query), self.other(query=inputs.query)
        return Answer(answer=found.answer, why=other.answer)


class Many(EmberModel):
    queries: list[str]


class OfLists(Operator[Many, Answer]):
    def forward(self, *, inputs: Many) -> Answer:
        return Answer(answer=inputs.queries[0])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Branching, "has a branch, a comparison or a handler"),
        (Counting, "calls helper(), which is Python"),
        (Random, "uses random, which is Python"),
        (Shouting, "upper"),
        (OfFunctions, "JudgeSynthesisOperator holds Python"),
        (Listing, "only when the chain runs"),
        (Two, "reads 2 calls"),
    ],
)
def test_any_other_forward_is_run_as_it_is_and_says_why(made: type[Panel], reason: str) -> None:
    jitted = jit(type(made.__name__, (made,), {}))()
    with ember.use(engine=FakeEngine(answers=reply)):
        assert getattr(made, "ran", []) == []
        explained = explain_jit_selection(jitted)
        assert getattr(made, "ran", []) == []  # nothing ran while it was looked at
        assert explained["strategy"] == "overlap"
        assert reason in explained["rationale"]
        random.seed(3)
        plain = made()(query="Is it?")
        random.seed(3)
        assert jitted(query="Is it?") == plain
    with pytest.raises(InvalidArgumentError, match="is not one chain"):
        jit(mode="trace")(type(made.__name__, (made,), {}))()
    with pytest.raises(InvalidArgumentError, match="is not one chain"):
        jit(fallback=False)(type(made.__name__, (made,), {}))()


def test_inputs_that_are_no_texts_are_no_row() -> None:
    jitted = jit(type("Of", (OfLists,), {}))()
    assert jitted(queries=["a", "b"]).answer == "a"
    assert "neither a text" in explain_jit_selection(jitted)["rationale"]


def test_structural_jit_makes_no_chain() -> None:
    jitted = structural_jit(type("Of", (Voted,), {}))()
    assert explain_jit_selection(jitted)["strategy"] == "overlap"
