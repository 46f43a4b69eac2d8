"""Add, wait several times, multiply: a jitted pipeline of operators on dicts."""

from typing import Any

from chainlang.compat.ember.api.xcs import jit
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.xcs.engine.execution_options import execution_options


@jit()
class Add(Operator):
    specification = Specification(input_model=None, output_model=None)

    def __init__(self, *, value: int) -> None:
        self.value = value

    def forward(self, *, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"value": inputs.get("value", 0) + self.value}


@jit()
class Multiply(Operator):
    specification = Specification(input_model=None, output_model=None)

    def __init__(self, *, value: int) -> None:
        self.value = value

    def forward(self, *, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"value": inputs.get("value", 0) * self.value}


@jit()
class Pass(Operator):
    specification = Specification(input_model=None, output_model=None)

    def forward(self, *, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs


@jit(sample_input={"value": 1})
class Calculation(Operator):
    specification = Specification(input_model=None, output_model=None)

    def __init__(self, *, add: int, multiply: int, passes: int) -> None:
        self.add, self.multiply = Add(value=add), Multiply(value=multiply)
        self.passes = [Pass() for _ in range(passes)]

    def forward(self, *, inputs: dict[str, Any]) -> Any:
        added = self.add(inputs=inputs)
        passed = [one(inputs=added) for one in self.passes]
        return self.multiply(inputs=passed[-1])


def main() -> None:
    calculation = Calculation(add=10, multiply=3, passes=5)
    for value in (5, 10, 15, 5):
        print(f"({value} + 10) * 3 = {calculation(inputs={'value': value})['value']}")
    with execution_options(scheduler="sequential"):
        print(f"(20 + 10) * 3 = {calculation(value=20)['value']}")
