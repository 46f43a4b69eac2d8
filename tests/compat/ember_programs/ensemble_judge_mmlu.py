"""Multiple choice by one model, and by an ensemble of three styles of prompt with a judge."""

from typing import Any, ClassVar

from chainlang.compat.ember.api.xcs import execution_options, jit
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.operator.core.synthesis_judge import (
    JudgeSynthesisOperator,
)
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel

ROWS = [
    {"query": "What is the capital of Peru?", "choices": ["Lima", "Cusco"], "answer": "Lima"},
    {"query": "And that of Kenya?", "choices": ["Mombasa", "Nairobi"], "answer": "Nairobi"},
]
STYLES = ("Answer at once.", "Think step by step.", "Rule out what is wrong.")


class Item(EmberModel):
    query: str
    choices: list[str]


class Chosen(EmberModel):
    answer: str


class ItemSpecification(Specification):
    input_model: type[EmberModel] = Item
    structured_output: type[EmberModel] = Chosen
    prompt_template: str = "{query} One of: {choices}"


class Baseline(Operator[Item, Chosen]):
    specification: ClassVar[Specification] = ItemSpecification()
    lm: LMModule

    def __init__(self) -> None:
        self.lm = LMModule(config=LMModuleConfig(id="gpt-4o-mini", temperature=0.0))

    def forward(self, *, inputs: Item) -> Chosen:
        return Chosen(answer=self.lm(prompt=self.specification.render_prompt(inputs=inputs)))


@jit
class Panel(Operator[Item, Chosen]):
    specification: ClassVar[Specification] = ItemSpecification()
    members: list[LMModule]
    judge: JudgeSynthesisOperator

    def __init__(self) -> None:
        self.members = [
            LMModule(LMModuleConfig(id="gpt-4o-mini", temperature=0.7, cot_prompt=style))
            for style in STYLES
        ]
        self.judge = JudgeSynthesisOperator(lm_module=LMModule(LMModuleConfig(id="gpt-4o")))

    def forward(self, *, inputs: Item) -> Any:
        prompt = self.specification.render_prompt(inputs=inputs)
        answers = [member(prompt=prompt) for member in self.members]
        judged = self.judge(inputs={"query": prompt, "responses": answers})
        return {"answer": judged.final_answer}


def accuracy(system: Operator[Item, Chosen]) -> float:
    found = [system(query=row["query"], choices=row["choices"]).answer for row in ROWS]
    return sum(one == row["answer"] for one, row in zip(found, ROWS, strict=True)) / len(ROWS)


def main() -> None:
    print("baseline:", accuracy(Baseline()))
    for scheduler in ("sequential", "wave", "parallel", "auto"):
        with execution_options(scheduler=scheduler):
            print(f"{scheduler}:", accuracy(Panel()))
