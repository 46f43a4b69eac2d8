"""Jinja's sandbox with a budget, for templates of untrusted authors.

Jinja's own sandbox denies access to Python, but not endless loops and output. Here each rendering
has a budget in characters: output, joined strings and every round of a loop are counted before they
are computed. Features that can't be counted are removed: macros, recursive loops, includes, and
filters that pad text or are random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import do_indent
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from chainlang.semantics.template_values import View, as_json, as_text

BUDGET = 1 << 24
"""Budget of one rendering in characters; a round of a loop costs `ROUND` characters."""
ROUND = 16

FILTERS = frozenset(
    """abs capitalize count d default dictsort e escape first float indent int items join last
    length list lower map max min reject rejectattr replace reverse round select selectattr sort
    string striptags title tojson trim truncate unique upper wordcount""".split()  # noqa: SIM905
)
_OF_TEXT = (
    "capitalize", "e", "escape", "indent", "lower", "replace", "striptags", "title", "trim",
    "truncate", "upper", "wordcount",
)  # fmt: skip
"""Filters that would insert Python's `str` of a value that is not a string."""
GLOBALS = frozenset({"dict", "namespace", "range"})
_ABSENT: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.Block: "block",
}
METHODS = frozenset(
    """capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit
    islower isnumeric isspace istitle isupper lower lstrip partition removeprefix
    removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines
    startswith strip swapcase title upper""".split()  # noqa: SIM905
)
"""Allowed methods of strings. Methods of numbers are not allowed."""
_OF_LOOPS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_LARGEST_NUMBER = 1 << 14  # bits

_LEFT: ContextVar[list[int]] = ContextVar("_LEFT")


def rendered(pieces: Iterable[str]) -> str:
    """Return the concatenation of lazily generated pieces, with a new budget."""
    token = _LEFT.set([BUDGET])
    try:
        return "".join(pieces)
    finally:
        _LEFT.reset(token)


def spend(characters: int) -> None:
    """Subtract from the budget. Raises `SecurityError` if it is used up."""
    left = _LEFT.get()
    left[0] -= characters
    if left[0] < 0:
        _refuse(f"a template makes at most {BUDGET:,} characters, and a round of a loop is {ROUND}")


def _refuse(rule: str) -> NoReturn:
    raise SecurityError(rule)


class Missing(StrictUndefined):
    """An undefined name, whose fields are undefined too, so that `default` may come last."""

    def __getattr__(self, name: str) -> Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: object) -> Missing:  # type: ignore[override]
        return self


class Fields(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with a fast path for fields of views and loops."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of a value."""
        if isinstance(obj, View):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _OF_LOOPS:
            return getattr(obj, attribute)
        if isinstance(obj, dict) and attribute in obj:  # a method would hide a field `items`
            return obj[attribute]
        return super().getattr(obj, attribute)

    def make_globals(self, d: Any) -> Any:
        """Return the globals as they are: jinja's ChainMap is walked again in each render."""
        return self.globals if d is None else super().make_globals(d)


class Sandbox(Fields):
    """The environment of templates."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, undefined: type[StrictUndefined]) -> None:
        super().__init__(
            undefined=undefined,
            keep_trailing_newline=True,
            finalize=shown,
            autoescape=False,
            optimized=False,  # constant folding would compute without a budget
        )
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.filters |= {"replace": _replace, "join": _join, "indent": _indent, "round": _round}
        self.filters |= {"tojson": tojson, "string": as_text}
        self.filters |= {name: _of_text(self.filters[name]) for name in _OF_TEXT}
        self.filters |= {_ROUNDS: _rounds, _JOINED: _joined}
        self.globals = {name: self.globals[name] for name in GLOBALS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for kind, word in _ABSENT.items():
            for found in tree.find_all(kind):
                raise TemplateSyntaxError(f"a template has no '{word}'", found.lineno)
        _Counted().visit(tree)
        return tree

    def wrap_str_format(self, value: Any) -> None:
        """Disable `format`; `is_safe_attribute` rejects it."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Reject methods that can multiply the length of a string, except `replace`."""
        if isinstance(obj, str | int | float):
            return isinstance(obj, str) and attr in METHODS
        return super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, *args: Any, **named: Any) -> Any:
        """Call a function, counting the result of `replace`."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str) and getattr(obj, "__name__", "") == "replace":
            return _replace(owner, *args)
        return super().call(context, obj, *args, **named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Count the result of an operator, then compute it."""
        if operator == "%" and isinstance(left, str):
            _refuse("a template can't format with %: write {{ }}")
        if operator == "**":
            if _bits(left) * (right if isinstance(right, int) else 1) > _LARGEST_NUMBER:
                _refuse(f"a number in a template has at most {_LARGEST_NUMBER:,} bits")
        elif isinstance(left, int) and isinstance(right, int):
            if _bits(left) + _bits(right) > _LARGEST_NUMBER:
                _refuse(f"a number in a template has at most {_LARGEST_NUMBER:,} bits")
        elif operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    spend(len(many) * max(0, times))
        elif operator == "+" and isinstance(left, str | list | tuple):
            spend(len(left) + len(right))
        return super().call_binop(context, operator, left, right)


def shown(value: Any) -> str:
    """Return the text of a value in a prompt."""
    text = value if type(value) is str else as_text(value)
    spend(len(text))
    return text


def _of_text(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that receives the text of a value."""
    before = int(hasattr(filter_, "jinja_pass_arg"))  # its environment comes first

    @wraps(filter_)
    def filtered(*args: Any, **named: Any) -> Any:
        return filter_(*args[:before], as_text(args[before]), *args[before + 1 :], **named)

    return filtered


# ---------------------------------------------------------------- counting

_ROUNDS = "rounds of a loop"  # not a name that a template could use
_JOINED = "joined"


class _Counted(NodeTransformer):
    """Transformer that adds counting to loops and `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # jinja's name
        if node.recursive:
            raise TemplateSyntaxError("a template has no recursive loops", node.lineno)
        self.generic_visit(node)
        # The output of a loop is counted when it is printed, its literal text by its rounds.
        literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        each = nodes.Const(literal, lineno=node.lineno)
        node.iter = nodes.Filter(node.iter, _ROUNDS, [each], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  # jinja's name
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, _JOINED, [], [], None, None, lineno=node.lineno)


def _rounds(items: Iterable[Any], literal: int) -> Iterable[Any]:
    if isinstance(items, (list, tuple)):  # all at once, because there is no `break`
        spend(len(items) * (ROUND + literal))
        return items
    return _counted(items, ROUND + literal)


def _counted(items: Iterable[Any], each: int) -> Iterator[Any]:
    for item in items:
        spend(each)
        yield item


def _joined(parts: list[Any]) -> str:
    texts = [as_text(part) for part in parts]
    spend(sum(map(len, texts)))
    return "".join(texts)


def _join(items: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    """Return items, or one field of each, joined to a string."""
    texts = []
    for item in items:
        one = item[attribute] if attribute is not None else item
        texts.append(as_text(one))
        spend(ROUND + len(texts[-1]) + len(between))
    return between.join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    """Return a string with occurrences of another one replaced."""
    times = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    spend(len(text) + times * len(new))
    return text.replace(old, new, times)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Return a string with its lines indented, except the first."""
    spend(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(width)))
    return do_indent(text, width, first, blank)


def tojson(value: Any) -> str:
    """Return a value as JSON; Python's error for extra arguments has the name of this function."""
    return as_json(value)


def _round(number: float, digits: int = 0) -> float:
    """Return a number rounded to so many decimal places."""
    return round(number, max(-20, min(20, digits)))


def _bits(value: Any) -> int:
    return abs(value).bit_length() if isinstance(value, int) else 0
