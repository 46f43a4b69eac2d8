"""Values that a model decides in a file of steps: before the first row, or in the row.

Words that read nothing are decided once, as `auto(...)` in a chain is: a `with_fields` around the
steps has the value. Words that read an input or a step are an op of the row, before its step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import define, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import suggest
from chainlang.ir import build
from chainlang.ir.auto import auto_text
from chainlang.ir.declarations import Op
from chainlang.ir.made_labels import made_labels
from chainlang.ir.nodes import Expr, Named, Option, Stage, WithFields
from chainlang.pipelines.document import Step
from chainlang.pipelines.templates import Translator, is_template
from chainlang.pipelines.values import Auto, Scalar, shown_path
from chainlang.semantics.auto_formats import (
    TEXT,
    choice,
    declared_type,
    of_words,
    op_of,
    type_of_option,
)

Decided: TypeAlias = "tuple[str, tuple[Expr, ...]]"
"""The expression of a value, or its text, and the parts of the step that decide it."""
SETTINGS = ("max_tokens", "model", "temperature")
"""Keys of a step that are options of its stage."""
_ATTRIBUTES = ("choices", "max", "min", "task", "type")
_TYPES: Mapping[str, str] = {
    "array": "list[str(1..100)](1..12)",
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "string": TEXT,
}
_KEYS: Mapping[str, str] = {"condition": "bool", "timeout": "float(1..3600)"}
_USER = """A setting has to be decided.
Setting: {place}
What it should be: {words}
Reply in JSON with the "value" alone."""


@define
class Autos:
    """The values of a file that a model decides; it has the fields and ops that they need."""

    taken: set[str]
    found: list[Diagnostic]
    fields: dict[str, Option] = field(factory=dict)
    """Fields around the steps, decided before the first row."""
    ops: dict[str, Op] = field(factory=dict)
    """Ops that decide in the row."""

    def decide(
        self, auto: Auto, step: Step, translator: Translator
    ) -> tuple[str, tuple[Expr, ...]]:
        """Return the expression of a value, and the parts of the step that decide it."""
        key = next((one for one in reversed(auto.path) if isinstance(one, str)), "value")
        (name,) = made_labels([f"{step.id.text}_{key}"], self.taken)
        self.taken.add(name)
        kind = self.type(auto, key)
        if not is_template(auto.text):
            self.fields[name] = Option(name, auto_text(auto.text, kind), span=auto.span)
            return name, ()
        words = translator.template(Scalar(auto.text, auto.span, auto.path)).text
        user = _USER.format(place=shown_path(auto.path), words=words)
        op = op_of(f"decide_{name}", kind or TEXT, user)
        assert op is not None  # its type has been checked
        self.ops[op.name] = op
        return f"{name}.answer", (Named(name, Stage(op.name)),)

    def setting(
        self, auto: Auto, step: Step, translator: Translator
    ) -> tuple[str, tuple[Expr, ...]]:
        """Return the value of a setting of a step, as text, and the parts that decide it."""
        key = str(auto.path[-1])
        if key == "model" and not self.models(auto):
            message = "a model is decided of a list, and these words have none"
            hint = "list them: <AUTO>choose the model: small, or large</AUTO>"
            self.found.append(Diagnostic("option", message, auto.span, hint))
        if not is_template(auto.text):
            return auto_text(auto.text, self.type(auto, key)), ()
        expression, parts = self.decide(auto, step, translator)
        return f"{{{{ {expression} }}}}", parts

    def models(self, auto: Auto) -> tuple[str, ...]:
        """Return the models that the words of an AUTO list."""
        given = dict(auto.attributes).get("choices")
        return tuple(one.strip() for one in given.split(",")) if given else of_words(auto.text)

    def type(self, auto: Auto, key: str) -> str | None:
        """Return the type of a value as its attributes, its key or its words say; None if none."""
        given = dict(auto.attributes)
        for name in given.keys() - set(_ATTRIBUTES):
            message = f"unknown attribute '{name}' of an <AUTO>"
            hint = suggest(name, _ATTRIBUTES)
            self.found.append(Diagnostic("unknown-option", message, auto.span, hint))
        if "choices" in given:
            return choice(tuple(dict.fromkeys(one.strip() for one in given["choices"].split(","))))
        if "type" in given or "min" in given or "max" in given:
            wanted = given.get("type", "number")
            made = _TYPES.get(wanted, wanted)
            if "min" in given or "max" in given:
                made = f"{made}({given.get('min', '')}..{given.get('max', '')})"
            if declared_type(made) is None:
                message = f"the type of this <AUTO> is none: {made}"
                hint = 'write type="integer" min="1" max="5", or a type of a .chain file'
                self.found.append(Diagnostic("type", message, auto.span, hint))
                return None
            return made
        known = _KEYS.get(key) or type_of_option(key)
        options = of_words(auto.text)
        return known or (choice(options) if options else None)

    def around(self, body: Expr) -> Expr:
        """Return the steps with the fields that are decided before the first row."""
        if not self.fields:
            return body
        return WithFields(body, build.options(self.fields.values()))
