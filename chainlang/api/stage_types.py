"""Stage types as Python objects: ``E``, ``J``, ``M``, ``S``, ``V``, and those that `op` makes.

A call builds the node that its text builds, and refuses what its text refuses, with the same error:
a bad call is printed as notation and read back, so the caret points into what was called.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from attrs import field, frozen

from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.api import recording
from chainlang.api.chain import Chain, Operand, lift, refuse
from chainlang.api.family import Family, Pick, varied
from chainlang.api.returned_types import returned
from chainlang.api.tool_names import TOOLS, named_tools
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import LimitError, raise_errors
from chainlang.ir import build
from chainlang.ir.declarations import (
    Environment,
    Item,
    Op,
)
from chainlang.ir.nodes import Expr, Function, Literal, Option, Stage
from chainlang.ir.row_settings import is_template
from chainlang.ir.tables import table_of
from chainlang.ir.visit import measure
from chainlang.limits import LARGEST, current
from chainlang.notation import source
from chainlang.notation.literals import print_literal
from chainlang.notation.parse import read_expression
from chainlang.notation.unparse import unparse
from chainlang.semantics.bindings import NOTHING, Bound, together

if TYPE_CHECKING:
    from chainlang.api.keywords import CodeOptions, GenerateOptions, SamplingOptions, VoteOptions
    from chainlang.session.result import Result

_PYTHON = ("True", "False", "None")


@frozen(repr=False, order=False)
class StageWord(Operand):
    """A stage type: an operand as it is, configured by calling it.

    Its subclasses differ in the keywords that a call takes.
    """

    name: str
    items: tuple[Item, ...] = ()
    bound: Bound = field(default=NOTHING, eq=False)

    def as_chain(self) -> Chain:
        """Return the chain of this one stage, with nothing configured."""
        return Chain(Stage(self.name), self.items, (1, 1), bound=self.bound)

    def __repr__(self) -> str:
        """The word itself; for a type that `op` made, the call that makes it."""
        if not self.items:
            return self.name
        declared = self.items[-1]
        assert isinstance(declared, Op)
        given = [print_literal(self.name), f"kind={print_literal(declared.kind)}"]
        if declared.returns is not None:
            given.append(f"returns={returned(declared.returns, len(self.items) > 1)}")
        given += [
            f"{one.name}={print_literal(one.value, _PYTHON)}"
            for one in declared.settings
            if not isinstance(one.value, Environment)
        ]
        return f"op({', '.join(given)})"

    def configured(self, *more: object, **given: object) -> Chain:
        """Return the chain of this one stage, as a call gives its fields and options.

        While a function is traced, a call on results is one of the chain, with more of them.

        Raises `MeaningError` for a value out of range or an option that the type does not have.
        """
        if any(isinstance(one, Pick) for one in given.values()):
            return cast("Chain", self._varied(given))
        fields: dict[str, object] = {"model": None, "count": 1, "temperature": None}
        given = {**fields, **given}
        recorder = recording.current()
        if recorder is not None and any(recorder.holds(one) for one in (*given.values(), *more)):
            named = {key: value for key, value in given.items() if key not in fields}
            first, called = _positional(given, fields, more), self.as_chain()
            if first and not any(map(recorder.holds, first)):
                chosen = dict(zip(fields, first, strict=False))
                first, called = (), self.configured(*first[len(fields) :], **chosen)
            recorded: Chain = recorder.call(called, first, named)
            return recorded
        if more:
            hint = f"{self.name} takes a model, a count, a temperature, and options by name"
            refuse(f"too many arguments: {', '.join(map(shown, more))}", hint)
        given["count"] = 1 if given["count"] is None else given["count"]
        bound, values = self.bound, dict[str, Any]()
        for key, value in given.items():
            if key == TOOLS:
                value, own = named_tools(value)  # noqa: PLW2901  # functions by their names
                bound = together((bound, own))
            made = _function(value)
            if made is None:
                values[key] = literal(value, f"{key}=")
            else:
                values[key], bound = made.body, together((bound, made.bound))
        stage = self._stage(values)
        if stage is not None:
            body, found = resolve(stage, Scope.of(self.items))
            if not any(one.severity == "error" for one in found):
                return Chain(body, self.items, measure(body), bound=bound)
        self._explain(values)
        raise AssertionError("unreachable")

    def _varied(self, given: dict[str, object]) -> Family:
        """Return the family of a call with choices."""
        return varied(lambda chosen: self.configured(**chosen), self.name, given)

    def _stage(self, values: dict[str, Any]) -> Stage | None:
        """Return the node, or None if a value is of the wrong type."""
        rest = dict(values)
        model, count, temperature = (rest.pop(key) for key in ("model", "count", "temperature"))
        if is_template(model):
            rest["model"], model = model, None
        if is_template(temperature):
            rest["temperature"], temperature = temperature, None
        sound = (
            (model is None or (isinstance(model, str) and model))
            and (isinstance(count, int) and not isinstance(count, bool) and count < 10**18)
            and (temperature is None or _is_number(temperature))
        )
        if not sound:
            return None
        if temperature is not None:
            temperature = abs(float(temperature)) if temperature == 0 else float(temperature)
        options = build.options(Option(key, value) for key, value in rest.items())
        return Stage(self.name, count, model, temperature, options)

    def _explain(self, values: dict[str, Any]) -> None:
        """Raise the errors of a call, by reading the same call as text."""
        defaults: dict[str, Literal] = {"model": None, "count": 1, "temperature": None}
        written = [
            key
            for key, value in values.items()
            if key not in defaults or repr(value) != repr(defaults[key])  # True is no 1 here
        ]
        fields = [key for key in defaults if key in written]
        if "model" in fields:  # by position, as in the notation and in most calls
            fields = list(defaults)[: list(defaults).index(fields[-1]) + 1]
        shown = [
            ("" if key in fields and "model" in fields else f"{key}=") + _written(values[key])
            for key in [*fields, *(key for key in written if key not in defaults)]
        ]
        parsed = read_expression(source(f"{self.name}({', '.join(shown)})", "<call>"))
        _, found = resolve(parsed.node, Scope.of(self.items))
        raise_errors((*parsed.diagnostics, *found))


def _positional(
    given: Mapping[str, object], defaults: Mapping[str, object], more: tuple[object, ...]
) -> tuple[object, ...]:
    """Return the arguments of a call that were given by position."""
    found = [*(given[key] for key in defaults), *more]
    left_out = [*defaults.values()]
    while found and len(found) <= len(left_out) and found[-1] is left_out[len(found) - 1]:
        found.pop()
    return tuple(found)


def _function(value: object) -> Chain | None:
    """Return a Python function as a chain; None for another value."""
    if not callable(value) and not isinstance(value, Chain):
        return None
    if isinstance(value, StageWord):
        return None
    made = lift(value)
    return made if isinstance(made.body, Function) else None


def _written(value: Any) -> str:
    """Return a value as an argument of a call."""
    return unparse(value, "call") if isinstance(value, Expr) else print_literal(value, _PYTHON)


class ModelStage(StageWord):
    """A stage type that calls a model."""

    __slots__ = ()

    @overload
    def __call__(self, result: Result, /, *more: Result) -> Result: ...
    @overload
    def __call__(self, query: str, result: Result, /, *more: Result) -> Result: ...
    @overload
    def __call__(
        self,
        model: str | None = None,
        count: int | None = 1,
        temperature: float | str | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Chain: ...

    def __call__(
        self,
        model: Any = None,
        count: Any = 1,
        temperature: Any = None,
        *more: Any,
        **options: Any,
    ) -> Any:
        """Return a chain of this one stage.

        `model` is the name of a model (default: the type's, then the settings'), `count` the number
        of times it runs, `temperature` 0 or from 0.01 to 2 (default 0.7 for ``E``, 0 for others).
        In a function that is traced, a call on results is one of the chain.
        Raises `MeaningError` for a value out of range or an option that the type does not have.
        """
        return self.configured(*more, model=model, count=count, temperature=temperature, **options)


class GenerateStage(ModelStage):
    """A stage type that calls a model for candidates of its own.

    >>> from chainlang import E, M, chain
    >>> E("tiny", 3, 0.7, max_tokens=64) >> M == chain("3:E:tiny:0.7(max_tokens=64) >> M")
    True
    """

    __slots__ = ()

    @overload
    def __call__(self, result: Result, /, *more: Result) -> Result: ...
    @overload
    def __call__(self, query: str, result: Result, /, *more: Result) -> Result: ...
    @overload
    def __call__(
        self,
        model: str | None = None,
        count: int | None = 1,
        temperature: float | str | None = None,
        **options: Unpack[GenerateOptions],
    ) -> Chain: ...

    def __call__(
        self,
        model: Any = None,
        count: Any = 1,
        temperature: Any = None,
        *more: Any,
        **options: Any,
    ) -> Any:
        """Return a chain of this one stage, as `ModelStage` does."""
        return self.configured(*more, model=model, count=count, temperature=temperature, **options)


class JudgeStage(ModelStage):
    """A judge: a model reads the query and all candidates, and writes a final answer.

    >>> from chainlang import E, J, chain
    >>> E("tiny", 3) >> J("tiny") == chain("3:E:tiny >> J:tiny")
    True
    """

    __slots__ = ()


class VerifyStage(ModelStage):
    """A verifier: a model reads the query and each candidate, and revises what is incorrect.

    >>> from chainlang import E, V, chain
    >>> E("tiny", 3) >> V("tiny") == chain("3:E:tiny >> V:tiny")
    True
    """

    __slots__ = ()


class SelectStage(ModelStage):
    """A selector: a model reads the query and all candidates, and chooses one of them.

    >>> from chainlang import E, S, chain
    >>> E("tiny", 3) >> S("tiny") == chain("3:E:tiny >> S:tiny")
    True
    """

    __slots__ = ()


class VoteStage(StageWord):
    """A stage type that counts votes, and calls no model."""

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def __call__(self, result: Result, /, *more: Result) -> Result: ...
        @overload
        def __call__(self, **options: Unpack[VoteOptions]) -> Chain: ...

        def __call__(self, *results: Any, **options: Any) -> Any:
            """Return a chain of this one stage."""

    else:

        def __call__(self, model=None, count=1, temperature=None, *more, **options):
            """Return a chain of this one stage; fields of other types are errors with a caret."""
            return self.configured(
                *more, model=model, count=count, temperature=temperature, **options
            )


class CodeStage(StageWord):
    """A stage type that runs the program of each candidate in a sandbox, and calls no model.

    >>> from chainlang import E, chain, code
    >>> E("tiny", 3) >> code(seconds=5) == chain("3:E:tiny >> code(seconds=5)")
    True
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def __call__(self, result: Result, /, *more: Result) -> Result: ...
        @overload
        def __call__(self, **options: Unpack[CodeOptions]) -> Chain: ...

        def __call__(self, *results: Any, **options: Any) -> Any:
            """Return a chain of this one stage."""

    else:

        def __call__(self, model=None, count=1, temperature=None, *more, **options):
            """Return a chain of this one stage; fields of other types are errors with a caret."""
            return self.configured(
                *more, model=model, count=count, temperature=temperature, **options
            )


def literal(value: object, where: str, depth: int = 1) -> Any:
    """Return a Python value as a value of the language, at a depth of nested tables.

    Lists become tuples, dicts tables, and numpy numbers plain. An integer is a key as ``#15``.
    Raises `OperandError` for anything else.
    """
    if isinstance(value, Mapping):
        current().check("depth", depth, f"{where} with tables nested more than {depth - 1} deep")
        names = [f"#{key}" if type(key) is int else key for key in value]
        for name in names:
            if not isinstance(name, str):
                refuse(f"{name!r} can't be a key of {where}", "the keys are strings")
        items = zip(names, value.values(), strict=True)
        return table_of({name: literal(item, where, depth + 1) for name, item in items})
    if isinstance(value, list | tuple):
        return tuple(literal(item, where) for item in value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    is_real = isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational)
    if is_real and math.isfinite(value):  # type: ignore[arg-type]  # just checked
        return float(value)  # type: ignore[arg-type]
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # refused below if it has none
    except TypeError:
        hint = "write a text, a number, True, False, None, a list, or a dict"
        if isinstance(value, Operand):
            hint = "a chain is no value: to feed it into another part, write chain >> part"
        refuse(f"{where} can't be {shown(value)}", hint)
    if abs(number) >= LARGEST:
        raise LimitError([Diagnostic("limit", f"{where} has a number of more than 18 digits")])
    return number


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18
    )


E = GenerateStage("E")
J: ModelStage = JudgeStage("J")
M = VoteStage("M")
S: ModelStage = SelectStage("S")
V: ModelStage = VerifyStage("V")
code = CodeStage("code")
