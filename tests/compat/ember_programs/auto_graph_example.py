"""The same pipeline plain and jitted: an ensemble, a vote, and an explanation of the vote."""

from typing import Any, ClassVar

from chainlang.compat.ember.api.xcs import execution_options, jit
from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Topic(EmberModel):
    query: str


class Explained(EmberModel):
    answer: str
    why: str


class ExplainedSpecification(Specification):
    input_model: type[EmberModel] = Topic
    structured_output: type[EmberModel] = Explained


class Plain(Operator[Topic, Explained]):
    specification: ClassVar[Specification] = ExplainedSpecification()
    ensemble: non.UniformEnsemble
    vote: non.MostCommon
    explainer: LMModule

    def __init__(self) -> None:
        self.ensemble = non.UniformEnsemble(num_units=5, model_name="gpt-4o", temperature=0.9)
        self.vote = non.MostCommon()
        self.explainer = LMModule(config=LMModuleConfig(model_name="claude", temperature=0.0))

    def forward(self, *, inputs: Topic) -> Any:
        responses = self.ensemble(inputs=inputs).responses
        answer = self.vote(inputs={"responses": responses}).final_answer
        why = self.explainer(prompt=f"Explain in a few words: {inputs.query} {answer}")
        return {"answer": answer, "why": why}


@jit()
class Automatic(Plain):
    """The same, as jit runs it."""


def main() -> None:
    query = "What is the capital of Kenya?"
    print("plain:    ", Plain()(query=query))
    automatic = Automatic()
    print("automatic:", automatic(query=query))
    with execution_options(scheduler="sequential"):
        print("in turn:  ", automatic(query=query))
