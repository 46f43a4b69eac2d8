"""Files of steps into the declarations of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from attrs import evolve, frozen

from chainlang.diagnostics.diagnostic import Diagnostic, in_order
from chainlang.diagnostics.source import Span
from chainlang.errors import ChainlangError
from chainlang.ir import build
from chainlang.ir.declarations import (
    Constant,
    Default,
    Definition,
    Field,
    File,
    Input,
    Item,
    ListOf,
    Maybe,
    OneOf,
    Op,
    Shape,
    Type,
    TypeName,
)
from chainlang.ir.made_labels import made_labels
from chainlang.ir.nodes import Expr, Node, Timeout
from chainlang.notation import Parsed, parse_file, source
from chainlang.pipelines.actions import Actions
from chainlang.pipelines.autos import Autos
from chainlang.pipelines.build import RETRIES, Builder, value, with_fields
from chainlang.pipelines.document import InputField, Pipeline, Word
from chainlang.pipelines.names import Names
from chainlang.pipelines.parameters import as_template
from chainlang.pipelines.scopes import every_step, labels_of, repeated_ids
from chainlang.pipelines.templates import Translator
from chainlang.pipelines.translate import Given, Translation
from chainlang.pipelines.values import Auto, Fields, Items, Scalar
from chainlang.semantics.combinators import ITEM

MAIN = "main"
_AFTER = "after"
_TYPES: Mapping[str, Type] = {
    "string": TypeName("str"),
    "integer": TypeName("int"),
    "number": TypeName("float"),
    "boolean": TypeName("bool"),
    "array": ListOf(TypeName("str")),
}
"""Words of JSON schemas for types; any other is a type of a `.chain` file."""


@frozen
class Compiled:
    """The declarations of a file of steps, and the functions that it calls."""

    file: Parsed[File]
    functions: frozenset[str]


def compiled(
    whole: Pipeline,
    used: Iterable[Item],
    actions: Actions,
    load: Callable[[Word], Pipeline | None],
    diagnostics: list[Diagnostic],
) -> Compiled:
    """Return the declarations of a pipeline, with everything that is wrong with it.

    `used`: declarations of the files that it uses. `load`: returns the pipeline of a file inside.
    `diagnostics`: what is wrong with its keys; more is added.
    """
    diagnostics += repeated_ids(whole.steps)
    used = tuple(used)
    ops = {one.name: one for one in used if isinstance(one, Op)}
    actions = evolve(actions, ops=ops, by_model=actions.by_model or whole.by_model)
    inputs = [one.name.text for one in whole.inputs or ()]
    constants = [one.key for one in whole.constants]
    exact = {
        entry.key
        for one in every_step(whole.steps)
        if one.action is not None
        and one.parameters is not None
        and one.action.text.replace("-", "_") in {*ops, *actions.functions}
        for entry in one.parameters.entries
    }
    each = (one for one in every_step(whole.steps) if one.for_each is not None)
    items_of = {ITEM if one.item is None else one.item.text for one in each}
    taken = {*inputs, *constants, *ops, *exact, *items_of, _AFTER}
    labels = labels_of(whole.steps, taken)
    names = Names({}, {one: one for one in (*inputs, *constants)}, whole.inputs is None)
    autos = Autos(taken, diagnostics)
    translation = Translation(load, autos, diagnostics, taken)
    group = translation.pipeline(whole, labels, names)
    body: Expr | None = None
    builder = Builder(
        actions,
        _FieldNames({*translation.taken, _AFTER}),
        translation.reads,
        frozenset(translation.taken),
        RETRIES if whole.max_retries is None else whole.max_retries,
        whole.model,
        diagnostics,
    )
    outputs = None
    if whole.outputs:
        every = evolve(names, steps={one.step.id.text: one.label for one in group.steps})
        outputs = translation.table(whole.outputs, every, _refused(diagnostics))
    items: tuple[Item, ...] = ()
    if not any(one.severity == "error" for one in diagnostics) and group.steps:
        body = builder.group(group, whole.model)
        body = body if outputs is None else build.then(body, value(outputs))
        body = with_fields(body, _constants(whole, diagnostics), {one: one for one in constants})
        body = autos.around(body)
        body = body if whole.timeout is None else Timeout(body, float(whole.timeout))
        declared = _input(whole, diagnostics)
        items = (
            *used,
            *declared,
            *autos.ops.values(),
            *builder.ops.values(),
            Definition(MAIN, body),
        )
    if whole.checkpoints is not None:
        message = "'checkpoint_strategy' has no effect: a run records each sample as it is there"
        hint = "a run that was stopped goes on at the first sample that is missing: leave it out"
        span = whole.checkpoints.span
        diagnostics.append(Diagnostic("no-effect", message, span, hint, kind="key"))
    file = Parsed(File(items, span=whole.span), in_order(dict.fromkeys(diagnostics)))
    return Compiled(file, frozenset(builder.called))


class _FieldNames(dict[str, str]):
    """Fields that hold parameters: their own names, but for what is taken and words."""

    def __init__(self, taken: set[str]) -> None:
        super().__init__()
        self.taken = taken

    def __missing__(self, parameter: str) -> str:
        is_query = parameter == "query" and parameter not in self.taken  # a word that can be given
        made = parameter if is_query else made_labels([parameter], self.taken)[0]
        self[parameter] = made
        self.taken.add(made)
        return made


def _refused(found: list[Diagnostic]) -> Callable[[Auto], str]:
    def decide(auto: Auto) -> str:
        message = "an <AUTO> is decided in the `parameters` of a step, and read from there"
        found.append(Diagnostic("argument", message, auto.span, "move it into a step"))
        return "none"

    return decide


def _constants(whole: Pipeline, found: list[Diagnostic]) -> tuple[Given, ...]:
    """Return the values of `context` that templates read."""
    translator = Translator(Names({}))
    made = tuple(
        Given(
            one.key,
            Word(one.key, one.key_span),
            as_template(one.value, translator, _refused(found)),
        )
        for one in whole.constants
    )
    found += translator.found
    return made


# ---------------------------------------------------------------- inputs


def _input(whole: Pipeline, found: list[Diagnostic]) -> tuple[Item, ...]:
    if not whole.inputs:
        return ()
    fields = (_field(one, found) for one in whole.inputs)
    return (Input(Shape(tuple(one for one in fields if one is not None))),)


def _field(one: InputField, found: list[Diagnostic]) -> Field | None:
    """Return the field of a row that an input declares."""
    kind = _type(one, found)
    if kind is None:
        return None
    default = None
    match one.default:
        case Scalar(value=given):
            default = Default(given)
        case Items(items) if all(isinstance(it, Scalar) for it in items):
            default = Default(tuple(it.value for it in items if isinstance(it, Scalar)))
        case Items() | Fields():
            message = f"the default of '{one.name.text}' is a single value, or a list of them"
            found.append(Diagnostic("type", message, one.default.span))
    if not one.is_required and default is None:
        kind, default = Maybe(kind), Default(None)
    return Field(one.name.text, kind, default, one.description, span=one.name.span)


def _type(one: InputField, found: list[Diagnostic]) -> Type | None:
    if one.choices is not None:
        values = [it.value for it in one.choices.items if isinstance(it, Scalar)]
        options = tuple(Constant(it) for it in values if it is not None)
        if len(options) < 2 or len(options) < len(one.choices.items):
            message = f"'choices' of '{one.name.text}' are two or more texts, numbers or booleans"
            found.append(Diagnostic("type", message, one.choices.span))
            return None
        return OneOf(options)
    text = one.type.text.strip()
    if text in _TYPES:
        return _TYPES[text]
    try:
        (item,) = parse_file(source(f"input {{ it: {text} }}")).node.items
    except (ChainlangError, ValueError):
        item = None
    if not isinstance(item, Input) or not isinstance(item.type, Shape):
        message = f"'{text}' is no type"
        hint = f"write one of {', '.join(_TYPES)}, or a type of a .chain file, as int(1..5)"
        found.append(Diagnostic("type", message, one.type.span, hint, kind="type", subject=text))
        return None
    kind = item.type.fields[0].type
    return None if kind is None else _at(kind, one.type.span)


def _at(node: Any, span: Span) -> Any:
    """Return a type, and all types inside it, at the place of its text."""
    if isinstance(node, tuple):
        return tuple(_at(one, span) for one in node)
    if not isinstance(node, Node):
        return node
    inner = {one.name: _at(getattr(node, one.name), span) for one in attrs.fields(type(node))}
    return evolve(node, **{**inner, "span": span})
