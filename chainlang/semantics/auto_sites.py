"""Places of a chain whose values a model decides, and the chain with the values in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from attrs import define, evolve, field, frozen

from chainlang.diagnostics.source import Span, part_span
from chainlang.ir import build
from chainlang.ir.auto import Auto, auto_of
from chainlang.ir.builtins import COMBINATORS
from chainlang.ir.calls import general, specific
from chainlang.ir.declarations import Definition, File, Op, Setting
from chainlang.ir.nodes import Combinator, Combine, Node, Option, Stage
from chainlang.ir.row_settings import MODELS, MOST_TOKENS, SAMPLES, listed
from chainlang.ir.visit import transform, walk
from chainlang.notation.literals import print_literal, print_number
from chainlang.semantics.auto_formats import choice, example_of, type_of, type_of_option

_Node = TypeVar("_Node", bound=Node)


@frozen
class Site:
    """A value to be decided: its path in the file, its type if that is known, what is beside it."""

    path: str
    auto: Auto
    known: str | None = None
    beside: tuple[tuple[str, Any], ...] = ()
    name: str = ""
    """Name of the option."""
    span: Span | None = field(default=None, eq=False)

    @property
    def rounds(self) -> bool:
        """Whether it is a temperature, which has no values just above 0."""
        return self.name == "temperature"

    @property
    def example(self) -> Any:
        """A value that it may have; of a number of samples or tokens the largest."""
        if self.name == "temperature":
            return 1.0
        return example_of(type_of(self.auto, self.known))


Decide: TypeAlias = Callable[[Site], Any]


def has_autos(roots: Iterable[Node]) -> bool:
    """Return whether a chain has values that are still to be decided.

    >>> from chainlang import chain
    >>> has_autos([chain('E(temperature=auto("hot?"))').body]), has_autos([chain("E").body])
    (True, False)
    """
    return any(map(_has_auto, (one for root in roots for one in walk(root))))


def _has_auto(node: Node) -> bool:
    if isinstance(node, Option | Setting):
        return _open(node.value) is not None
    # The expression of a combinator is a field, and no option.
    own = general(node).options if isinstance(node, Combinator) else ()
    return any(_open(one.value) is not None for one in own)


def _open(value: object) -> Auto | None:
    """Return the value that is to be decided before the first row; None for any other."""
    found = auto_of(value)
    return None if found is None or found.reads_row else found


def with_values(whole: File, decide: Decide) -> File:
    """Return a file with the values of its AUTO, which `decide` returns in the order of the file.

    A text stays a text: none of its characters is read as a template.
    """
    filling = _Filling(decide)
    items = []
    for item in whole.items:
        filling.item = item.name if isinstance(item, Definition | Op) else ""
        items.append(transform(item, filling.filled))
    return evolve(whole, items=tuple(items))


@define
class _Filling:
    decide: Decide
    item: str = ""
    """Name of the definition or the op."""
    paths: Counter[str] = field(factory=Counter)

    def filled(self, node: Node) -> Node:
        """Return a node with the values of its own options."""
        if isinstance(node, Stage):
            return self.stage(node)
        if isinstance(node, Op):
            return self.op(node)
        if isinstance(node, Combinator | Combine):
            return self.call(node)
        return node

    def value(
        self, name: str, auto: Auto, known: str | None, beside: Iterable[Any], span: Span | None
    ) -> Any:
        path = f"{self.item}.{name}"
        self.paths[path] += 1
        number = self.paths[path]
        path = path if number == 1 else f"{path}[{number}]"
        others = tuple((one.name, one.value) for one in beside if _is_said(one))
        where = part_span(span, "value") or span
        return self.decide(Site(path, auto, known, others, name, where))

    def stage(self, node: Stage) -> Stage:
        made, left = node, list[Option]()
        for one in node.options:
            if (auto := _open(one.value)) is None:
                left.append(one)
                continue
            value = self.value(one.name, auto, _known(node, one.name), node.options, one.span)
            if one.name == "temperature":
                made = evolve(made, temperature=float(value))
            elif one.name == SAMPLES:
                made = evolve(made, count=int(value))
            elif one.name == "model":
                made = evolve(made, model=str(value))
            else:
                left.append(evolve(one, value=_as_option(one.name, value)))
        if made.model is not None and node.model is None:
            left = [one for one in left if one.name != MODELS]
        if left == list(node.options) and made is node:
            return node
        return evolve(made, options=build.options(left))

    def call(self, node: Combinator | Combine) -> Node:
        call = general(node)
        if call.name not in COMBINATORS or not any(_open(one.value) for one in call.options):
            return node
        arms = {one.name: one.value for one in call.options}.get("arms")
        options = []
        for one in call.options:
            auto = _open(one.value)
            if auto is None:
                options.append(one)
                continue
            known = type_of_option(one.name)
            if one.name == "by" and (keys := getattr(arms, "entries", ())):
                known = choice(tuple(entry.name for entry in keys))
            others = [other for other in call.options if other.name != "arms"]
            value = self.value(one.name, auto, known, others, one.span)
            rule = COMBINATORS[call.name].options.get(one.name)
            made = _template(value) if rule is None else literal(value) if rule.evaluated else value
            options.append(evolve(one, value=made))
        return specific(evolve(call, options=tuple(options)))

    def op(self, node: Op) -> Op:
        settings = []
        for one in node.settings:
            auto = _open(one.value)
            if auto is not None:
                models = {it.name: it.value for it in node.settings}.get(MODELS)
                known = type_of_option(one.name)
                if one.name == "model" and models is not None:
                    known = choice(listed(models))
                value = self.value(one.name, auto, known, node.settings, one.span)
                settings.append(evolve(one, value=_as_option(one.name, value)))
            else:
                settings.append(one)
        if any(one.name == "model" and not _open(one.value) for one in settings):
            was = {one.name for one in node.settings if _open(one.value)}
            settings = [one for one in settings if one.name != MODELS or "model" not in was]
        return node if tuple(settings) == node.settings else evolve(node, settings=tuple(settings))


def _known(stage: Stage, name: str) -> str | None:
    """Return the type of a setting of a stage; None if it is not known."""
    if name == SAMPLES:
        return f"int(1..{stage.count})"
    if name == "max_tokens":
        return f"int(1..{MOST_TOKENS})"
    if name == "model":
        models = {one.name: one.value for one in stage.options}.get(MODELS)
        return choice(listed(models))
    return type_of_option(name)


def _is_said(one: Option | Setting) -> bool:
    return isinstance(one.value, str | int | float | tuple) and auto_of(one.value) is None


def _as_option(name: str, value: Any) -> Any:
    """Return a value as that of an option of a stage; a text as a template of itself."""
    return _template(value) if isinstance(value, str) and name != "model" else value


def _template(value: Any) -> str:
    """Return the template of a value: a text without braces is its own."""
    if isinstance(value, str) and "{" not in value and auto_of(value) is None:
        return value
    return f"{{{{ {literal(value)} }}}}"


def literal(value: Any) -> str:
    """Return a value as an expression, whatever its characters are.

    >>> print(literal("it's {{ x }}"), literal([1, True, "a"]))
    "it's {{ x }}" [1, true, "a"]
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return print_number(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return print_literal(str(value))
