"""The words of the Python door: the types of stage, the combinators and the forms.

Each builds the node that its text builds, and refuses what its text refuses, with the same error:
a bad call is printed as notation and read back, so the caret points into what was called.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from attrs import field, frozen

from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.api.chain import Chain, Operand, built, called, check_extent, lift, merged, refuse
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import LimitError, raise_errors
from chainlang.ir import build
from chainlang.ir.calls import specific
from chainlang.ir.declarations import (
    Constant,
    Environment,
    Item,
    ListOf,
    Maybe,
    OneOf,
    Op,
    Shape,
    Type,
    TypeName,
)
from chainlang.ir.nodes import Combine, Expr, Function, Literal, Named, Option, Ref, Stage, Table
from chainlang.ir.verify import is_name
from chainlang.ir.visit import measure
from chainlang.limits import LARGEST
from chainlang.notation import source
from chainlang.notation.literals import print_literal
from chainlang.notation.parse import read_expression
from chainlang.notation.unparse import unparse, unparse_type
from chainlang.semantics.bindings import NOTHING, Bound, together

_PYTHON = ("True", "False", "None")


@frozen(repr=False, order=False)
class StageWord(Operand):
    """A type of stage as a Python word: an operand as it is, configured by calling it.

    >>> from chainlang import E, M, chain
    >>> E("tiny", 3, 0.7, max_tokens=64) >> M == chain("3:E:tiny:0.7(max_tokens=64) >> M")
    True
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
            given.append(f"returns={_returns(declared.returns, len(self.items) > 1)}")
        given += [
            f"{one.name}={print_literal(one.value, _PYTHON)}"
            for one in declared.settings
            if not isinstance(one.value, Environment)
        ]
        return f"op({', '.join(given)})"

    def __call__(
        self,
        model: str | None = None,
        count: int | None = 1,
        temperature: float | None = None,
        **options: object,
    ) -> Chain:
        """Return a chain of this one stage.

        `model` is the name of a model (default: the type's, then the settings'), `count` how many
        times it runs, `temperature` 0 or from 0.01 to 2 (default 0.7 for ``E``, 0 for the others).
        Raises `MeaningError` for a value out of range or an option that the type does not have.
        """
        count = 1 if count is None else count
        given = {"model": model, "count": count, "temperature": temperature, **options}
        values = {key: literal(value, f"{key}=") for key, value in given.items()}
        stage = self._stage(values)
        if stage is not None:
            body, found = resolve(stage, Scope.of(self.items))
            if not found:
                return Chain(body, self.items, (1, 1), bound=self.bound)
        self._explain(values)
        raise AssertionError("unreachable")

    def _stage(self, values: dict[str, Any]) -> Stage | None:
        """Return the node, or None if a value is of the wrong type."""
        rest = dict(values)
        model, count, temperature = (rest.pop(key) for key in ("model", "count", "temperature"))
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
            ("" if key in fields and "model" in fields else f"{key}=")
            + print_literal(values[key], _PYTHON)
            for key in [*fields, *(key for key in written if key not in defaults)]
        ]
        parsed = read_expression(source(f"{self.name}({', '.join(shown)})", "<call>"))
        _, found = resolve(parsed.node, Scope.of(self.items))
        raise_errors((*parsed.diagnostics, *found))


def _returns(node: Type, has_names: bool) -> str:
    """Return a type as an argument of `op`: in Python where it names classes, else as text."""
    if not has_names:
        return print_literal(unparse_type(node))
    match node:
        case Maybe(item):
            return f"{_returns(item, has_names)} | None"
        case ListOf(item, None, None):
            return f"list[{_returns(item, has_names)}]"
        case OneOf(options):
            return " | ".join(_returns(one, has_names) for one in options)
        case TypeName(name, None, None, None):
            return name
        case TypeName() | ListOf() | Constant() | Shape():
            return print_literal(unparse_type(node))
    assert_never(node)


def literal(value: object, where: str) -> Literal:
    """Return a Python value as a literal of the language; lists become tuples, numpy numbers plain.

    Raises `OperandError` for anything else.
    """
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
        hint = "write a text, a number, True, False, None, or a list"
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


E = StageWord("E")
J = StageWord("J")
M = StageWord("M")
S = StageWord("S")
V = StageWord("V")


# ---------------------------------------------------------------- combinators


def fallback(*parts: object) -> Chain:
    """Return a chain that yields what the first part that does not fail yields.

    >>> from chainlang import E
    >>> print(fallback(E("big"), "E:small"))
    fallback(E:big, E:small)
    """
    return _combine("fallback", parts, {})


def retry(
    part: object,
    *,
    times: int | None = None,
    on: str | Sequence[str] | None = None,
    backoff: float | None = None,
) -> Chain:
    """Return a chain that draws a bad reply of `part` again, `times` in all (default 3).

    `on` is what to try again after: a cause of failure, such as ``"reply"``, or several (default:
    all that drawing again may mend). `backoff` is the seconds to wait before the second try; each
    further wait is twice as long.

    >>> from chainlang import E, J
    >>> print(E >> retry(J(temperature=0.7), times=2, on=["reply", "cut"]))
    E >> retry(J::0.7, on=["reply", "cut"], times=2)
    """
    return _combine("retry", (part,), {"times": times, "on": on, "backoff": backoff})


def timeout(part: object, *, seconds: float) -> Chain:
    """Return a chain in which `part` fails if it takes longer than `seconds`."""
    return _combine("timeout", (part,), {"seconds": seconds})


def route(
    *, by: str | Callable[..., Any], arms: Mapping[str, object], default: object = None
) -> Chain:
    """Return a chain that runs the arm that `by` names, or `default` where none is.

    `by` is an expression over the record, or a function.

    >>> from chainlang import E
    >>> print(route(by="topic", arms={"math": E("big")}, default=E))
    route(arms={"math": E:big}, by="topic", default=E)
    """
    return _combine("route", (), {"by": by, "arms": arms, "default": default})


def loop(part: object, *, until: str | Callable[..., Any], max: int | None = None) -> Chain:  # noqa: A002
    """Return a chain that runs `part` until a condition holds, at most `max` times (default 3).

    `until` is an expression over the record, or a function; the last round is kept if it never
    holds.
    """
    return _combine("loop", (part,), {"until": until, "max": max})


def each(part: object, *, over: str, item: str | None = None) -> Chain:
    """Return a chain that runs `part` for each item of a list, and joins what it yields in order.

    `over` is an expression over the record, often the name of a field; `item` is what the part
    calls an item (default ``item``).
    """
    return _combine("each", (part,), {"over": over, "item": item})


def _combine(name: str, parts: tuple[object, ...], options: Mapping[str, object]) -> Chain:
    inside = [value for value in options.values() if isinstance(value, Mapping)]
    beside = _declared(
        *parts, *options.values(), *(arm for arms in inside for arm in arms.values())
    )
    chains = [lift(part, beside) for part in parts]
    written: list[Option] = []
    for key, value in options.items():
        if value is None:
            continue
        if key == "arms" and not isinstance(value, Mapping):
            refuse(f"arms= can't be {shown(value)}", 'write arms={"math": chain, "code": chain}')
        if isinstance(value, Mapping):
            entries = []
            for arm, part in value.items():
                if not isinstance(arm, str):
                    refuse(f"{arm!r} can't be a key of {key}=", "the keys are strings")
                chains.append(lift(part, beside))
                entries.append(Option(arm, chains[-1].body))
            written.append(Option(key, Table(tuple(entries))))
        elif isinstance(value, Operand) or callable(value) or (name, key) == ("route", "default"):
            chains.append(lift(value, beside))
            written.append(Option(key, chains[-1].body))
        else:
            written.append(Option(key, literal(value, f"{key}=")))
    bodies = tuple(chain.body for chain in chains[: len(parts)])
    node = specific(Combine(name, bodies, build.options(written)))
    extent = measure(node)
    check_extent(*extent)
    items = merged(chain.items for chain in chains)
    resolved, found = resolve(node, Scope.of(items))
    if any(one.severity == "error" for one in found):
        parsed = read_expression(source(unparse(node, "call"), "<call>"))
        raise_errors(parsed.diagnostics)
        raise_errors(resolve(parsed.node, Scope.of(items))[1])
        raise_errors(found)
    return Chain(resolved, items, extent, bound=together(chain.bound for chain in chains))


def _declared(*values: object) -> tuple[Item, ...]:
    """Return the declarations of the chains among some values, for the strings beside them."""
    return merged(value.as_chain().items for value in values if isinstance(value, Operand))


# ---------------------------------------------------------------- forms


def join(*parts: object, **named: object) -> Chain:
    """Return the join of chains, ``a & b``; those given by keyword are named.

    >>> from chainlang import E
    >>> print(join(fr=E("a"), es=E("b")))
    (fr = E:a) & (es = E:b)
    """
    return _form(build.join, "join", parts, named)


def branch(*parts: object, **named: object) -> Chain:
    """Return the branch of chains, ``a | b``; those given by keyword are named."""
    return _form(build.branch, "branch", parts, named)


def _form(
    make: Callable[..., Expr],
    form: str,
    parts: tuple[object, ...],
    named: Mapping[str, object],
) -> Chain:
    beside = _declared(*parts, *named.values())
    chains = [lift(part, beside) for part in parts]
    bodies = [chain.body for chain in chains]
    for name, part in named.items():
        if not is_name(name):
            refuse(f"{name!r} can't be a label", "a label is a Python identifier")
        chains.append(lift(part, beside))
        bodies.append(Named(name, chains[-1].body))
    if not bodies:
        refuse(f"{form}() needs at least one chain", f"write {form}(a, b) or {form}(name=a)")
    node = make(*bodies)
    extent = measure(node)
    check_extent(*extent)
    return built(node, chains, extent)


def ref(name: str) -> Chain:
    """Return a reference to a definition: ``$name`` in text.

    >>> from chainlang import chain
    >>> ref("panel") == chain("$panel")
    True
    """
    if not is_name(name):
        refuse(f"{name!r} can't be the name of a definition", "names are Python identifiers")
    return Chain(Ref(name), (), (1, 1))


def function(name: str, bound: Callable[..., Any] | None = None) -> Chain:
    """Return a Python function as a chain: ``@name`` in text, bound here or on loading.

    A function with a name of its own stands beside an operator as it is; this is for others.

    >>> from chainlang import E
    >>> E >> function("short", lambda answer: answer[:80])
    E >> function("short")
    """
    if not is_name(name):
        own = getattr(name, "__name__", "")
        hint = "names are Python identifiers"
        if is_name(own):
            hint = f'the name is a text: function("{own}", {own})'
        refuse(f"{shown(name)} can't be the name of a function", hint)
    return Chain(Function(name), (), (1, 1)) if bound is None else called(name, bound)
