"""Several lines of reasoning, each verified, and one answer made of them."""

from typing import Any, ClassVar

from chainlang.compat.ember.api.xcs import execution_options, jit
from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.operator.core.synthesis_judge import (
    JudgeSynthesisOperator,
)
from chainlang.compat.ember.core.registry.operator.core.verifier import VerifierOperator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel, Field


class Problem(EmberModel):
    query: str
    context: str | None = None


class Path(EmberModel):
    conclusion: str
    verdict: str = ""


class Solution(EmberModel):
    final_answer: str
    confidence: float = Field(ge=0, le=1)
    paths: list[Path]


class SolutionSpecification(Specification):
    input_model: type[EmberModel] = Problem
    structured_output: type[EmberModel] = Solution


@jit
class Reason(Operator[Problem, dict[str, Any]]):
    ensemble: non.UniformEnsemble

    def __init__(self, units: int) -> None:
        self.ensemble = non.UniformEnsemble(
            num_units=units, model_name="openai:gpt-4o", temperature=0.7
        )

    def forward(self, *, inputs: Problem) -> dict[str, Any]:
        asked = inputs.query if inputs.context is None else f"{inputs.context}\n{inputs.query}"
        found = self.ensemble(inputs={"query": asked})
        return {"query": inputs.query, "paths": [Path(conclusion=one) for one in found.responses]}


@jit
class Check(Operator[dict[str, Any], dict[str, Any]]):
    verifier: VerifierOperator

    def __init__(self, model_name: str = "anthropic:claude-3-sonnet") -> None:
        config = LMModuleConfig(model_name=model_name, temperature=0.2)
        self.verifier = VerifierOperator(lm_module=LMModule(config=config))

    def forward(self, *, inputs: dict[str, Any]) -> dict[str, Any]:
        query, paths = inputs["query"], inputs["paths"]
        results = [
            self.verifier(inputs={"query": query, "candidate_answer": path.conclusion})
            for path in paths
        ]
        checked = [Path(conclusion=result.answer, verdict=result.verdict) for result in results]
        return {"query": query, "paths": checked}


@jit
class Synthesize(Operator[dict[str, Any], Solution]):
    judge: JudgeSynthesisOperator

    def __init__(self, model_name: str = "anthropic:claude-3-opus") -> None:
        config = LMModuleConfig(model_name=model_name, temperature=0.2)
        self.judge = JudgeSynthesisOperator(lm_module=LMModule(config=config))

    def forward(self, *, inputs: dict[str, Any]) -> Solution:
        paths = inputs["paths"]
        responses = [path.conclusion for path in paths]
        judged = self.judge(inputs={"query": inputs["query"], "responses": responses})
        right = sum(path.verdict == "correct" for path in paths)
        answer = judged.get("final_answer", "")
        return Solution(final_answer=answer, confidence=right / len(paths), paths=paths)


@jit
class ReasoningSystem(Operator[Problem, Solution]):
    specification: ClassVar[Specification] = SolutionSpecification()
    reason: Reason
    check: Check
    synthesize: Synthesize

    def __init__(self, units: int = 3) -> None:
        self.reason, self.check, self.synthesize = Reason(units), Check(), Synthesize()

    def forward(self, *, inputs: Problem) -> Solution:
        return self.synthesize(inputs=self.check(inputs=self.reason(inputs=inputs)))


def main() -> None:
    system = ReasoningSystem(units=3)
    with execution_options(max_workers=4):
        found = system(inputs={"query": "What is the capital of Australia?"})
    print(found.final_answer, f"{found.confidence:.2f}")
    for path in found.paths:
        print("-", path.conclusion, path.verdict)
