"""AUTO of 20 kinds, for the tests of what decides them."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from chainlang import Chain, chain, load, with_fields
from chainlang.ir.auto import auto_text

OP = 'op use : generate { user = "{{ query }} {{ value }}" }\nmain = use'


@frozen
class Kind:
    """A kind of AUTO: its words, its type if it is given, and the option that has it."""

    name: str
    words: str
    type: str | None = None
    option: str = "value"

    def chain(self) -> Chain:
        """Return a chain with one value of this kind."""
        text = auto_text(self.words, self.type)
        if self.option == "value":
            return with_fields(load(text=OP), value=text)
        if self.option in ("times", "max", "until"):
            call = {
                "times": "retry(E, times={})",
                "max": 'loop(E, until="true", max={})',
                "until": "loop(E, until={}, max=1)",
            }[self.option]
            given = f"auto({self.words!r})".replace("'", '"')
            return chain(call.format(given))
        if self.option == "by":
            given = f"auto({self.words!r})".replace("'", '"')
            return chain(f'route(by={given}, arms={{"a": E, "b": J, "c d": E:x}})')
        return chain("9:E").as_chain() if not self.option else _stage(self.option, text)


def _stage(option: str, text: str) -> Chain:
    from chainlang import E

    models: dict[str, Any] = {"models": ["small", "large"]} if option == "model" else {}
    return E(count=9, **{option: text}, **models)


KINDS = (
    Kind("free", "Determine the best analysis approach for this topic"),
    Kind("free list", "Generate search queries based on the research plan"),
    Kind("free number", "Determine optimal number of results per query"),
    Kind("listed", "Choose appropriate format: bullet_points, narrative, or structured"),
    Kind("listed after a comma", "Based on topic complexity, choose: shallow, medium, or deep"),
    Kind("two", "Select the tone: formal or informal."),
    Kind("int", "How many?", "int(1..1000)"),
    Kind("float", "How sure?", "float(0..1)"),
    Kind("bool", "Is it worth it?", "bool"),
    Kind("choice", "Which?", '"table" | "chart" | "list" | "json"'),
    Kind("list", "Which topics?", "list[str(1..20)](1..4)"),
    Kind("numbers", "Which years?", "list[int(1990..2030)](1..3)"),
    Kind("text", "A title", "str(1..60)"),
    Kind("date", "When?", "date"),
    Kind("shape", "Who?", "{ name: str(1..10), age: int(0..99) }"),
    Kind("temperature", "How creative?", option="temperature"),
    Kind("max_tokens", "How long?", option="max_tokens"),
    Kind("samples", "How many drafts?", option="samples"),
    Kind("model", "Which model?", option="model"),
    Kind("arm", "Which way?", option="by"),
)
