"""vmap, pmap and structural_jit over operators on dicts, alone, together, and in chunks."""

from typing import Any, ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.xcs.engine.execution_options import execution_options
from chainlang.compat.ember.xcs.tracer.structural_jit import structural_jit
from chainlang.compat.ember.xcs.transforms.pmap import pmap
from chainlang.compat.ember.xcs.transforms.vmap import vmap

Fields = dict[str, Any]
TEXTS = ["one text", "a second text", "the third", "and a last one"]


class Tokenize(Operator[Fields, Fields]):
    specification: ClassVar[Specification] = Specification()
    longest: int

    def __init__(self, *, longest: int = 12) -> None:
        self.longest = longest

    def forward(self, *, inputs: Fields) -> Fields:
        text = inputs.get("text", "")
        if not isinstance(text, str):
            raise TypeError(f"one text, not {type(text).__name__}")
        return {"tokens": text[: self.longest].split(), "length": len(text)}


class Features(Operator[Fields, Fields]):
    specification: ClassVar[Specification] = Specification()

    def forward(self, *, inputs: Fields) -> Fields:
        return {"initials": "".join(one[0] for one in inputs["tokens"])}


@structural_jit
class Analysis(Operator[Fields, Fields]):
    specification: ClassVar[Specification] = Specification()
    tokenize: Tokenize
    features: Features

    def __init__(self) -> None:
        self.tokenize, self.features = Tokenize(), Features()

    def forward(self, *, inputs: Fields) -> Fields:
        tokens = self.tokenize(inputs=inputs)
        features = self.features(inputs=tokens)
        return {"length": tokens.get("length", 0), "initials": features.get("initials")}


def main() -> None:
    print("one:     ", Tokenize()(inputs={"text": TEXTS[0]}))
    batch = vmap(Tokenize())(inputs={"text": TEXTS})
    print("vmap:    ", batch["length"], batch["tokens"][1])
    print("pmap:    ", pmap(Tokenize(), num_workers=3)(inputs={"text": TEXTS})["length"])
    print("both:    ", pmap(vmap(Tokenize()), num_workers=2)(inputs={"text": TEXTS})["length"])
    print("jit:     ", Analysis()(inputs={"text": TEXTS[1]}))
    print("vmap jit:", vmap(Analysis())(inputs={"text": TEXTS}))
    for options in ({"use_parallel": False}, {"max_workers": 2}, {"scheduler": "wave"}):
        with execution_options(**options):
            print("options: ", vmap(Analysis())(inputs={"text": TEXTS})["initials"])
    chunks = [TEXTS[start : start + 2] for start in range(0, len(TEXTS), 2)]
    found = [one for chunk in chunks for one in vmap(Analysis())(inputs={"text": chunk})["length"]]
    print("chunks:  ", found)
