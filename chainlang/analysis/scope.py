"""Scope of an expression: stage types, models and definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from attrs import define, evolve, field

from chainlang.datatypes.check_types import Declared, declared_types
from chainlang.datatypes.free_texts import may_have_texts
from chainlang.ir.builtins import (
    ASKING,
    CODE,
    COMBINATORS,
    EXPRESSIONS,
    STAGE_TYPES,
    WIRING,
    StageType,
)
from chainlang.ir.declarations import Item, Model, Op, is_typed
from chainlang.ir.row_settings import is_template
from chainlang.ir.sampling_options import UNTYPED
from chainlang.ir.tools import TOOL, kind_of, meant


@define(slots=False)  # for its cached properties
class Scope:
    """Names that an expression may use: stage types, and the models and definitions of a file.

    `definitions` is None without a file, as in a notebook cell; then ``$x`` may be bound later.
    """

    types: Mapping[str, StageType] = field(factory=lambda: dict(STAGE_TYPES))
    models: frozenset[str] = frozenset()
    definitions: frozenset[str] | None = None

    @cached_property
    def known_types(self) -> tuple[str, ...]:
        """Names of stage types and combinators."""
        return (*self.types, *COMBINATORS)

    @cached_property
    def known_definitions(self) -> tuple[str, ...]:
        """Names of definitions that an expression may refer to, in order."""
        return tuple(sorted(name for name in self.definitions or () if name != "main"))

    @classmethod
    def of(cls, items: Iterable[Item]) -> Scope:
        """Return the scope of some items."""
        types = dict(STAGE_TYPES)
        models = set()
        items = tuple(items)
        declared = declared_types(items)
        for item in items:
            if isinstance(item, Op):
                types.setdefault(item.name, op_type(item, declared))
            elif isinstance(item, Model):
                models.add(item.name)
        return cls(types, frozenset(models))


def op_type(op: Op, declared: Mapping[str, Declared] = {}) -> StageType:
    """Return the stage type of an op, with the declared types."""
    given = {setting.name: setting.value for setting in op.settings}
    if op.kind == CODE:
        return evolve(STAGE_TYPES[CODE], name=op.name, what="a type of this file", given=given)
    op = meant(op)
    has_texts = may_have_texts(op.returns, declared)
    options = dict(ASKING if has_texts else {**UNTYPED, **WIRING})
    if op.kind == "generate":
        options["fresh"] = STAGE_TYPES["E"].options["fresh"]
    if op.kind == TOOL:
        options = {name: ASKING[name] for name in ("need", "of")}
    given = {setting.name: setting.value for setting in op.settings}
    temperature = given.get("temperature")
    prompts = (given.get("user"), given.get("system"), *map(given.get, EXPRESSIONS))
    return StageType(
        op.name,
        kind_of(op),
        "a type of this file",
        options=options,
        temperature=1.0
        if is_template(temperature)
        else temperature
        if isinstance(temperature, int | float)
        else 0.0,
        reads_error=any(isinstance(one, str) and "error" in one for one in prompts),
        is_typed=is_typed(op),
        given=given,
        is_tool=op.kind == TOOL,
    )
