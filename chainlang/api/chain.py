"""`Chain`, an immutable Python value, and the operators that build chains.

Operators never change an operand. A use of a chain that Python would accept and that has no
meaning, such as a truth value, an array of chains or an awaited half of a pipeline, is an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, cast

from attrs import evolve, field, frozen

from chainlang.analysis.check_file import MAIN
from chainlang.analysis.memo import Memo
from chainlang.analysis.program import Program, check, from_document, read
from chainlang.api.merge_items import merged
from chainlang.api.pictures import Pictures
from chainlang.api.run_methods import RunMethods
from chainlang.datatypes.check_types import declared_types
from chainlang.datatypes.from_python import misfit
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import LimitError, OperandError, raise_errors, raise_or_warn
from chainlang.ir import build
from chainlang.ir.declarations import Definition, File, Item
from chainlang.ir.json import to_json
from chainlang.ir.nodes import Branch, Expr, Function, Join, Named, Repeat, Stage, Then
from chainlang.ir.verify import is_name
from chainlang.ir.visit import measure
from chainlang.limits import counted, current
from chainlang.notation import unparse, unparse_file
from chainlang.notation.literals import print_string
from chainlang.semantics.bindings import NOTHING, Bound, together, unbound, unused
from chainlang.semantics.by_name import by_name, with_objects
from chainlang.semantics.functions import UserFunction


class Operand(Pictures):
    """Base class of the operands of the operators: `Chain`, and stage types such as ``E``."""

    __slots__ = ()
    # numpy and pandas would take over an operator and apply it to each element; they ask first.
    __array_ufunc__: ClassVar[None] = None
    __pandas_priority__: ClassVar[int] = 10_000

    def as_chain(self) -> Chain:
        """Return the operand as a chain."""
        raise NotImplementedError

    def drawing(self) -> tuple[Expr, tuple[Item, ...]]:
        """Return the body and the declarations of the operand's chain."""
        chain = self.as_chain()
        return chain.body, chain.items

    def __rshift__(self, other: ChainLike) -> Chain:
        return _operate(Then, self, other)

    def __rrshift__(self, other: ChainLike) -> Chain:
        return _operate(Then, other, self)

    def __and__(self, other: ChainLike) -> Chain:
        return _operate(Join, self, other)

    def __rand__(self, other: ChainLike) -> Chain:
        return _operate(Join, other, self)

    def __or__(self, other: ChainLike) -> Chain:
        return _operate(Branch, self, other)

    def __ror__(self, other: ChainLike) -> Chain:
        return _operate(Branch, other, self)

    def __rmul__(self, count: int) -> Chain:
        return _repeat(count, self.as_chain())

    def named(self, name: str) -> Chain:
        """Return the chain with a label: later parts read its output as ``{{ name.answer }}``.

        >>> from chainlang import E, J
        >>> print((E("tiny") >> J).named("fr"))
        fr = E:tiny >> J
        """
        if not is_name(name):
            refuse(
                f"{name!r} can't be a label",
                "a label is made of ASCII letters, digits and _, and is no keyword of Python",
            )
        chain = self.as_chain()
        check_extent(chain.size + 1, chain.depth + 1)
        return built(Named(name, chain.body), [chain], (chain.size + 1, chain.depth + 1))

    def __bool__(self) -> bool:  # noqa: PLE0304  # it never returns
        refuse(
            "a chain is neither true nor false",
            "write >> & | between chains, not `and`, `or`, `not`; to ask whether there is one, "
            "write `chain is None`",
        )

    if not TYPE_CHECKING:  # to a type checker they are not there, so it refuses them too

        def __mul__(self, other: object) -> NoReturn:
            refuse("'*' repeats the chain after it", "write the count first: 3 * chain")

        def _no_order(self, _other: object) -> NoReturn:
            refuse("chains have no order", "did you mean >> ?")

        __lt__ = __le__ = __gt__ = __ge__ = _no_order

        def __iter__(self) -> NoReturn:
            refuse("a chain has no items", "its rows come from running it")

        def __contains__(self, item: object) -> NoReturn:
            refuse("a chain has no items", "its rows come from running it")

        def __await__(self) -> NoReturn:
            refuse(
                "a chain can't be awaited: it has no rows yet",
                "`await` binds tighter than the operators; put the whole chain in parentheses",
            )


class Several:
    """Base class of sets of chains, whose own operators meet a chain beside them."""

    __slots__ = ()


ChainLike: TypeAlias = Operand | str | Callable[..., Any]
"""A value that converts to a chain: an operand, its notation, or a Python function."""


@frozen(eq=False, repr=False)
class Chain(Operand, RunMethods):
    """An immutable chain: an expression, and the declarations its names refer to.

    Chains are values: equal chains are ``==`` and hash alike, `repr` evaluates back, and
    `copy` and `pickle` keep them. Make one with operators, with `chainlang.api.chain` or with
    `chainlang.load`.

    >>> from chainlang import E, J, chain
    >>> E("llama", 3, 0.7) >> J("qwen", 1, 0) == chain("3:E:llama:0.7 >> 1:J:qwen:0")
    True
    """

    body: Expr
    items: tuple[Item, ...] = ()
    """The models, types, ops and definitions that the body may use."""
    _extent: tuple[int, int] | None = field(default=None)
    """Size and depth, where they are known; kept, so that building a long chain stays linear."""
    bound: Bound = field(default=NOTHING, kw_only=True)
    """The Python objects that its names mean, where they mean some."""
    _is_checked: bool = field(default=False, kw_only=True)
    """Whether its warnings have been issued, as those of a text are."""
    _memo: Memo = field(factory=Memo, init=False)
    """Checked programs of this chain, by the limits in force."""

    def as_chain(self) -> Chain:
        """The chain itself."""
        return self

    def bind(self, **objects: Any) -> Chain:
        """Return the chain with functions for its ``@names``, and classes for its types.

        A class gets the name of a type, with or without ``@``: replies are then instances of it.
        Raises `OperandError` for a function that a chain could not call, or a class that is not
        what the type says, `MeaningError` for a name that the chain does not use.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> shout = chain("E >> @shout").bind(shout=str.upper)
        >>> shout("say it", engine=FakeEngine(answers={"say": "so"})).answer
        'SO'
        """
        raise_errors(unused(self.body, self.items, objects))
        types = declared_types(self.items)
        classes = {name: one for name, one in objects.items() if name in types}
        raise_errors(fault for name, one in classes.items() for fault in misfit(types[name], one))
        others = {name: one for name, one in objects.items() if name not in types}
        bound = with_objects(self.bound, self.body, self.items, others).with_types(classes)
        return evolve(self, extent=self._extent, bound=bound)

    @property
    def size(self) -> int:
        """The number of its nodes: stages, operators, labels and calls."""
        return self.extent[0]

    @property
    def depth(self) -> int:
        """The depth of its nested nodes; 1 for a single stage."""
        return self.extent[1]

    @property
    def extent(self) -> tuple[int, int]:
        """Size and depth."""
        return self._extent or measure(self.body)

    @property
    def file(self) -> File:
        """The chain as a file: its declarations, and the body as ``main``."""
        return File((*self.items, Definition(MAIN, self.body)))

    def check(self) -> tuple[Diagnostic, ...]:
        """Check the chain as a whole, and return its warnings.

        Text is checked as it is read; what operators build is checked here, before it is used:
        labels that stand twice, branches in the wrong place, calls beyond the limit.
        Raises `MeaningError` or `LimitError` with everything that is wrong.

        >>> from chainlang import E, J
        >>> (E.named("x") >> J.named("x")).check()
        Traceback (most recent call last):
            ...
        chainlang.errors.MeaningError: error[duplicate-name]: duplicate label 'x'
        ...
        """
        found = check(self.body, self.items)[2]
        raise_errors(found)
        return found

    def program(self) -> Program:
        """Return the checked program of the chain; the same object for the same limits."""
        return self._memo.get(current(), self._checked)

    def _checked(self) -> Program:
        body, items, found = check(self.body, self.items)
        raise_errors([*found, *unbound(body, items, self.bound)])
        raise_or_warn(() if self._is_checked else found)
        for function in self.bound.functions.values():
            function.check()
        return Program(body, items, self.bound)

    def to_json(self) -> str:
        """Return the chain as a JSON document, without source positions; see `from_json`."""
        return to_json(self.file if self.items else self.body)

    @staticmethod
    def from_json(text: str) -> Chain:
        """Return the chain that `to_json` wrote.

        Raises `DocumentError` for anything else, and what `check` raises.

        >>> from chainlang import E, M
        >>> Chain.from_json((E >> M).to_json()) == (E >> M)
        True
        """
        return Chain(*from_document(text))

    def __copy__(self) -> Chain:
        return self

    def __deepcopy__(self, memo: object) -> Chain:
        return self  # frozen all the way down

    def __reduce__(self) -> tuple[type[Chain], tuple[Any, ...]]:
        return Chain, (self.body, self.items)  # functions have to be bound again

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chain):
            return NotImplemented
        return self.body == other.body and self.items == other.items

    def __hash__(self) -> int:
        return hash((self.body, self.items))

    def __str__(self) -> str:
        """The canonical notation; the whole file, where the chain has declarations."""
        return unparse_file(self.file) if self.items else unparse(self.body)

    def __repr__(self) -> str:
        """Python that evaluates to an equal chain, and is notation too."""
        if self.items:
            return f"load(text={print_string(str(self))})"
        text = unparse(self.body, "call")
        # A bare name would be the type and not the chain.
        return text + "()" if isinstance(self.body, Stage) and is_name(text) else text


def lift(value: object, beside: Iterable[Item] = ()) -> Chain:
    """Return a value as a chain: an operand as it is, a string as notation.

    `beside` are the declarations of the chain next to it, so that a string may use its ops.
    Raises `OperandError` naming any other value, and saying what it may have been meant for.
    """
    if isinstance(value, Operand):
        return value.as_chain()
    if isinstance(value, str):
        items = tuple(beside)
        body, found = read(value, items)
        raise_or_warn(found)
        return Chain(body)
    if callable(value) and not _is_ours(value):
        return called(Function(getattr(value, "__name__", "")), value)
    kind = type(value).__name__
    message = f"expected a chain, found {shown(value)} ({kind})"
    if callable(value) and not is_name(getattr(value, "__name__", "")):
        message = f"{shown(value)} has no name"
    raise OperandError([Diagnostic("operand", message, hint=_meant(value))])


def called(node: Function, function: Callable[..., Any]) -> Chain:
    """Return a Python function as the chain of a node, which has its name."""
    if node.by_name:
        function = by_name(node.name, function, ())
    bound = NOTHING.with_functions({node.name: UserFunction.of(node.name, function)})
    return Chain(node, (), (1, 1), bound=bound)


def _is_ours(value: Callable[..., Any]) -> bool:
    """Return whether a callable makes chains, or has no name that a chain could have for it."""
    package = (getattr(value, "__module__", None) or "").partition(".")[0]
    return not is_name(getattr(value, "__name__", "")) or package == __name__.partition(".")[0]


def _meant(value: object) -> str:
    """Return the suggestion for a value beside an operator."""
    if isinstance(value, Several):
        return "a set of chains stands between operators; evaluate it with sweep or tune"
    if value is None:
        return "did a function forget to return its chain?"
    if isinstance(value, list | tuple | set | frozenset):
        return "join parts with &, branch with |, or give the list to chain([...])"
    if isinstance(value, dict):
        return "write join(name=a, ...) or branch(name=a, ...)"
    if hasattr(value, "ainvoke"):  # a runnable of LangChain
        return (
            'as a stage of a chain: as_stage(it, "name"), of chainlang.compat.langchain\n'
            "in LCEL: as_runnable(chain) | it"
        )
    if isinstance(value, bool | int | float):
        return "to run a part several times, write the count and * before it: 3 * part"
    if callable(value):
        name = getattr(value, "__name__", "")
        if is_name(name):
            return f"it is called: {name}(...)"
        return 'a chain is written in names, so give it one: function("name", ...)'
    return "a chain, a type of stage or a notation string belongs here"


def _operate(kind: type[Then] | type[Join] | type[Branch], left: object, right: object) -> Chain:
    if isinstance(left, Several) or isinstance(right, Several):
        return cast("Chain", NotImplemented)
    # A string is read with the declarations of the chain beside it.
    sides = (
        lift(left, right.as_chain().items if isinstance(right, Operand) else ()),
        lift(right, left.as_chain().items if isinstance(left, Operand) else ()),
    )
    size, depth = 1, 1
    for side in sides:
        same = isinstance(side.body, kind)
        size += side.size - same
        depth = max(depth, side.depth + (not same))
    check_extent(size, depth)
    parts: tuple[Expr, ...] = ()
    for side in sides:  # one copy: a long chain may be built a stage at a time
        parts += side.body.parts if isinstance(side.body, kind) else (side.body,)
    return built(kind(parts), sides, (size, depth))


def _repeat(count: object, chain: Chain) -> Chain:
    try:
        times = operator.index(count)  # type: ignore[arg-type]  # refused below if it is none
    except TypeError:
        refuse(f"{shown(count)} is not a whole number", "write 3 * chain")
    if isinstance(count, bool) or times < 1:
        refuse(f"a chain can't be repeated {shown(count)} times", "write 3 * chain")
    limits = current()
    total = times * chain.body.count if isinstance(chain.body, Repeat) else times
    if total > limits.samples_per_stage:
        raise LimitError([limits.exceeded("samples_per_stage", f"a count of {counted(total)}")])
    body = build.repeat(times, chain.body)
    if not isinstance(body, Repeat) or isinstance(chain.body, Repeat):
        return built(body, [chain], chain.extent)
    check_extent(chain.size + 1, chain.depth + 1)
    return built(body, [chain], (chain.size + 1, chain.depth + 1))


def built(body: Expr, parts: Iterable[Chain], extent: tuple[int, int] | None = None) -> Chain:
    """Return a chain made of others: a body, with the declarations and objects that they bring."""
    parts = tuple(parts)
    bound = together(part.bound for part in parts)
    return Chain(body, merged(part.items for part in parts), extent, bound=bound)


def check_extent(size: int, depth: int) -> None:
    """Refuse a chain that is too large or too deep, before it is built."""
    limits = current()
    limits.check("nodes", size, f"a chain of {size:,} nodes")
    limits.check("depth", depth, f"a chain nested {depth} deep")


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Raise an `OperandError`."""
    raise OperandError([Diagnostic("operand", message, hint=hint)])
