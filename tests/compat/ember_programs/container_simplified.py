"""An operator that holds two others and passes a text through both, traced by jit."""

from typing import ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel
from chainlang.compat.ember.xcs.tracer.tracer_decorator import jit


class Draft(EmberModel):
    text: str


class Polished(EmberModel):
    text: str
    words: int


class DraftSpecification(Specification):
    input_model: type[EmberModel] = Draft
    output_model: type[EmberModel] = Polished


@jit()
class Clean(Operator[Draft, Polished]):
    specification: ClassVar[Specification] = DraftSpecification()

    def forward(self, *, inputs: Draft) -> Polished:
        words = inputs.text.lower().split()
        return Polished(text=" ".join(words), words=len(words))


@jit()
class Punctuate(Operator[Polished, Polished]):
    specification: ClassVar[Specification] = DraftSpecification()

    def forward(self, *, inputs: Polished) -> Polished:
        return Polished(text=f"{inputs.text.capitalize()}.", words=inputs.words)


@jit()
class Editor(Operator[Draft, Polished]):
    specification: ClassVar[Specification] = DraftSpecification()
    clean: Clean
    punctuate: Punctuate

    def __init__(self) -> None:
        self.clean = Clean()
        self.punctuate = Punctuate()

    def forward(self, *, inputs: Draft) -> Polished:
        return self.punctuate(inputs=self.clean(inputs=inputs))


def main() -> None:
    editor = Editor()
    for text in ("  THE   chain\nruns", "every ROW goes its own way"):
        polished = editor(inputs=Draft(text=text))
        print(f"{polished.words} words: {polished.text}")
