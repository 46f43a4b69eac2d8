"""An ensemble of stand-ins for models, and a vote, without any engine."""

from typing import Any, ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel, Field


class Ask(EmberModel):
    query: str = Field(description="a question")


class Said(EmberModel):
    responses: list[str]
    final_answer: str
    confidence: float


class AskSpecification(Specification):
    input_model: type[EmberModel] = Ask
    structured_output: type[EmberModel] = Said


class PretendModel:
    """A model that knows some capitals, and answers the given ones wrongly."""

    capitals: ClassVar[dict[str, str]] = {"france": "Paris", "peru": "Lima", "kenya": "Nairobi"}

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong

    def __call__(self, prompt: str, **_: Any) -> str:
        for country, capital in self.capitals.items():
            if country in prompt.lower():
                return "Atlantis" if country == self.wrong else capital
        return "unknown"


class PretendEnsemble(Operator[Ask, Said]):
    specification: ClassVar[Specification] = AskSpecification()
    lm_modules: list[PretendModel]

    def __init__(self, wrong: list[str]) -> None:
        self.lm_modules = [PretendModel(one) for one in wrong]

    def forward(self, *, inputs: Ask) -> Said:
        responses = [lm(inputs.query) for lm in self.lm_modules]
        best = max(responses, key=responses.count)
        share = responses.count(best) / len(responses)
        return Said(responses=responses, final_answer=best, confidence=share)


def main() -> None:
    ensemble = PretendEnsemble(["peru", "", "kenya", ""])
    for country in ("France", "Peru", "Kenya", "Atlantis"):
        said = ensemble(inputs=Ask(query=f"What is the capital of {country}?"))
        print(f"{country}: {said.final_answer} ({said.confidence:.2f} of {len(said.responses)})")
