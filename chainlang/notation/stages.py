"""Conversion of a stage: its colon fields and its arguments."""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from chainlang.diagnostics.source import Span, part_span
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Literal, Option, Stage, Table
from chainlang.ir.row_settings import is_template
from chainlang.ir.tables import is_plain
from chainlang.notation import literals
from chainlang.notation.values import ValueReader

if TYPE_CHECKING:
    from lark import Token

# The point comes between the digits: two adjacent repetitions would make matching quadratic.
TEMPERATURE = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
SIGNED = re.compile(r"[+-](?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


@frozen
class Argument:
    """One argument of a call: its keyword, if it has one, its value and its span."""

    name: str | None
    value: Literal | Expr | Table
    span: Span | None
    name_span: Span | None = None

    @property
    def is_literal(self) -> bool:
        """Whether the value is a literal or a table of them, and holds no chain."""
        return is_plain(self.value)


@define
class StageReader(ValueReader):
    """Converter of stages, without chains in their arguments."""

    def fields(
        self, fields: list[Token], parts: list[tuple[str, Span]]
    ) -> tuple[str | None, float | None]:
        """Return the model and the temperature of the colon fields after the type.

        The last field is the temperature if it is a number; all others are the model.
        """
        if not fields:
            return None, None
        spans = [Span(self.source, (f.start_pos or 0) + 1, f.end_pos or 0) for f in fields]
        for span in spans:
            if self.source.text[span.start - 2].isspace():
                self.note(
                    "field",
                    "unexpected space before a field",
                    Span(self.source, span.start - 2, span.start),
                    "write a stage in one word, as in 3:E:tiny:0.7",
                )
                return None, None
        texts = [str(token)[1:] for token in fields]
        temperature = None
        last = texts[-1]
        if TEMPERATURE.match(last):
            temperature = self.temperature(last, spans[-1])
            parts.append(("temperature", spans[-1]))
            texts.pop()
        elif SIGNED.match(last):
            self.note(
                "temperature",
                f"invalid temperature: {last}",
                spans[-1],
                f'a temperature is between 0 and 2; if this is a model, quote it: "{last}"',
            )
            texts.pop()
        if not texts or (texts == [""] and len(fields) == 2):
            return None, temperature
        where = Span(self.source, spans[0].start, spans[len(texts) - 1].end)
        parts.append(("model", where))
        for text, span in zip(texts, spans, strict=False):
            if text == "":
                self.note(
                    "field",
                    "missing field after ':'",
                    Span(self.source, span.start - 1, span.start),
                    "write a model or a temperature there, or leave the ':' out",
                )
                return None, temperature
        names = [
            self.string(text, span.start) if text[0] in "\"'" else text
            for text, span in zip(texts, spans, strict=False)
        ]
        if names == [""]:
            self.note("field", "the name of the model is empty", where, "leave the field out")
            return None, temperature
        return ":".join(names), temperature

    def configured(  # noqa: PLR0917
        self,
        name: str,
        count: int | None,
        model: str | None,
        temperature: float | None,
        given: list[Argument],
        span: Span,
    ) -> Stage:
        """Return a stage from its colon fields and its arguments, none of which is a chain."""
        parts = dict(span.parts)
        values: dict[str, Any] = {"count": count, "model": model, "temperature": temperature}
        written = {key for key in values if key in parts}
        positions = iter(("model", "count", "temperature"))
        options: dict[str, Option] = {}
        for argument in given:
            key = argument.name
            if key is None:
                key = next(positions, None)
                if key is None or not written.isdisjoint({"model", "temperature"}):
                    self.note(
                        "argument",
                        "a stage takes a model, a count and a temperature, each once",
                        argument.span,
                        f'write {name}("model", 3, 0.7) or 3:{name}:model:0.7, '
                        "and anything else as name=value",
                    )
                    continue
            if key not in values:
                options[key] = Option(key, argument.value, span=argument.span)
                continue
            if argument.value is not None and (key in written or values[key] is not None):
                self.note("argument", f"the {key} is given twice", argument.span)
            elif not _FITS[key](argument.value):
                if not self.is_faulty(argument):
                    self.note(
                        "argument",
                        f"the {key} of a stage is {_KINDS[key]}, "
                        f"not {literals.print_literal(argument.value)}",  # type: ignore[arg-type]
                        part_span(argument.span, "value"),
                        f'write 9:{name}(samples="{argument.value}"), with the most of them first'
                        if key == "count" and is_template(argument.value)
                        else f'a stage is called as {name}("model", 3, 0.7)' + _unquoted(argument),
                    )
            elif argument.value is not None:
                values[key] = argument.value
                if argument.span:
                    parts[key] = argument.span
        for key in ("model", "temperature"):
            if is_template(values[key]):
                options[key] = Option(key, values[key], span=parts.pop(key, None))
                values[key] = None
        if values["temperature"] is not None:
            values["temperature"] = float(values["temperature"])
        model = values["model"]
        return Stage(
            intern(name),  # equal names compare faster, and chains repeat a few names often
            1 if values["count"] is None else values["count"],
            None if model is None else intern(model),
            values["temperature"],
            build.options(options.values()),
            span=Span(self.source, span.start, span.end, tuple(parts.items())),
        )

    def is_faulty(self, argument: Argument) -> bool:
        """Return whether there is a diagnostic inside an argument already."""
        here = argument.span
        spans = [one.span for one in self.found]
        return here is not None and any(s and here.start <= s.start < here.end for s in spans)


def _unquoted(argument: Argument) -> str:
    """Return a hint for a quoted argument that may have been meant as a chain."""
    is_text = isinstance(argument.value, str) and not argument.value.isdigit()
    return "; a chain in a call is written without quotes" if is_text and argument.value else ""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FITS = {
    "model": lambda value: value is None or (isinstance(value, str) and value != ""),
    "count": lambda value: value is None or _is_integer(value),
    "temperature": lambda value: (
        value is None or _is_integer(value) or isinstance(value, float) or is_template(value)
    ),
}
_KINDS = {"model": "a name in quotes", "count": "a whole number", "temperature": "a number"}
