"""Network flows labelled by an ensemble, and its labels weighed by a judge with its own prompt."""

from typing import Any, ClassVar

from chainlang.compat.ember.core import non
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel

MODEL = "foundry:avior"


class Flows(EmberModel):
    question: str
    unlabeled: list[str]


class Labels(EmberModel):
    label: str


class LabelSpecification(Specification):
    input_model: type[EmberModel] = Flows
    structured_output: type[EmberModel] = Labels
    prompt_template: str = (
        "You inspect traffic for intrusions.\n{question}\n{unlabeled}\n"
        "Write one digit for each flow, 1 for malicious and 0 for benign."
    )


class LabelFlows(Operator[Flows, Labels]):
    specification: ClassVar[Specification] = LabelSpecification()
    ensemble: non.UniformEnsemble
    judge: LMModule

    def __init__(self, *, units: int = 3) -> None:
        self.ensemble = non.UniformEnsemble(num_units=units, model_name=MODEL, temperature=0.7)
        self.judge = LMModule(
            config=LMModuleConfig(id=MODEL, temperature=0.1, persona="A security analyst.")
        )

    def forward(self, *, inputs: Flows) -> Any:
        prompt = self.specification.render_prompt(inputs=inputs)
        labels = self.ensemble(inputs={"query": prompt}).responses
        listed = "\n".join(f"Labels {number}: {one}" for number, one in enumerate(labels, 1))
        return {"label": self.judge(prompt=f"Which labels are right?\n{listed}")}


def main() -> None:
    flows = ["src=10.0.0.3 port=22 tries=900", "src=10.0.0.4 port=443 tries=1"]
    found = LabelFlows()(inputs=Flows(question="Which of these flows attack?", unlabeled=flows))
    for flow, digit in zip(flows, found.label, strict=True):
        print(digit, flow)
