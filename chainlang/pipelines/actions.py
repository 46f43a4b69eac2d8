"""Actions of steps: the shipped table, ops of used files, functions, and what the model does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from attrs import evolve, field, frozen

from chainlang import plugins
from chainlang.ir.declarations import Field, ListOf, Op, Shape, TypeName
from chainlang.notation import parse_file, source
from chainlang.pipelines.names import Use

BY_MODEL = "by_model"
TRANSFORM = "transform"
TRANSFORMATION, INPUT = "transformation", "input"
TRANSFORMATIONS: Mapping[str, str] = {
    "capitalize": "capitalize",
    "lowercase": "lower",
    "strip": "trim",
    "titlecase": "title",
    "trim": "trim",
    "uppercase": "upper",
}
"""Transformations of a text that need no model, and the filters that make them."""
_FIELD = re.compile(r"\{\{ (\w+) \}\}")
_OTHERS = "parameters"


@frozen
class Actions:
    """Actions that a file may have besides the shipped ones."""

    functions: Mapping[str, Callable[..., Any]] = field(factory=dict)
    """The functions that the loader binds."""
    ops: Mapping[str, Op] = field(factory=dict)
    """Ops of the files that it uses."""
    by_model: bool = False
    """Whether the model does the rest."""


@cache
def shipped() -> Mapping[str, Op]:
    """Return the shipped ops by name.

    >>> sorted(shipped())[:3]
    ['analyze', 'by_model', 'classify']
    """
    text = (resources.files("chainlang.pipelines") / "actions.chain").read_text(encoding="utf-8")
    items = parse_file(source(text, "actions.chain")).node.items
    own = {item.name: item for item in items if isinstance(item, Op)}
    return {**dict(_of_plugins()), **own}


def _of_plugins() -> Iterator[tuple[str, Op]]:
    """Yield the actions of plugins, but for those that can't be imported."""
    for one in plugins.plugins("actions"):
        if one.fault is None:
            for item in parse_file(source(one.text(), f"<plugin {one.origin}>")).node.items:
                if isinstance(item, Op) and item.name == one.name:
                    yield one.name, item


def shipped_names() -> tuple[str, ...]:
    """Return the names of the shipped actions."""
    return tuple(name for name in shipped() if name != BY_MODEL)


def needed(action: str) -> tuple[str, ...]:
    """Return the parameters that a shipped action needs.

    >>> needed("generate"), needed("analyze")
    (('prompt',), ())
    """
    found = _FIELD.findall(_prompt(shipped()[action]))
    return tuple(name for name in dict.fromkeys(found) if name != _OTHERS)


def op_for(action: str, name: str, fields: Mapping[str, str], reads: Mapping[str, Use]) -> Op:
    """Return the op of a shipped action, or of one that the model does, for its parameters.

    `name`: of the op. `fields`: the fields that hold the parameters, by the names of these.
    `reads`: fields of the result that other steps read.
    """
    made = shipped().get(action, shipped()[BY_MODEL])
    named = set(_FIELD.findall(_prompt(made)))
    lines = "".join(
        f"\n\n{parameter}: {{{{ {one} }}}}"
        for parameter, one in fields.items()
        if parameter not in named
    )
    words = {_OTHERS: lines, "action": action.replace("_", " ")}

    def written(match: re.Match[str]) -> str:
        word = match[1]
        if word in fields:
            return f"{{{{ {fields[word]} }}}}"
        return words.get(word, match[0])

    user = _FIELD.sub(written, _prompt(made)).strip()
    settings = tuple(
        evolve(one, value=user, span=None) if one.name == "user" else evolve(one, span=None)
        for one in made.settings
    )
    returns = Shape(tuple(Field(one, _type(use)) for one, use in reads.items())) if reads else None
    return Op(name, "generate", returns, settings)


def _type(use: Use) -> TypeName | ListOf:
    return ListOf(TypeName("str")) if use == "list" else TypeName("str")


def _prompt(op: Op) -> str:
    return next(str(one.value) for one in op.settings if one.name == "user")
