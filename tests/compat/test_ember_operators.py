"""Ember's operators: types, specifications, models, core operators, calls and their samples."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from chainlang import ChainlangError, E, J, M, chain
from chainlang.compat import ember
from chainlang.compat.ember import EmberModel, Field, LMModule, LMModuleConfig, Operator, non
from chainlang.compat.ember.core.exceptions import (
    InvalidArgumentError,
    InvalidPromptError,
    OperatorExecutionError,
    SpecificationValidationError,
)
from chainlang.compat.ember.operators import (
    EnsembleInputs,
    EnsembleOperator,
    JudgeSynthesisOperator,
    MostCommonAnswerSelector,
    SelectorJudgeOperator,
    Specification,
    VerifierOperator,
)
from chainlang.engines.fake import FakeEngine

JUDGED = '{"reasoning": "both", "final_answer": "42"}'


class Question(EmberModel):
    query: str = Field(description="a question")
    topic: str = "sums"


class Answer(EmberModel):
    answer: str
    confidence: float = 1.0


class Refined(BaseModel):
    query: str


class QuestionSpecification(Specification[Question, Answer]):
    input_model = Question
    structured_output = Answer
    prompt_template = "About {topic}: {query}"


class Asking(Operator[Question, Answer]):
    specification: ClassVar[Specification[Question, Answer]] = QuestionSpecification()
    lm: LMModule

    def __init__(self, *, model_name: str = "a") -> None:
        self.lm = LMModule(config=LMModuleConfig(model_name=model_name))

    def forward(self, *, inputs: Question) -> Answer:
        return Answer(answer=self.lm(prompt=self.specification.render_prompt(inputs=inputs)))


@pytest.fixture
def engine() -> Any:
    with ember.use(engine=FakeEngine(answers={"Judge": JUDGED, "17": "42"})) as used:
        yield used.settings["engine"]


# ---------------------------------------------------------------- operators


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        ((), {"inputs": {"query": "17?"}}),
        ((), {"inputs": Question(query="17?")}),
        ((), {"inputs": Refined(query="17?")}),
        ((), {"query": "17?"}),
        (({"query": "17?"},), {}),
    ],
)
def test_an_operator_is_called_in_every_documented_way(
    args: tuple[Any, ...], fields: dict[str, Any], engine: FakeEngine
) -> None:
    assert Asking()(*args, **fields) == Answer(answer="42")


def test_an_engine_of_one_call_is_that_of_all_models_inside() -> None:
    assert Asking()(query="17?", engine=FakeEngine(answers={"17": "7"})).answer == "7"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Asking()(query=3), SpecificationValidationError, "query: Input should be"),
        (lambda: Asking()(question="17?"), SpecificationValidationError, "query: Field required"),
        (lambda: Asking()("17?"), InvalidArgumentError, "expected Question or its fields"),
        (lambda: Asking()({"query": "17?"}, query="b"), InvalidArgumentError, "not with both"),
        (lambda: Operator()(query="17?"), ChainlangError, "has no forward"),
        (lambda: setattr(Asking(), "lm", None), AttributeError, "does not change"),
    ],
)
def test_what_an_operator_refuses(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_fields_are_set_by_keywords_where_there_is_no_init() -> None:
    class Scale(Operator[Any, Any]):
        factor: int
        bias: int = 1
        names: ClassVar[tuple[str, ...]] = ()

        def forward(self, *, inputs: Any) -> Any:
            return {"value": self.factor * inputs["value"] + self.bias}

    assert Scale(factor=2)(value=20) == {"value": 41}
    assert repr(Scale(factor=2)) == "Scale(factor=2, bias=1)"
    with pytest.raises(ChainlangError, match="no value for 'factor'"):
        Scale()
    with pytest.raises(ChainlangError, match="no field 'faktor'"):
        Scale(faktor=2)


def test_an_output_is_made_what_the_types_say() -> None:
    class Plain(Operator[Question, Answer]):
        def forward(self, *, inputs: Question) -> Any:
            return {"answer": inputs.topic}

    assert Plain()(query="q") == Answer(answer="sums")

    class Wrong(Operator[Question, Answer]):
        def forward(self, *, inputs: Question) -> Any:
            return {"reply": inputs.topic}

    with pytest.raises(SpecificationValidationError, match="do not fit Answer: answer: Field"):
        Wrong()(query="q")


def test_types_of_the_class_are_as_good_as_those_of_its_specification() -> None:
    class Old(Specification[Any, Any]):
        input_model = Question
        output_model = Refined

    class Second(Operator[Answer, Answer]):
        specification: ClassVar[Any] = Old()

        def forward(self, *, inputs: Answer) -> Answer:
            return inputs

    assert Second()(inputs=Answer(answer="42")) == Answer(answer="42")


def test_an_exception_of_forward_is_the_cause_and_is_wrapped_once() -> None:
    class Inner(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            raise ValueError("boom")

    class Outer(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            return Inner()(inputs=inputs)

    with pytest.raises(OperatorExecutionError, match=r"Inner.forward raised ValueError: boom") as e:
        Outer()(value=1)
    assert isinstance(e.value.__cause__, ValueError)


def test_an_operator_is_a_stage_of_a_chain(engine: FakeEngine) -> None:
    class Louder(Operator[Answer, Answer]):
        def forward(self, *, inputs: Answer) -> Answer:
            return Answer(answer=f"{inputs.answer}!", confidence=0.5)

    made = op_named_answer() >> Louder()
    assert made("17?", engine=FakeEngine(answers={"17": '{"answer": "42"}'})).answer == "42!"


def op_named_answer() -> Any:
    from chainlang import op

    return op("asked", user="{{ query }}", returns="{ answer: str }")


# ---------------------------------------------------------------- specifications and models


def test_a_template_has_each_required_field() -> None:
    with pytest.raises(InvalidPromptError, match="lacks the required field 'query'"):
        Specification(input_model=Question, prompt_template="About {topic}")
    lax = Specification(
        input_model=Question, prompt_template="About {topic}", check_all_placeholders=False
    )
    assert lax.render_prompt(inputs=Question(query="q")) == "About sums"
    assert Specification(input_model=Question).render_prompt(inputs={"query": "q"}) == "q"
    with pytest.raises(InvalidPromptError, match="needs 'query'"):
        Specification(input_model=Question).render_prompt(inputs={"topic": "q"})
    assert "query" in Specification(input_model=Question).model_json_schema()["properties"]


def test_a_model_is_a_mapping_too() -> None:
    one = Question(query="q")
    assert {**one} == one.as_dict() == one.to_dict() == {"query": "q", "topic": "sums"}
    assert Question.from_json(one.to_json()) == Question.from_dict({"query": "q"}) == one
    assert ("query" in one, len(one), [*one]) == (True, 2, ["query", "topic"])
    with pytest.raises(KeyError, match="no field 'answer'; available: query, topic"):
        one["answer"]


# ---------------------------------------------------------------- models and core operators


def test_a_model_puts_a_persona_before_and_a_thought_after_the_prompt() -> None:
    asked: list[str] = []

    def answer(request: Any, index: int) -> str:
        asked.append(request.messages[-1].text)
        return "yes"

    module = LMModule(LMModuleConfig("a", persona="A {clerk}.", cot_prompt="Step by step."))
    assert module("Is it?", engine=FakeEngine(answers=answer)) == "yes"
    assert asked == ["[Persona: A {clerk}.]\n\nIs it?\n\n# Chain of Thought:\nStep by step."]


def test_core_operators_of_models_are_chains(engine: FakeEngine) -> None:
    a, b = (LMModule(LMModuleConfig(name, temperature=0.5, max_tokens=9)) for name in "ab")
    assert EnsembleOperator(lm_modules=[a, b]) == E("a", 1, 0.5, max_tokens=9) & E(
        "b", 1, 0.5, max_tokens=9
    )
    assert JudgeSynthesisOperator(lm_module=a) == J("a", 1, 0.5, max_tokens=9)
    assert str(SelectorJudgeOperator(lm_module=a)) == "S:a:0.5(max_tokens=9)"
    assert str(VerifierOperator(lm_module=a)) == "V:a:0.5(max_tokens=9)"
    assert MostCommonAnswerSelector() == M()
    found = EnsembleOperator(lm_modules=[a, b])(inputs=EnsembleInputs(query="17?"))
    assert found.responses == ["42", "42"]
    assert MostCommonAnswerSelector()(inputs={"responses": ["a", "b", "b"]}).final_answer == "b"


def test_core_operators_of_functions_are_python() -> None:
    def model(*, prompt: str) -> str:
        if "Final Answer" in prompt:
            return "Reasoning: Both say so.\nFinal Answer: 42\nand no other"
        return "Verdict: Incorrect\nExplanation: 7 + 5 is 12.\nRevised Answer: 42"

    judge = JudgeSynthesisOperator(lm_module=model)(query="17?", responses=["42"])
    assert (judge.final_answer, judge.reasoning) == ("42\nand no other", "Both say so.")
    checked = VerifierOperator(lm_module=model)(query="17?", candidate_answer="41")
    assert (checked.verdict, checked.revised_answer) == ("incorrect", "42")
    said = EnsembleOperator(lm_modules=[lambda *, prompt: prompt.upper()] * 2)(query="a")
    assert said.responses == ["A", "A"]
    with pytest.raises(OperatorExecutionError, match="has no line 'Final Answer"):
        JudgeSynthesisOperator(lm_module=lambda *, prompt: "?")(query="q", responses=["a"])


def test_a_subclass_may_have_a_forward_of_its_own(engine: FakeEngine) -> None:
    class Facts(non.UniformEnsemble):
        """An ensemble under another name."""

    class First(non.UniformEnsemble):
        def forward(self, *, inputs: Any) -> Any:
            return {"first": super().forward(inputs=inputs).responses[0]}

    given = {"num_units": 2, "model_name": "a", "temperature": 0.7}
    assert Facts(**given) == E("a", 2, 0.7)
    assert First(**given)(query="17?") == {"first": "42"}
    assert First(**given) != E("a", 2, 0.7)


def test_a_sequence_with_an_operator_in_python_hands_on_all_fields(engine: FakeEngine) -> None:
    class Refine(Operator[Refined, Refined]):
        def forward(self, *, inputs: Refined) -> Refined:
            return Refined(query=f"{inputs.query} (17)")

    many = non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7)
    made = non.Sequential(operators=[Refine(), many, non.JudgeSynthesis(model_name="b")])
    assert made(query="How much?").final_answer == "42"


# ---------------------------------------------------------------- samples and engines


def numbered(request: Any, index: int) -> str:
    return f"{request.seed} {index}"


def test_each_call_samples_anew_and_the_same_program_samples_the_same() -> None:
    def program() -> list[str]:
        one, other = LMModule(LMModuleConfig("a")), LMModule(LMModuleConfig("a"))
        with ember.use(engine=FakeEngine(answers=numbered)):
            return [one("q"), one("q"), other("q"), one("r")]

    class Twice(Operator[Any, Any]):
        def forward(self, *, inputs: Any) -> Any:
            made = non.UniformEnsemble(num_units=1, model_name="a", temperature=0.7)
            return [made.forward(inputs=inputs).answer for _ in range(2)]

    with ember.use(engine=FakeEngine(answers=numbered)):
        assert len({*Twice()(query="q")}) == 2
    first = program()
    assert len({*first[:3]}) == 3
    assert program() == first
    ensemble = non.UniformEnsemble(num_units=3, model_name="a", temperature=0.7)
    with ember.use(engine=FakeEngine(answers=numbered)):
        twice = [ensemble(query="q").responses for _ in range(2)]
        again = ensemble(query="q", seed=0).responses
    assert (
        twice[0]
        == again
        == chain("3:E:a:0.7")("q", engine=FakeEngine(answers=numbered))["responses"]
    )
    assert twice[0] != twice[1]


def test_settings_hold_for_a_block_and_the_latest_are_first() -> None:
    lm = LMModule()
    with ember.use(engine=FakeEngine(answers={"": "a"})):
        with ember.use(engine=FakeEngine(answers={"": "b"})):
            assert lm("q") == "b"
        assert lm("q") == "a"
    with pytest.raises(InvalidArgumentError, match="'sead' is no setting"):
        ember.use(sead=3)


def test_names_that_are_not_here_say_what_to_write() -> None:
    from chainlang.compat.ember import api

    for read in (
        lambda: ember.datasets,
        lambda: api.datasets,
        lambda: importlib.import_module("chainlang.compat.ember.api.eval").Evaluator,
        lambda: ember.current_context,
        lambda: api.xcs.ExecutionResult,
        lambda: importlib.import_module(f"{ember.__name__}.xcs.tracer.autograph").AutoGraphBuilder,
    ):
        with pytest.raises(ChainlangError, match="is not here") as caught:
            read()
        assert caught.value.diagnostics[0].hint
    with pytest.raises(AttributeError):
        ember.nothing  # noqa: B018
    assert json.dumps(LMModuleConfig("a").id) == '"a"'


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: non.Verifier(model_name="m", temperature=0)(query="q"), "'candidate_answer'"),
        (lambda: non.JudgeSynthesis()(inputs={"query": "q", "conclusions": []}), "'responses'"),
        (lambda: MostCommonAnswerSelector()(query="q"), "'responses'"),
        (lambda: VerifierOperator(lm_module=LMModule())(query="q"), "'candidate_answer'"),
        (lambda: LMModule(simulate_api=True), "without a model"),
        (lambda: LMModuleConfig("a", model_name="b"), "name two models"),
        (lambda: LMModuleConfig(response_format={}), "says too little"),
        (lambda: EnsembleOperator(lm_modules=[]), "of no models"),
        (lambda: LMModule()(prompt=3), "a prompt is a text"),  # type: ignore[arg-type]
    ],
)
def test_what_built_in_operators_refuse(call: Any, words: str, engine: FakeEngine) -> None:
    with pytest.raises(ValueError, match=words):
        call()


class Voting(Operator[Question, Answer]):
    def __init__(self) -> None:
        self.several = non.UniformEnsemble(num_units=3, model_name="m", temperature=0.7)
        self.vote = non.MostCommon()

    def forward(self, *, inputs: Question) -> Answer:
        several = self.several(query=inputs.query)
        return Answer(answer=self.vote(responses=several.responses).final_answer)


@pytest.mark.parametrize("op", [Voting(), Voting().several >> Voting().vote, Voting().several])
def test_use_holds_in_runs_of_operators_over_rows(op: Any, tmp_path: Path) -> None:
    if not isinstance(op, Operator):  # a chain is run with the engine that it is given
        with (
            ember.use(engine=FakeEngine()),
            pytest.raises(ChainlangError, match="no model is called 'm'"),
        ):
            list(op.map(["p"]))
        return
    with ember.use(engine=FakeEngine(answers=lambda request, index: "a"), cache_folder=None):
        assert [one.answer for one in op.map(["p", "q"])] == ["a", "a"]
        other = FakeEngine(answers=lambda request, index: "b")
        assert [one.answer for one in op.map(["p"], engine=other)] == ["b"]
        assert "generate 3" in str(op.explain(["p"]))
        assert op.run(["p"], tmp_path / "out").rows == 1

        async def answers() -> list[Any]:
            return [one.answer async for one in op.amap(["p"])]

        assert asyncio.run(answers()) == ["a"]
