"""Combinators such as ``retry``, and the forms ``join``, ``branch``, ``ref`` and ``function``.

Each builds the node that its text builds, and refuses what its text refuses, with the same error:
a bad call is printed as notation and read back, so the caret points into what was called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, ParamSpec

from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.api.chain import (
    Chain,
    ChainLike,
    Operand,
    built,
    called,
    check_extent,
    lift,
    refuse,
)
from chainlang.api.merge_items import merged
from chainlang.api.stage_types import literal
from chainlang.diagnostics.render import shown
from chainlang.errors import raise_errors
from chainlang.ir import build
from chainlang.ir.builtins import COMBINATORS
from chainlang.ir.calls import specific
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Combine, Expr, Function, Named, Option, Ref, Table
from chainlang.ir.rules import PARTS
from chainlang.ir.verify import is_name
from chainlang.ir.visit import measure
from chainlang.notation import source
from chainlang.notation.literals import print_literal, print_string
from chainlang.notation.parse import read_expression
from chainlang.notation.unparse import unparse
from chainlang.protocol.failures import Cause
from chainlang.semantics.bindings import together
from chainlang.semantics.sandboxed_functions import sandboxed

P = ParamSpec("P")


def combinator(signature: Callable[P, Chain]) -> Callable[P, Chain]:
    """Return the function that builds a combinator; the one below gives its name and its types.

    Any arguments reach the check that text goes through, so a wrong keyword is an error with a
    caret, as in text, and not Python's.
    """
    name = signature.__name__

    @wraps(signature)
    def build_node(*parts: P.args, **options: P.kwargs) -> Chain:
        return _combine(name, parts, options)

    return build_node


@combinator
def fallback(*parts: ChainLike, on: Cause | Sequence[Cause] | None = None) -> Chain:
    """Return a chain that yields what the first part that does not fail yields.

    `on` is the cause of failure after which the next part runs, such as ``"cut"``, or several
    (default: all); another failure fails the whole.

    >>> from chainlang import E
    >>> print(fallback(E("big"), "E:small"))
    fallback(E:big, E:small)
    """
    raise NotImplementedError


@combinator
def cascade(*parts: ChainLike, accept: str | Callable[..., Any]) -> Chain:
    """Return a chain that runs parts one after another until the result of one is accepted.

    `accept` is an expression over the record after a part, or a function. The result of the last
    part is kept whatever it is. Each part reads what stands before the cascade.

    >>> from chainlang import E, M
    >>> print(cascade(E("small", 3) >> M, E("large"), accept="confidence > 0.6"))
    cascade(3:E:small >> M, E:large, accept="confidence > 0.6")
    """
    raise NotImplementedError


@combinator
def retry(
    part: ChainLike,
    /,
    *,
    backoff: float | None = None,
    on: Cause | Sequence[Cause] | None = None,
    times: int | None = None,
) -> Chain:
    """Return a chain that runs `part` again after a bad reply, `times` in all (default 3).

    `on` is the cause of failure to retry after, such as ``"reply"``, or several (default: all that
    another sample may mend). `backoff` is the seconds to wait before the second try; each further
    wait is twice as long.

    >>> from chainlang import E, J
    >>> print(E >> retry(J(temperature=0.7), times=2, on=["reply", "cut"]))
    E >> retry(J::0.7, on=["reply", "cut"], times=2)
    """
    raise NotImplementedError


@combinator
def timeout(part: ChainLike, /, *, seconds: float) -> Chain:
    """Return a chain in which `part` fails if it takes longer than `seconds`."""
    raise NotImplementedError


@combinator
def route(
    *,
    arms: Mapping[str, ChainLike],
    by: str | Callable[..., Any],
    default: ChainLike | None = None,
) -> Chain:
    """Return a chain that runs the arm that `by` names, or `default` where none is.

    `by` is an expression over the record, or a function.

    >>> from chainlang import E
    >>> print(route(by="topic", arms={"math": E("big")}, default=E))
    route(arms={"math": E:big}, by="topic", default=E)
    """
    raise NotImplementedError


@combinator
def loop(
    part: ChainLike,
    /,
    *,
    max: int | None = None,  # noqa: A002
    until: str | Callable[..., Any],
) -> Chain:
    """Return a chain that runs `part` until a condition holds, at most `max` times (default 3).

    `until` is an expression over the record, or a function; the last round is kept if it never
    holds.
    """
    raise NotImplementedError


@combinator
def each(part: ChainLike, /, *, item: str | None = None, over: str) -> Chain:
    """Return a chain that runs `part` for each item of a list, and joins what it yields in order.

    `over` is an expression over the record, often the name of a field; `item` is what the part
    calls an item (default ``item``).
    """
    raise NotImplementedError


@combinator
def with_fields(part: ChainLike, /, **fields: str) -> Chain:
    """Return a chain in which `part` reads fields in place of those of the row.

    Each is a template over the record; one that is a single ``{{ ... }}`` keeps the type of its
    value.

    >>> from chainlang import E, J
    >>> print(E.named("draft") >> with_fields(E >> J, query="Shorten: {{ draft.answer }}"))
    (draft = E) >> with_fields(E >> J, query="Shorten: {{ draft.answer }}")
    """
    raise NotImplementedError


def _combine(name: str, parts: tuple[object, ...], options: Mapping[str, object]) -> Chain:
    signature = COMBINATORS[name]
    most = signature.parts[1]
    if most is not None and len(parts) > most:
        what = f"{name} takes {most or 'no'} chain without a keyword, found {len(parts)}"
        hint = f"write options as name=value, as in {signature.example}"
        refuse(f"{what}: {', '.join(map(shown, parts))}", hint)
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


def join(*parts: ChainLike, **named: ChainLike) -> Chain:
    """Return the join of chains, ``a & b``; those given by keyword are named.

    >>> from chainlang import E
    >>> print(join(fr=E("a"), es=E("b")))
    (fr = E:a) & (es = E:b)
    """
    return _form(build.join, "join", parts, named)


def branch(*parts: ChainLike, **named: ChainLike) -> Chain:
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


def function(
    name: str | Callable[..., Any],
    bound: Callable[..., Any] | None = None,
    *,
    of: str | Sequence[str] | None = None,
    by_name: bool = False,
    sandbox: Literal["monty", "bwrap"] | None = None,
) -> Chain:
    """Return a Python function as a chain: ``@name`` in text, bound here or on loading.

    A function with a name of its own may be given without another one. `of` names the parts whose
    candidates it reads (default: those of the part before it). With `by_name` it reads none: each
    of its parameters is the field of the record with its name, and what it returns is one
    candidate, also a list. With a `sandbox`, `name` is the source text of a function, which is
    parsed here and runs there alone: for functions that a stranger or a model has written.

    >>> from chainlang import E
    >>> E >> function("short", lambda answer: answer[:80])
    E >> function("short")
    >>> print((E.named("a") & E.named("b")) >> function(min, of=["b", "a"]))
    ((a = E) & (b = E)) >> @min(of=["b", "a"])
    """
    if sandbox is not None:
        if bound is not None or not isinstance(name, str):
            hint = 'write its source: function("def short(answer): ...", sandbox="monty")'
            refuse("a function of this process can't run in a sandbox", hint)
        name = sandboxed(name, sandbox=sandbox)
    if callable(name):
        bound = name if bound is None else bound
        name = str(getattr(name, "__name__", name))
    if not isinstance(name, str) or not is_name(name):
        hint = "names are Python identifiers"
        if bound is not None:
            hint = 'give it one: function("name", ...)'
        elif isinstance(name, str) and "def " in name:
            hint = 'a source runs in a sandbox: function(source, sandbox="monty")'
        refuse(f"{shown(name)} can't be the name of a function", hint)
    parts = None if of is None else literal(of, "of=")
    if parts is not None and not PARTS.accepts(parts):
        text = f"function({print_string(name)}, of={print_literal(parts)})"
        raise_errors(read_expression(source(text, "<call>")).diagnostics)
    if by_name and parts is not None:
        refuse(f"by_name=True of @{name} reads no candidates, and of= says whose", "leave one out")
    node = Function(name, None if parts is None else PARTS.read(parts), by_name)
    return Chain(node, (), (1, 1)) if bound is None else called(node, bound)
