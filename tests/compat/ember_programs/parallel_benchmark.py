"""An ensemble of several models run one by one, by the default, and in parallel: equal answers."""

from typing import Any, ClassVar

from chainlang.compat.ember.api.xcs import execution_options, jit
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.operator.core.ensemble import EnsembleOperator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Prompt(EmberModel):
    query: str


class Timed(EmberModel):
    responses: list[str]
    units: int


@jit
class Bench(Operator[Prompt, Timed]):
    specification: ClassVar[Specification] = Specification(
        input_model=Prompt, structured_output=Timed
    )
    ensembles: list[EnsembleOperator]

    def __init__(self, *, models: list[str]) -> None:
        modules = [LMModule(LMModuleConfig(id=name, max_tokens=16)) for name in models]
        self.ensembles = [EnsembleOperator(lm_modules=[module]) for module in modules]

    def forward(self, *, inputs: Prompt) -> Any:
        results = [ensemble(inputs=inputs) for ensemble in self.ensembles]
        responses = [one for result in results for one in result.responses]
        return {"responses": responses, "units": len(results)}


def main() -> None:
    bench = Bench(models=["gpt-4o-mini", "haiku", "flash"])
    runs: dict[str, dict[str, Any]] = {"sequential": {"scheduler": "sequential"}, "auto": {}}
    runs["parallel"] = {"scheduler": "parallel", "max_workers": 3}
    for name, options in runs.items():
        with execution_options(**options):
            found = bench(query="What is the capital of Peru?")
        print(f"{name}: {found.units} units, {found.responses}")
