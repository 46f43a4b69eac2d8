"""Two jitted operators, one that answers and one that gathers, with what jit says about them."""

from typing import ClassVar

from chainlang.compat.ember.api.xcs import jit
from chainlang.compat.ember.core.registry.operator.base.operator_base import (
    Operator,
    Specification,
)
from chainlang.compat.ember.core.types.ember_model import EmberModel, Field
from chainlang.compat.ember.xcs import execution_options, explain_jit_selection, get_jit_stats


class Asked(EmberModel):
    query: str = Field(description="a question")


class Replies(EmberModel):
    responses: list[str]


class Gathered(EmberModel):
    final_answer: str
    confidence: float


class AnswerSpecification(Specification):
    input_model: type[EmberModel] = Asked
    structured_output: type[EmberModel] = Replies


class GatherSpecification(Specification):
    input_model: type[EmberModel] = Replies
    structured_output: type[EmberModel] = Gathered


@jit
class Answer(Operator):
    specification: ClassVar[Specification] = AnswerSpecification()

    def __init__(self, *, model_id: str = "anthropic:claude-3-5-sonnet") -> None:
        self.model_id = model_id

    def forward(self, *, inputs: Asked) -> Replies:
        endings = ("briefly", "at length", "once more")
        return Replies(responses=[f"{inputs.query.rstrip('?')}, {one}" for one in endings])


@jit
class Gather(Operator):
    specification: ClassVar[Specification] = GatherSpecification()

    def forward(self, *, inputs: Replies) -> Gathered:
        return Gathered(final_answer=min(inputs.responses, key=len), confidence=0.95)


@jit
class Both(Operator):
    specification: ClassVar[Specification] = Specification(
        input_model=Asked, structured_output=Gathered
    )

    def __init__(self) -> None:
        self.answer, self.gather = Answer(), Gather()

    def forward(self, *, inputs: Asked) -> Gathered:
        gathered: Gathered = self.gather(inputs=self.answer(inputs=inputs))
        return gathered


def main() -> None:
    both = Both()
    with execution_options(scheduler="parallel"):
        for query in ("What is a chain?", "What is a link?"):
            found = both(inputs={"query": query})
            print(found.final_answer, found.confidence)
    stats = get_jit_stats(Both)
    print("calls:", stats["calls"], "of them overlapping inside:", stats["overlapped_calls"])
    print(explain_jit_selection(both)["strategy"])
