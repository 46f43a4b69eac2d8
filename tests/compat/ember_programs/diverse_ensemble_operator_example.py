"""Each model gets the question after another prefix, drawn at random."""

from random import Random
from typing import ClassVar

from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel

PREFIXES = ["As a chemist:", "As a historian:", "As a cook:", "As a child:"]


class Question(EmberModel):
    query: str


class Views(EmberModel):
    responses: list[str]


class ViewsSpecification(Specification):
    input_model: type[EmberModel] = Question
    structured_output: type[EmberModel] = Views


class PrefixEnsemble(Operator[Question, Views]):
    specification: ClassVar[Specification] = ViewsSpecification()
    lm_modules: list[LMModule]
    prefixes: list[str]

    def __init__(self, lm_modules: list[LMModule], prefixes: list[str], name: str = "") -> None:
        self.lm_modules = lm_modules
        self.prefixes = prefixes

    def forward(self, *, inputs: Question) -> Views:
        chosen = Random(3).sample(self.prefixes, len(self.lm_modules))
        replies = [
            lm(prompt=f"{prefix}\n{inputs.query}").strip()
            for prefix, lm in zip(chosen, self.lm_modules, strict=True)
        ]
        return Views(responses=replies)


def main() -> None:
    modules = [
        LMModule(config=LMModuleConfig(model_name=name, temperature=0.5, max_tokens=256))
        for name in ("anthropic:claude-3-opus", "openai:gpt-4", "anthropic:claude-3-haiku")
    ]
    ensemble = PrefixEnsemble(modules, PREFIXES, name="views")
    for reply in ensemble(inputs=Question(query="What is salt?")).responses:
        print(reply)
