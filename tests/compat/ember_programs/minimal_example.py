"""An operator on numbers, called in each of the three ways."""

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel, Field


class Reading(EmberModel):
    celsius: float = Field(description="a temperature")
    digits: int = Field(default=1, description="digits after the point")


class Converted(EmberModel):
    fahrenheit: float
    steps: list[str] = Field(default_factory=list)

    def summary(self) -> str:
        return f"{self.fahrenheit} F after {len(self.steps)} steps"


class ConversionSpecification(Specification):
    input_model: type[EmberModel] = Reading
    structured_output: type[EmberModel] = Converted


class Convert(Operator[Reading, Converted]):
    specification: Specification = ConversionSpecification()
    scale: float
    offset: float

    def __init__(self, *, scale: float = 1.8, offset: float = 32.0) -> None:
        self.scale = scale
        self.offset = offset

    def forward(self, *, inputs: Reading) -> Converted:
        scaled = inputs.celsius * self.scale
        result = round(scaled + self.offset, inputs.digits)
        return Converted(fahrenheit=result, steps=[f"* {self.scale}", f"+ {self.offset}"])


def main() -> None:
    convert = Convert()
    print("model:   ", convert(inputs=Reading(celsius=21.37, digits=2)).fahrenheit)
    print("dict:    ", convert(inputs={"celsius": 100}).fahrenheit)
    last = convert(celsius=-40)
    print("keywords:", last.fahrenheit, last["steps"])
    print(last.summary())
