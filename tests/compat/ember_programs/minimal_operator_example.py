"""Two operators, the second called by hand with what the first returned."""

from typing import Any, ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import (
    Operator,
    Specification,
)
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Line(EmberModel):
    text: str


class Words(EmberModel):
    words: list[str]


class Count(EmberModel):
    total: int
    longest: str


class SplitSpecification(Specification):
    input_model = Line
    structured_output = Words


class CountSpecification(Specification):
    input_model = Words
    structured_output = Count


class Split(Operator[Line, Words]):
    specification: ClassVar[Specification] = SplitSpecification()

    def forward(self, *, inputs: Line) -> Words:
        return Words(words=inputs.text.lower().split())


class Measure(Operator[Words, Count]):
    specification: ClassVar[Specification] = CountSpecification()

    def forward(self, *, inputs: Words) -> Any:
        return {"total": len(inputs.words), "longest": max(inputs.words, key=len)}


def main() -> None:
    words = Split()(inputs={"text": "A Judge reads ALL candidates"})
    count = Measure()(inputs=words)
    print(words.words)
    print(type(count).__name__, count.total, count.longest)
