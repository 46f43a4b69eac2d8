"""A container of an ensemble and a vote, which adds the confidence of the vote."""

from typing import ClassVar

from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel
from chainlang.compat.ember.xcs.engine.execution_options import execution_options
from chainlang.compat.ember.xcs.tracer.tracer_decorator import jit


class Query(EmberModel):
    query: str


class Voted(EmberModel):
    answer: str
    confidence: float


class VotedSpecification(Specification):
    input_model: type[EmberModel] = Query
    structured_output: type[EmberModel] = Voted


@jit
class VotingPanel(Operator[Query, Voted]):
    specification: ClassVar[Specification] = VotedSpecification()
    ensemble: non.UniformEnsemble
    aggregator: non.MostCommon

    def __init__(self, *, width: int, model_name: str = "openai:gpt-4o-mini") -> None:
        self.ensemble = non.UniformEnsemble(num_units=width, model_name=model_name, temperature=0.8)
        self.aggregator = non.MostCommon()

    def forward(self, *, inputs: Query) -> Voted:
        answers = self.ensemble(inputs={"query": inputs.query})
        voted = self.aggregator(inputs={"query": inputs.query, "responses": answers["responses"]})
        return Voted(answer=voted["final_answer"], confidence=voted.get("confidence", 0.0))


def main() -> None:
    for width in (3, 9):
        voted = VotingPanel(width=width)(query="What is the capital of Australia?")
        print(f"{width}: {voted.answer}, {voted.confidence:.2f}")
    with execution_options(scheduler="sequential"):
        print(VotingPanel(width=3)(query="What is the capital of Australia?").answer)
