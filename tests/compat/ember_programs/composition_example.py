"""One question refined, asked and voted on: composed functions, a nested class, plain calls."""

from collections.abc import Callable
from typing import Any, ClassVar

from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel
from chainlang.compat.ember.xcs.engine.execution_options import execution_options
from chainlang.compat.ember.xcs.tracer.tracer_decorator import jit

MODEL = "openai:gpt-4"


class Rough(EmberModel):
    query: str


class Clear(EmberModel):
    refined_query: str


class Answered(EmberModel):
    final_answer: str


class RefineSpecification(Specification):
    input_model: type[EmberModel] = Rough
    structured_output: type[EmberModel] = Clear
    prompt_template: str = "Refine this question so that it has one answer: {query}"


class NestedSpecification(Specification):
    input_model: type[EmberModel] = Rough
    structured_output: type[EmberModel] = Answered


@jit()
class Refine(Operator[Rough, Clear]):
    specification: ClassVar[Specification] = RefineSpecification()
    lm: LMModule

    def __init__(self, *, model_name: str) -> None:
        self.lm = LMModule(config=LMModuleConfig(model_name=model_name, temperature=0.3))

    def forward(self, *, inputs: Rough) -> Clear:
        try:
            reply = self.lm(prompt=self.specification.render_prompt(inputs=inputs))
        except RuntimeError:  # the question as it is, if the model can't be asked
            reply = inputs.query
        return Clear(refined_query=reply.strip())


@jit(sample_input={"query": "Why is the sky blue?"})
class Nested(Operator[Rough, Answered]):
    specification: ClassVar[Specification] = NestedSpecification()
    refine: Refine
    ensemble: non.UniformEnsemble
    vote: non.MostCommon

    def __init__(self, *, model_name: str) -> None:
        self.refine = Refine(model_name=model_name)
        self.ensemble = non.UniformEnsemble(num_units=3, model_name=model_name, temperature=0.7)
        self.vote = non.MostCommon()

    def forward(self, *, inputs: Rough) -> Answered:
        question = self.refine(inputs=inputs).refined_query
        found = self.ensemble(inputs={"query": question})
        voted = self.vote(inputs={"query": question, "responses": found["responses"]})
        return Answered(final_answer=voted["final_answer"])


def compose(*functions: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def composed(value: Any) -> Any:
        for one in reversed(functions):
            value = one(value)
        return value

    return composed


def main() -> None:
    refine = Refine(model_name=MODEL)
    ensemble = non.UniformEnsemble(num_units=3, model_name=MODEL, temperature=0.7)
    vote = non.MostCommon()

    def refined(row: dict[str, str]) -> dict[str, str]:
        return {"query": refine(inputs=Rough(**row)).refined_query}

    def answered(row: dict[str, str]) -> dict[str, Any]:
        return {**row, "responses": ensemble(inputs=row)["responses"]}

    question = {"query": "capital of Peru, roughly?"}
    print("refined: ", refined(question)["query"])
    print("composed:", compose(vote, answered, refined)(question).get("final_answer"))
    nested = Nested(model_name=MODEL)
    print("nested:  ", nested(inputs=question).final_answer)
    print("plain:   ", vote(inputs=answered(refined(question)))["final_answer"])
    with execution_options(scheduler="sequential"):
        print("in turn: ", nested(inputs=question).final_answer)
