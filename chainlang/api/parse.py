"""`chain` for expressions and `load` for files: text to nodes, checks, and a `Chain`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from chainlang.analysis.check_file import MAIN
from chainlang.analysis.program import check, examine, main_of
from chainlang.analysis.scope import Scope
from chainlang.api.chain import Chain, ChainLike, Operand, check_extent, lift, refuse
from chainlang.api.merge_items import merged
from chainlang.api.steps import load_file_of_steps
from chainlang.datatypes.from_python import NoType, described
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import MeaningError, raise_errors, raise_or_warn
from chainlang.ir import build
from chainlang.ir.builtins import canonical
from chainlang.ir.declarations import Definition, Input, Item, TypeName
from chainlang.ir.nodes import Expr, Node, Stage
from chainlang.ir.verify import is_name
from chainlang.ir.visit import measure, transform
from chainlang.limits import current
from chainlang.notation import parse_file, source
from chainlang.notation.parse import read_expression, read_items
from chainlang.pipelines.load import is_steps
from chainlang.semantics.bindings import NOTHING, Bound, together

Spec: TypeAlias = "ChainLike | Sequence[Spec]"
Factory: TypeAlias = Callable[[int, "str | None", "float | None"], "str | Operand"]


def chain(
    spec: Spec,
    *,
    components: Mapping[str, Spec] | None = None,
    ops: Mapping[str, Operand | Factory] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    input: Any = None,  # noqa: A002  # what a file calls it
) -> Chain:
    """Return the chain that a text describes.

    A list is a sequence; nested lists that stand side by side, and consecutive ``$names`` before
    a fold, are joined (the lists of Ember's compact notation). `components` gives ``$names`` their
    meaning, `ops` gives names of types theirs: a type made by `chainlang.op`, or a function from
    count, model and temperature to a chain; `functions` gives ``@names`` their functions. `input`
    says what a row has: a pydantic model, or what stands after the word in a file, as text.

    Raises `NotationError`, `MeaningError` or `LimitError` with everything that is wrong; what is
    only doubtful is warned of as `ChainlangWarning`.

    >>> chain("3:E:tiny:0.7 >> 1:J:tiny:0")
    E("tiny", 3, 0.7) >> J("tiny", 1, 0)
    >>> print(chain(["$panel", "$panel", "J"], components={"panel": ["3:E", "V"]}), end="")
    panel = 3:E >> V
    main = ($panel & $panel) >> J
    >>> print(chain("E", input='{ text: str, query = "In a word: {{ text }}" }'), end="")
    input { text: str, query = "In a word: {{ text }}" }
    main = E
    """
    types, factories = _split_ops(ops or {})
    context = merged(operand.as_chain().items for operand in types.values())
    bound = [operand.as_chain().bound for operand in types.values()]
    builder = _Builder(context, bound, factories)
    definitions = []
    if input is not None:
        declared, own = _input(input)
        builder.items += declared
        builder.bound.append(own)
    for name, part in (components or {}).items():
        if not is_name(name) or name == MAIN:
            hint = "names are Python identifiers, and `main` is the chain itself"
            refuse(f"{name!r} can't be the name of a component", hint)
        definitions.append(Definition(name, builder.expression(part)))
    body = builder.expression(spec)
    for one in (body, *(definition.body for definition in definitions)):
        check_extent(*measure(one))
    items = merged([tuple(builder.items), tuple(definitions)])
    body, items, found = check(body, items)
    raise_or_warn([*builder.diagnostics, *found])
    return Chain(body, items, bound=together(builder.bound), is_checked=True).bind(
        **(functions or {})
    )


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    text: str | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    types: Mapping[str, Any] | None = None,
    allow: Collection[str] = (),
    format: Literal["chain", "yaml"] | None = None,  # noqa: A002  # what a file has
    actions: Literal["model"] | None = None,
) -> Chain:
    """Return the chain that a `.chain` file defines as ``main``, with its declarations.

    Give a path, or the text of a file itself; only a path can `use` other files. `functions` gives
    the ``@names`` of the file their functions, and `types` its types their classes, since a file
    can name them and not import them. `allow` names settings of its models that run code, such as
    ``trust_remote_code``; without it a file that has one is refused.

    A path that ends in ``.yaml`` or ``.yml``, and a text with ``format="yaml"``, is a file of
    steps: `functions` are then its actions, and with ``actions="model"`` the model does those that
    nothing else does.
    Raises `SourceError` for a file that can't be read, and everything that `chain` raises.

    >>> load(text="panel = 3:E:tiny\\nmain = $panel >> M").body
    Then(parts=(Ref(name='panel'), Stage(name='M', count=1, model=None, temperature=None, option...
    """
    if (path is None) == (text is None):
        refuse("load() takes a path or a text", 'write load("x.chain") or load(text="main = E")')
    is_yaml = format == "yaml" or (format is None and path is not None and is_steps(Path(path)))
    if is_yaml:
        given = source(text, "<text>") if text is not None else Path(str(path))
        return load_file_of_steps(given, functions, types, allow, actions)
    if actions is not None:
        refuse("actions= is for files of steps, and this is a .chain file", "leave it out")
    if text is not None:
        file, diagnostics = examine(read_items(source(text, "<text>")), allow)
    else:
        assert path is not None  # one of the two is given
        file, diagnostics = examine(Path(path), allow)
    raise_or_warn(diagnostics)
    return Chain(*main_of(file), is_checked=True).bind(**(functions or {}), **(types or {}))


def _input(given: Any) -> tuple[tuple[Item, ...], Bound]:
    """Return the declarations of what a row has, and the classes behind them."""
    if isinstance(given, str):
        file = parse_file(source(f"input {given}", "<input>")).node
        if len(file.items) != 1:
            refuse(f"input={shown(given)} is more than an input", "write input='{ text: str }'")
        return file.items, NOTHING
    hint = "give a pydantic model, or text: input='{ text: str }'"
    try:
        found = described(given, "Row")
    except NoType as error:
        refuse(f"input= can't be {shown(given)}: {error}", hint)
    if not isinstance(found.type, TypeName) or not found.declared:
        refuse(f"input= can't be {shown(given)}: a row has fields", hint)
    exact = getattr(given, "model_config", {}).get("extra") == "forbid"
    return (*found.declared, Input(found.type, exact)), Bound(found.classes)


def _split_ops(
    ops: Mapping[str, Operand | Factory],
) -> tuple[dict[str, Operand], dict[str, Factory]]:
    types: dict[str, Operand] = {}
    factories: dict[str, Factory] = {}
    for name, value in ops.items():
        if not is_name(name):
            refuse(f"{name!r} can't be the name of a type", "names are Python identifiers")
        if isinstance(value, Operand):
            made = value.as_chain()
            if made.body != Stage(name) or not made.items:
                refuse(
                    f"ops={{{name!r}: ...}} takes a type that op() made under that name",
                    "for a chain with another name, give a function: lambda count, model, "
                    "temperature: ...",
                )
            types[name] = value
        elif callable(value):
            factories[name] = value
        else:
            refuse(f"ops={{{name!r}: ...}} takes a type made by op(), or a function")
    return types, factories


class _Builder:
    """Turns strings, chains and Ember's lists into expressions, and collects what they bring."""

    def __init__(
        self, context: tuple[Item, ...], bound: Iterable[Bound], factories: Mapping[str, Factory]
    ) -> None:
        self.items: list[Item] = list(context)
        self.bound: list[Bound] = list(bound)
        self.context = context
        self.factories = factories
        self.diagnostics: list[Diagnostic] = []
        self.depth = 0

    def expression(self, spec: object) -> Expr:
        if isinstance(spec, list | tuple):
            return self.sequence(list(spec))
        if isinstance(spec, str):
            parsed = read_expression(source(spec))
            raise_errors(parsed.diagnostics)
            self.diagnostics += parsed.diagnostics
            return transform(parsed.node, self.expand) if self.factories else parsed.node
        return self.operand(spec)

    def operand(self, value: object) -> Expr:
        lifted = lift(value, self.context)
        self.items += lifted.items
        self.bound.append(lifted.bound)
        return lifted.body

    def expand(self, node: Node) -> Node:
        """Replace a stage whose name stands for a function by what the function returns."""
        if not isinstance(node, Stage):
            return build.flattened(node)
        if node.name not in self.factories:
            return node
        if node.options:
            where = node.options[0].span
            message = (
                f"'{node.name}' is a function of count, model and temperature, without options"
            )
            raise MeaningError([Diagnostic("unknown-option", message, where)])
        return self.operand(self.factories[node.name](node.count, node.model, node.temperature))

    def sequence(self, specs: list[Any]) -> Expr:
        """Return the meaning of a list: a sequence, its neighbours that stand apart joined."""
        self.depth += 1
        limits = current()
        limits.check("depth", self.depth, f"lists nested {self.depth} deep")
        limits.check("nodes", len(specs), f"a list of {len(specs):,} parts")
        node = self.parts(specs)
        self.depth -= 1
        return node

    def parts(self, specs: list[Any]) -> Expr:
        if not specs:
            refuse("this list is empty", 'the shortest chain is one type: "E"')
        parts: list[Expr] = []
        group: list[Expr] = []
        nested = False
        for spec in specs:
            node = self.expression(spec)
            if _stands_apart(spec):
                group.append(node)
                nested = nested or isinstance(spec, list | tuple)
                continue
            parts += self.grouped(group, joined=nested or self.is_fold(node))
            parts.append(node)
            group, nested = [], False
        return build.then(*parts, *self.grouped(group, joined=nested))

    def grouped(self, group: list[Expr], *, joined: bool) -> list[Expr]:
        return [build.join(*group)] if joined and group else group

    def is_fold(self, node: Expr) -> bool:
        if not isinstance(node, Stage):
            return False
        kind = Scope.of(self.context).types.get(canonical(node.name))
        return kind is not None and kind.kind == "fold"


def _stands_apart(spec: object) -> bool:
    """Return whether Ember's documents show such an item as a branch: a list, or a ``$name``."""
    if isinstance(spec, list | tuple):
        return True
    return isinstance(spec, str) and spec.strip().startswith("$") and is_name(spec.strip()[1:])
