"""Add ten, then double: three numbers, one of them again, and one run one by one."""

from typing import ClassVar

from chainlang.compat.ember.api.xcs import execution_options, jit
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Number(EmberModel):
    value: int


class NumberSpecification(Specification):
    input_model: type[EmberModel] = Number
    output_model: type[EmberModel] = Number


@jit()
class AddTen(Operator[Number, Number]):
    specification: ClassVar[Specification] = NumberSpecification()

    def forward(self, *, inputs: Number) -> Number:
        return Number(value=inputs.value + 10)


@jit()
class Double(Operator[Number, Number]):
    specification: ClassVar[Specification] = NumberSpecification()

    def forward(self, *, inputs: Number) -> Number:
        return Number(value=2 * inputs.value)


@jit()
class Arithmetic(Operator[Number, Number]):
    specification: ClassVar[Specification] = NumberSpecification()
    add: AddTen
    double: Double

    def __init__(self) -> None:
        self.add, self.double = AddTen(), Double()

    def forward(self, *, inputs: Number) -> Number:
        return self.double(inputs=self.add(inputs=inputs))


def main() -> None:
    arithmetic = Arithmetic()
    for value in (5, 10, 15, 5):
        print(f"({value} + 10) * 2 =", arithmetic(inputs=Number(value=value)).value)
    with execution_options(scheduler="sequential"):
        print("(20 + 10) * 2 =", arithmetic(value=20).value)
