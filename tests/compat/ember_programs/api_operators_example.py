"""Operators of the public API over a stand-in for a model: one, several, a vote, a judge."""

from typing import Any, ClassVar

from chainlang.compat.ember.api.operators import (
    EnsembleOperator,
    Field,
    JudgeSynthesisOperator,
    MostCommonAnswerSelector,
    Operator,
    Specification,
)
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Question(EmberModel):
    question: str = Field(..., description="a question")


class Reply(EmberModel):
    answer: str = Field(..., description="its answer")
    confidence: float = Field(default=1.0)


class Views(EmberModel):
    answers: list[str] = Field(..., description="one for each view")


class MockModule:
    """Stands in for a model where no key is set."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *, prompt: str) -> str:
        if "Final Answer" in prompt:
            return "Reasoning: The views agree.\nFinal Answer: 42, from every side"
        view = prompt.partition(":")[0] if ":" in prompt else self.name
        return f"{view} says 42" if ":" in prompt else "42"


class Answerer(Operator[Question, Reply]):
    specification: ClassVar[Specification[Question, Reply]] = Specification(
        input_model=Question, structured_output=Reply
    )
    lm_module: Any

    def __init__(self, *, name: str) -> None:
        self.lm_module = MockModule(name)

    def forward(self, *, inputs: Question) -> Reply:
        return Reply(answer=str(self.lm_module(prompt=inputs.question)), confidence=0.95)


class Diverse(Operator[Question, Views]):
    specification: ClassVar[Specification[Question, Views]] = Specification(
        input_model=Question, structured_output=Views
    )
    views: list[str]
    lm_module: Any

    def __init__(self, *, views: list[str]) -> None:
        self.views = views
        self.lm_module = MockModule("gpt-4")

    def forward(self, *, inputs: Question) -> Views:
        prompts = [f"{view}: {inputs.question}" for view in self.views]
        return Views(answers=[self.lm_module(prompt=prompt) for prompt in prompts])


class LoudEnsemble(EnsembleOperator):
    def forward(self, *, inputs: Any) -> Any:
        return {"responses": [f"{lm(prompt=inputs['query'])}!" for lm in self.lm_modules]}


def main() -> None:
    question = Question(question="What is six times seven?")
    first = Answerer(name="gpt-4")(inputs=question)
    print("one:      ", first.answer, first.confidence)
    names = ("gpt-4", "claude", "gemini")
    several = LoudEnsemble(lm_modules=[MockModule(name) for name in names])
    responses = several(inputs={"query": question.question})["responses"]
    print("several:  ", responses)
    print("voted:    ", MostCommonAnswerSelector()(inputs={"responses": responses})["final_answer"])
    views = Diverse(views=["Algebra", "History"])(inputs=question)
    judge = JudgeSynthesisOperator(lm_module=MockModule("claude"))
    joined = judge(inputs={"query": question.question, "responses": views.answers})
    print("views:    ", views.answers)
    print("judged:   ", joined["final_answer"], "/", joined["reasoning"])
