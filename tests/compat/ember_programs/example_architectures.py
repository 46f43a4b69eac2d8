"""A nested network in two styles: classes that hold operators, and a sequence."""

from typing import ClassVar

from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel, Field
from chainlang.compat.ember.core.utils.logging import configure_logging


class NetworkInput(EmberModel):
    query: str = Field(description="a question")


class NetworkOutput(EmberModel):
    final_answer: str


class NetworkSpecification(Specification):
    input_model: type[EmberModel] = NetworkInput
    structured_output: type[EmberModel] = NetworkOutput


class Checked(Operator[NetworkInput, NetworkOutput]):
    specification: ClassVar[Specification] = NetworkSpecification()
    ensemble: non.UniformEnsemble
    verifier: non.Verifier

    def __init__(self, *, model_name: str, num_units: int = 2) -> None:
        self.ensemble = non.UniformEnsemble(
            num_units=num_units, model_name=model_name, temperature=0.7
        )
        self.verifier = non.Verifier(model_name=model_name, temperature=0.0)

    def forward(self, *, inputs: NetworkInput) -> NetworkOutput:
        first = self.ensemble(query=inputs.query)["responses"][0]
        checked = self.verifier(query=inputs.query, candidate_answer=first)
        return NetworkOutput(final_answer=checked["revised_answer"] or first)


class Network(Operator[NetworkInput, NetworkOutput]):
    specification: ClassVar[Specification] = NetworkSpecification()
    left: Checked
    right: Checked
    judge: non.JudgeSynthesis

    def __init__(self, *, model_name: str = "gpt-4o") -> None:
        self.left, self.right = Checked(model_name=model_name), Checked(model_name=model_name)
        self.judge = non.JudgeSynthesis(model_name=model_name, temperature=0.0)

    def forward(self, *, inputs: NetworkInput) -> NetworkOutput:
        both = [self.left(inputs=inputs).final_answer, self.right(inputs=inputs).final_answer]
        judged = self.judge(query=inputs.query, responses=both)
        return NetworkOutput(final_answer=judged["synthesized_response"])


def sequence(model_name: str) -> non.Sequential:
    return non.Sequential(
        operators=[
            non.UniformEnsemble(num_units=3, model_name=model_name, temperature=0.7),
            non.JudgeSynthesis(model_name=model_name, temperature=0.0),
            non.Verifier(model_name=model_name, temperature=0.0),
        ]
    )


def main() -> None:
    configure_logging(verbose=False)
    question = "What is the capital of Australia?"
    print("classes: ", Network()(inputs=NetworkInput(query=question)).final_answer)
    found = sequence("gpt-4o")(query=question)
    print("sequence:", found.answer, found["verdict"])
