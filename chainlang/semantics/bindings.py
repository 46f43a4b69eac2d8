"""Bindings: the Python functions and classes behind names in a chain.

Nodes hold names only, so that a chain is a value that can be written as text. Bindings are stored
beside the nodes, and are ignored when chains are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from chainlang.datatypes.check_types import declared_types
from chainlang.datatypes.classes import Classes
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.errors import error_of
from chainlang.ir.builtins import CODE
from chainlang.ir.declarations import Definition, Item, Op, PythonType
from chainlang.ir.nodes import Expr, Function, Stage
from chainlang.ir.tools import TOOL
from chainlang.ir.visit import walk
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.functions_file import FunctionsFile
from chainlang.semantics.record import Candidate
from chainlang.semantics.shipped_functions import SHIPPED
from chainlang.semantics.tool_functions import ToolFunction


@frozen(eq=False)
class Bound:
    """Python functions and classes by the names that a chain uses."""

    types: Mapping[str, Any] = field(factory=dict)
    """Classes by the names of types; they validate replies and rows, and construct values."""
    functions: Mapping[str, UserFunction] = field(factory=dict)
    """Functions by their names, without ``@``."""
    tools: Mapping[str, ToolFunction] = field(factory=dict, kw_only=True)
    """Functions that models may call, by the names in `tools`."""
    file: FunctionsFile | None = None
    """Python file that the functions are from, if the user named one in the shell."""
    classes: Classes = field(init=False)
    """`types`, in the form that validators take."""

    @classes.default
    def _classes(self) -> Classes:
        return Classes(self.types)

    def function(self, name: str) -> UserFunction | None:
        """Return the function of a name, or the shipped one; None if there is none."""
        return self.functions.get(name) or SHIPPED.get(name)

    def with_functions(self, functions: Mapping[str, UserFunction]) -> Bound:
        """Return the bindings with more functions; a new one replaces an old one."""
        return evolve(self, functions={**self.functions, **functions}) if functions else self

    def with_tools(self, tools: Mapping[str, ToolFunction]) -> Bound:
        """Return the bindings with more tools; a new one replaces an old one."""
        return evolve(self, tools={**self.tools, **tools}) if tools else self

    def with_types(self, types: Mapping[str, Any]) -> Bound:
        """Return the bindings with more classes; a new one replaces an old one."""
        return evolve(self, types={**self.types, **types}) if types else self


NOTHING = Bound()
_RENAME = "rename one of them before the chains are put together"


def together(several: Iterable[Bound]) -> Bound:
    """Merge the bindings of several chains. Raises `MeaningError` if a name has two meanings.

    >>> together([Bound({"Review": dict}), NOTHING]).types
    {'Review': <class 'dict'>}
    """
    found = [one for one in several if one.types or one.functions or one.tools]
    if len(found) < 2:
        return found[0] if found else NOTHING
    types: dict[str, Any] = {}
    functions: dict[str, UserFunction] = {}
    tools: dict[str, ToolFunction] = {}
    for one in found:
        for name, kind in one.types.items():
            if types.setdefault(name, kind) is not kind:
                message = f"two chains bind the type '{name}' to different classes"
                raise error_of("duplicate-name", message, _RENAME, kind="type", subject=name)
        for name, function in one.functions.items():
            if functions.setdefault(name, function) != function:
                message = f"two chains bind '@{name}' to different functions"
                raise error_of("duplicate-name", message, _RENAME, kind="function", subject=name)
        for name, tool in one.tools.items():
            if tools.setdefault(name, tool) != tool:
                message = f"two chains bind the tool '{name}' to different functions"
                raise error_of("duplicate-name", message, _RENAME, kind="function", subject=name)
    file = next((one.file for one in found if one.file), None)
    return Bound(types, functions, file, tools=tools)


def normalizer(node: Function, bound: Bound) -> UserFunction:
    """Return the function by which a vote compares answers.

    Raises `MeaningError` if it is not bound, and `OperandError` if it takes anything else than one
    answer.
    """
    function = bound.function(node.name)
    if function is None:
        message = f"'@{node.name}' is not bound to a function"
        raise error_of("unknown-name", message, span=node.span)
    takes_one = function.kind == "map" and not function.is_async
    wants = function.fed is not None and function.fed.wants is Candidate
    if not takes_one or wants or any(not one.optional for one in function.names):
        message = f"normalize= can't be @{node.name}: a vote calls it with one answer at a time"
        hint = "write a function such as def clean(answer): ..., without async"
        raise error_of("operand", message, hint, span=node.span)
    return function


def _how_to_bind(mapping: str, name: str, what: str) -> str:
    of_file = f'load("x.chain", {mapping}={{"{name}": your_{what}}})'
    return (
        f"bind it: {of_file}\nor, to a chain that you have: qa.bind({name}=your_{what})\n"
        "or, in the shell, name the Python file that has it: --functions my_functions.py"
    )


def unbound(body: Expr, items: Iterable[Item], bound: Bound) -> list[Diagnostic]:
    """Return a diagnostic for each ``@name`` without a function or class, at its first use."""
    items = tuple(items)
    found = []
    for item in items:
        if isinstance(item, PythonType) and item.name not in bound.types:
            name, where = item.name, part_span(item.span, "name")
            hint = _how_to_bind("types", name, "class")
            message = f"the type '@{name}' is not bound to a class"
            found.append(
                Diagnostic("unknown-name", message, where, hint, kind="type", subject=name)
            )
    for name, node in functions_of(body, items).items():
        if bound.function(name) is None:
            hint = _how_to_bind("functions", name, "function")
            message = f"'@{name}' is not bound to a function"
            found.append(
                Diagnostic("unknown-name", message, node.span, hint, kind="function", subject=name)
            )
    for name, place in tool_names(body, items).items():
        if name not in bound.tools:
            message = f"the tool '{name}' is not bound to a function"
            near = suggest(name, bound.tools, None) or _how_to_bind("functions", name, "function")
            if any(isinstance(one, Op) and one.name == name for one in items):
                message = f"the op '{name}' asks a model, and is no tool"
                near = "a tool is a function of Python, `code`, or an op of kind tool or code"
            found.append(
                Diagnostic("unknown-name", message, place, near, kind="function", subject=name)
            )
    return found


def bound_by(
    body: Expr, items: Iterable[Item], file: FunctionsFile
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return what a file has for the ``@names`` of a chain, and a diagnostic for each missing one.

    That is at the first use of the name.
    """
    items = tuple(items)
    wanted: dict[str, tuple[Literal["type", "function"], Span | None]] = {
        item.name: ("type", part_span(item.span, "name"))
        for item in items
        if isinstance(item, PythonType)
    }
    wanted |= {
        name: ("function", node.span)
        for name, node in functions_of(body, items).items()
        if name not in SHIPPED
    }
    wanted |= {name: ("function", span) for name, span in tool_names(body, items).items()}
    known, of = tuple(file.public), f" in {file.path}"
    missing = [
        unknown(kind, name, known, span, of=of, hint=_not_public(name, file), sign="@")
        for name, (kind, span) in wanted.items()
        if name not in known
    ]
    return {name: file.public[name] for name in wanted if name in known}, missing


def _not_public(name: str, file: FunctionsFile) -> str | None:
    if name not in file.others:
        return None
    return f"it is private, imported or not callable there: list it in __all__ of {file.path}"


def unused(body: Expr, items: Iterable[Item], names: Iterable[str]) -> list[Diagnostic]:
    """Return a diagnostic for each bound name that the chain does not use."""
    items = tuple(items)
    used = [*functions_of(body, items), *tool_names(body, items), *declared_types(items)]
    found: list[Diagnostic] = []
    for name in names:
        if name in SHIPPED:
            message = f"'@{name}' is a function of the language, and can't be bound to another"
            found.append(
                Diagnostic(
                    "reserved",
                    message,
                    None,
                    "give yours another name",
                    kind="function",
                    subject=name,
                )
            )
        elif name not in used:
            hint = None if used else "this chain uses no Python function or class"
            found.append(unknown("name", name, used, of=" in this chain", hint=hint, sign="@"))
    return found


def tool_names(body: Expr, items: Iterable[Item]) -> dict[str, Span | None]:
    """Return the names of functions in `tools`, each with its first place.

    >>> from chainlang.notation import parse
    >>> [*tool_names(parse('E(tools=["weather", "time"]) >> J').node, ())]
    ['weather', 'time']
    """
    items = tuple(items)
    bodies = [body, *(item.body for item in items if isinstance(item, Definition))]
    stages = (one for whole in bodies for one in walk(whole) if isinstance(one, Stage))
    options = [option for stage in stages for option in stage.options]
    options += [one for item in items if isinstance(item, Op) for one in item.settings]  # type: ignore[misc]
    called = {one.name for one in items if isinstance(one, Op) and one.kind in (CODE, TOOL)}
    found: dict[str, Span | None] = {}
    for one in options:
        if one.name == "tools":
            for name in one.value if isinstance(one.value, tuple) else (one.value,):
                if name != CODE and name not in called:
                    found.setdefault(str(name), part_span(one.span, "value") or one.span)
    return found


def functions_of(body: Expr, items: Iterable[Item]) -> dict[str, Function]:
    """Return the ``@names`` of functions that are stages, conditions and forms of votes."""
    found: dict[str, Function] = {}
    bodies = [body, *(item.body for item in items if isinstance(item, Definition))]
    for node in (one for whole in bodies for one in walk(whole) if isinstance(one, Function)):
        found.setdefault(node.name, node)
    return found
