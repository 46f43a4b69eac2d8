"""Jinja's sandbox with a budget, for templates of untrusted authors.

Jinja's own sandbox denies access to Python, but not endless loops and output. Here each rendering
has a budget (`render_budget`): what filters, tests, operators, comparisons and loops read and make
is charged before it is computed. Features that can't be charged are removed: macros, recursive
loops, includes, and filters that pad text or are random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.filters import do_indent, do_int
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from chainlang.semantics.render_budget import (
    ROUND,
    compared,
    counted,
    listed,
    measured,
    refuse,
    spend,
    text_of,
)
from chainlang.semantics.template_values import View, as_json

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
_COMPARING = ("dictsort", "max", "min", "sort", "unique")
"""Filters that compare or hash values with all that is in them."""
_LISTING = (
    "items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr",
)  # fmt: skip
"""Filters that read one item after another."""
_QUICK = frozenset({"copy", "endswith", "startswith"})
"""Methods that do not read all of what they are called on."""
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
_TOO_LARGE = f"a number in a template has at most {_LARGEST_NUMBER:,} bits"


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
    # What the code of a template calls by these names, and no template can.
    rounds: Callable[..., Any]
    joined: Callable[..., Any]
    measured: Callable[..., Any]

    def __init__(self, undefined: type[StrictUndefined]) -> None:
        super().__init__(
            undefined=undefined,
            keep_trailing_newline=True,
            finalize=shown,
            autoescape=False,
            optimized=False,  # constant folding would compute without a budget
        )
        self.rounds, self.joined, self.measured = _rounds, _joined, measured
        own = {"replace": _replace, "join": _join, "indent": _indent, "round": _round}
        own |= {"tojson": tojson, "string": text_of, "int": whole}
        self.filters = {name: own.get(name, self.filters[name]) for name in FILTERS}
        self.filters |= {name: _of_text(self.filters[name]) for name in _OF_TEXT}
        self.filters |= {name: _charged(self.filters[name], compared) for name in _COMPARING}
        self.filters |= {name: _charged(self.filters[name], listed) for name in _LISTING}
        tests: dict[str, Any] = self.tests
        self.tests = {name: _charged(test, measured) for name, test in tests.items()}
        self.globals = {name: self.globals[name] for name in GLOBALS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for kind, word in _ABSENT.items():
            for found in tree.find_all(kind):
                raise TemplateSyntaxError(f"a template has no '{word}'", found.lineno)
        _Charging().visit(tree)
        return tree

    def wrap_str_format(self, value: Any) -> None:
        """Disable `format`; `is_safe_attribute` rejects it."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Reject methods that can multiply the length of a string, except `replace`."""
        if isinstance(obj, str | int | float):
            return isinstance(obj, str) and attr in METHODS
        return super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a value; a key is hashed, and so measured."""
        return super().getitem(obj, measured(argument) if type(argument) is tuple else argument)

    def call(self, context: Any, obj: Any, *args: Any, **named: Any) -> Any:
        """Call a function, with its arguments and what a method is called on charged."""
        if obj is measured or obj is _rounds or obj is _joined:
            return obj(*args)
        owner = getattr(obj, "__self__", None)
        name = getattr(obj, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _replace(owner, *args)
        if isinstance(owner, str | list | tuple) and name not in _QUICK:
            measured(owner)
        args = tuple(map(measured, args))
        for name, value in named.items():
            if not name.startswith("_"):  # jinja's own are variables of loops
                named[name] = measured(value)
        return super().call(context, obj, *args, **named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Charge the result of an operator, then compute it."""
        if operator == "%" and isinstance(left, str):
            refuse("a template can't format with %: write {{ }}")
        if operator == "**":
            if _bits(left) * (right if isinstance(right, int) else 1) > _LARGEST_NUMBER:
                refuse(_TOO_LARGE)
        elif isinstance(left, int) and isinstance(right, int):
            if _bits(left) + _bits(right) > _LARGEST_NUMBER:
                refuse(_TOO_LARGE)
        elif operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    spend(len(many) * max(0, times))
        elif operator == "+" and isinstance(left, str | list | tuple):
            spend(len(left) + len(right))
        return measured(super().call_binop(context, operator, left, right))


def shown(value: Any) -> str:
    """Return the text of a value in a prompt."""
    if type(value) is str:
        spend(len(value))
        return value
    text = text_of(value)
    spend(len(text))
    return text


# ---------------------------------------------------------------- charging


def _of_text(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that receives the text of a value."""
    return _charged(filter_, text_of)


def _charged(filter_: Callable[..., Any], charge: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a filter or a test whose value is charged, and whose other arguments are measured.

    A text among the arguments may be read for each item, as the name of a field is.
    """
    before = int(hasattr(filter_, "jinja_pass_arg"))  # its environment comes first

    @wraps(filter_)
    def charging(*args: Any, **named: Any) -> Any:
        value = args[before]
        often = len(value) if isinstance(value, list | tuple | dict | range) else 1
        spend(1)  # as a filter may call others for each item
        for one in (*args[before + 1 :], *named.values()):
            spend(often * len(one) if isinstance(one, str) else 0)
        rest = map(measured, args[before + 1 :])
        named = {name: measured(one) for name, one in named.items()}
        return filter_(*args[:before], charge(value), *rest, **named)

    return charging


class _Charging(NodeTransformer):
    """Transformer that charges loops, `~`, comparisons, slices, lists and objects."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # jinja's name
        if node.recursive:
            raise TemplateSyntaxError("a template has no recursive loops", node.lineno)
        # The output of a loop is charged when it is printed; its text and its nodes, by its rounds.
        literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        size = sum(1 for one in node.body for _ in one.find_all(nodes.Node))
        self.generic_visit(node)
        each = nodes.Const(ROUND + literal + size, lineno=node.lineno)
        node.iter = _called("rounds", node.iter, each)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  # jinja's name
        self.generic_visit(node)
        return _called("joined", *node.nodes)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  # jinja's name
        self.generic_visit(node)
        node.expr = _called("measured", node.expr)
        for one in node.ops:
            one.expr = _called("measured", one.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  # jinja's name
        self.generic_visit(node)
        return _called("measured", node) if isinstance(node.arg, nodes.Slice) else node

    def _built(self, node: nodes.List | nodes.Tuple | nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        is_target = isinstance(node, nodes.Tuple) and node.ctx != "load"
        return node if is_target else _called("measured", node)

    visit_List = visit_Tuple = visit_Dict = _built  # noqa: N815  # jinja's names


def _called(name: str, *args: Any) -> nodes.Call:
    """Return a call of a function of the sandbox."""
    lineno = args[0].lineno if args else 1
    function = nodes.EnvironmentAttribute(name, lineno=lineno)
    return nodes.Call(function, [*args], [], None, None, lineno=lineno)


def _rounds(items: Iterable[Any], each: int) -> Iterable[Any]:
    if isinstance(items, (list, tuple)):  # all at once, because there is no `break`
        spend(len(items) * each)
        return items
    return counted(items, each)


def _joined(*parts: Any) -> str:
    texts = [text_of(part) for part in parts]
    spend(sum(map(len, texts)))
    return "".join(texts)


# ---------------------------------------------------------------- filters


def _join(items: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    """Return items, or one field of each, joined to a string."""
    texts = []
    for item in items:
        one = item[attribute] if attribute is not None else item
        texts.append(text_of(one))
        spend(ROUND + len(between))
    return between.join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    """Return a string with occurrences of another one replaced."""
    spend(len(text) + len(old))
    times = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    spend(times * len(new))
    return text.replace(old, new, times)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Return a string with its lines indented, except the first."""
    spend((len(text.splitlines()) + 1) * (width if isinstance(width, int) else len(width)))
    return do_indent(text, width, first, blank)


def tojson(value: Any) -> str:
    """Return a value as JSON; Python's error for extra arguments has the name of this function."""
    return as_json(measured(value))


def whole(value: Any, default: Any = 0, base: int = 10) -> Any:
    """Return a value as a whole number of a bounded size, or the default."""
    if isinstance(value, str) and len(value) > _LARGEST_NUMBER:
        refuse(_TOO_LARGE)
    number = do_int(value, default, base)
    if _bits(number) > _LARGEST_NUMBER:
        refuse(_TOO_LARGE)
    return number


def _round(number: float, digits: int = 0) -> float:
    """Return a number rounded to so many decimal places."""
    return round(number, max(-20, min(20, digits)))


def _bits(value: Any) -> int:
    return abs(value).bit_length() if isinstance(value, int) else 0
