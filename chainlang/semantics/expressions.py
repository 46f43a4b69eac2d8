"""Expressions over a record: answers, conditions, keys, lists. Their cost is bounded.

They are jinja's expressions, as in ``{{ ... }}``, without anything that could grow without bound:
no calls, no powers, bounded numbers, strings and lists, and filters whose result is not longer than
their input. So an expression of an untrusted author is cheap.
"""

from __future__ import annotations

from ast import literal_eval
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

from attrs import evolve

from chainlang.diagnostics.diagnostic import Diagnostic, in_order
from chainlang.diagnostics.source import Source, Span
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.errors import MeaningError
from chainlang.semantics.direct_expressions import direct
from chainlang.semantics.prompts import NOT_ALLOWED, RenderError, said_by
from chainlang.semantics.template_values import View, as_text, plain

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

LONGEST = 2_000
"""Maximum number of characters of an expression."""
DEEPEST = 50
"""Maximum nesting of operators."""
_DIGITS = 300
LARGEST_NUMBER = 10**_DIGITS
LARGEST_SUM = 1_000_000
"""Maximum number of characters of a string, or items of a list, that ``+`` returns."""
LARGEST_VALUE = 1_000_000
"""Maximum size of a value that an expression makes of others: characters and items, all levels."""
FILTERS = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "last", "length", "list",
    "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select",
    "selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper",
)  # fmt: skip

_LAZY = ("map", "reject", "rejectattr", "reverse", "select", "selectattr", "unique")


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression, as a JSON value.

    Raises `RenderError` if it fails on the values, and `MeaningError` if it is not an expression.

    >>> evaluate("score > 3 and verdict == 'correct'", {"score": 4, "verdict": "correct"})
    True
    """
    return _compiled(expression)(values)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a compiled expression, from a cache."""
    wrong = faults(expression)
    if wrong:
        raise MeaningError(wrong)
    from jinja2 import TemplateError, Undefined

    run: Callable[..., Any]
    makes, quick = False, None
    if is_name(expression):
        run = _named(expression)
    else:
        run = _environment().compile_expression(expression, undefined_to_none=False)
        tree = _tree(expression, words(expression))
        makes, quick = _makes(tree), direct(tree.nodes[0])

    def evaluated(values: Mapping[str, Any]) -> Any:
        if quick is not None:
            try:
                return plain(quick(values))
            except NOT_ALLOWED:
                pass  # jinja knows what is wrong
        try:
            found = run(values)
            for one in found if isinstance(found, (list, tuple)) else (found,):
                if isinstance(one, Undefined):
                    raise RenderError(f"{expression!r} has no value here")
            if makes and _size(found) > LARGEST_VALUE:
                raise RenderError(f"its value has more than {LARGEST_VALUE:,} characters and items")
            return plain(found)
        except (TemplateError, *NOT_ALLOWED) as error:
            raise RenderError(said_by(error)) from error

    return evaluated


def _makes(tree: nodes.Node) -> bool:
    """Return whether an expression makes a value that may be larger than those it reads."""
    from jinja2 import nodes

    makers = (nodes.List, nodes.Tuple, nodes.Dict, nodes.Add, nodes.Mul)
    return any(True for _ in tree.find_all(makers))


def _size(value: Any) -> int:
    """Return the size of a value as JSON, about, or a larger one than `LARGEST_VALUE`."""
    size, pending = 0, [value]
    while pending and size <= LARGEST_VALUE:
        match pending.pop():
            case str() as text:
                size += len(text)
            case list() | tuple() as items:
                size += len(items)
                pending += items
            case dict() as fields:
                size += sum(len(str(name)) for name in fields) + len(fields)
                pending += fields.values()
            case View() as view:
                pending += view.values()
            case _:
                size += 1
    return size


def _named(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return an expression that is a single name, compiled without jinja, since most are."""

    def value(values: Mapping[str, Any]) -> Any:
        if name not in values:
            raise RenderError(f"{name!r} is undefined; {suggest(name, values)}")
        return values[name]

    return value


@lru_cache(maxsize=1024)
def faults(expression: str) -> tuple[Diagnostic, ...]:
    """Return the syntax errors of an expression, and the constructs that are not allowed in it.

    >>> [one.message for one in faults("verdict == 2 ** 9")]
    ["'**' could make a number of any size"]
    """
    if is_name(expression):  # most are, and need no jinja
        return ()
    if len(expression) > LONGEST:
        what = f"this expression has {len(expression):,} characters, more than {LONGEST:,}"
        return (_NoExpression(what, 0, expression).diagnostic(expression),)
    try:
        tokens = words(expression)
        found = _refused(_tree(expression, tokens))
    except _NoExpression as error:
        return (error.diagnostic(expression),)
    source = Source(expression, "<expression>")
    placed = [evolve(one, span=_place(source, tokens, word)) for word, one in found]
    return in_order(dict.fromkeys(placed))


@lru_cache(maxsize=1024)
def names(expression: str) -> frozenset[str]:
    """Return the names that an expression reads. Raises `MeaningError` for a syntax error.

    >>> sorted(names("score > 3 and fr.answer"))
    ['fr', 'score']
    """
    from jinja2 import nodes

    _compiled(expression)  # for its error
    if is_name(expression):
        return frozenset({expression})
    tree = _tree(expression, words(expression))
    return frozenset(one.name for one in tree.find_all(nodes.Name))


class _NoExpression(Exception):
    """Syntax error in an expression: the reason and the characters."""

    def __init__(self, message: str, start: int, text: str = "", hint: str | None = None) -> None:
        self.message, self.start, self.text, self.hint = message, start, text, hint
        super().__init__(message)

    def diagnostic(self, expression: str) -> Diagnostic:
        """Return the diagnostic of the error."""
        end = self.start + max(len(self.text), 1)
        span = Span(Source(expression, "<expression>"), self.start, end)
        return Diagnostic("expression", self.message, span, self.hint)


def is_name(expression: str) -> bool:
    """Return whether an expression is a single name."""
    return expression.isidentifier() and expression.lower() not in ("true", "false", "none", "not")


def words(expression: str) -> list[tuple[int, str]]:
    """Return the tokens of an expression with their offsets. Raises `_NoExpression`."""
    from jinja2 import TemplateSyntaxError

    found: list[tuple[int, str]] = []
    offset = depth = 0
    try:
        for _, kind, text in _environment().lexer.tokeniter(expression, None, None, "variable"):
            if kind not in _KINDS or not _is_word(kind, text):
                raise _NoExpression(f"unexpected '{text}' in an expression", offset, text)
            if kind in ("integer", "float") and not _is_number(text):
                raise _NoExpression("this number is too large", offset, text)
            if kind == "string" and not _is_readable(text):
                raise _NoExpression("invalid escape in a text", offset, text)
            if kind != "whitespace":
                found.append((offset, text))
            depth += (text in _OPENING) - (text in _CLOSING)
            if depth > DEEPEST // 2:
                raise _NoExpression("this expression is nested too deep", offset, text)
            offset += len(text)
    except TemplateSyntaxError as error:
        char = expression[offset : offset + 1]
        what = f"unexpected '{char}' in an expression"
        if char in ("'", '"'):
            what = "unclosed quote"
        elif char in _CLOSING:
            what = f"unmatched '{char}'"
        raise _NoExpression(what, offset, char) from error
    return found


_KINDS = frozenset(("name", "operator", "string", "integer", "float", "whitespace"))
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


def _is_word(kind: str, text: str) -> bool:
    """Return whether a token can be parsed: jinja's lexer takes any digits and letters."""
    if kind in ("integer", "float"):
        return text.isascii()
    return kind != "name" or text.isidentifier()


def _is_number(text: str) -> bool:
    """Return whether a number has a size that operators accept."""
    return len(text) <= 2 * _DIGITS and abs(literal_eval(text)) <= LARGEST_NUMBER


def _is_readable(text: str) -> bool:
    """Return whether jinja can parse a quoted string with its escapes."""
    try:
        text[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError:
        return False
    return True


def _tree(expression: str, tokens: list[tuple[int, str]]) -> nodes.Output:
    """Return the parsed expression. Raises `_NoExpression`."""
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.parser import Parser

    parser = Parser(_environment(), expression, state="variable")
    try:
        tree = parser.parse_expression()
    except TemplateSyntaxError as error:
        raise _unreadable(expression, tokens, parser) from error
    except RecursionError as error:
        raise _NoExpression("this expression is nested too deep", 0, expression) from error
    if not parser.stream.eos:
        raise _unreadable(expression, tokens, parser)
    level: list[nodes.Node] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise _NoExpression("this expression is nested too deep", 0, expression)
    return nodes.Output([tree])


def _unreadable(expression: str, tokens: list[tuple[int, str]], parser: Any) -> _NoExpression:
    """Return the error for the token at which the parser stopped."""
    left = 0
    while not parser.stream.eos:
        next(parser.stream)
        left += 1
    if left == 0:
        return _NoExpression("unexpected end of the expression", max(len(expression) - 1, 0))
    start, text = tokens[len(tokens) - left]
    hint = "to compare, write ==" if text == "=" else None
    if expression.startswith(("{{", "{%")):
        hint = "leave the braces out"
    return _NoExpression(f"unexpected '{text}'", start, text, hint)


def _refused(tree: nodes.Node) -> Iterator[tuple[str, Diagnostic]]:
    """Yield a diagnostic, with its token, for each construct of jinja that is not allowed here."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Pow, nodes.Concat, nodes.Call, nodes.Filter, nodes.Getattr)):
        match node:
            case nodes.Pow():
                hint = "write the product"
                yield "**", _finding("'**' could make a number of any size", hint)
            case nodes.Concat():
                hint = "write + between texts"
                yield "~", _finding("'~' could make a text of any size", hint)
            case nodes.Call():
                name = getattr(node.node, "attr", getattr(node.node, "name", "("))
                hint = "to change a value, write a filter: answer | lower"
                yield name, _finding("an expression can't call functions", hint)
            case nodes.Filter(name=name) if name not in FILTERS:
                yield name, unknown("filter", name, FILTERS, code="expression")
            case nodes.Filter(kwargs=named):
                for key in sorted(_twice(str(one.key) for one in named)):
                    yield key, _finding(f"the argument '{key}' is given twice")
            case nodes.Getattr(attr=name) if name.startswith("_"):
                hint = "names that begin with '_' can't be read"
                yield name, _finding(f"'{name}' is not a field of a value", hint)


def _finding(message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic("expression", message, hint=hint)


def _twice(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _place(source: Source, tokens: list[tuple[int, str]], text: str) -> Span:
    """Return the span of the first occurrence of a name, skipping fields after a point."""
    places = [
        (before == ".", start)
        for (_, before), (start, word) in zip([(0, ""), *tokens], tokens, strict=False)
        if word == text
    ]
    start = min(places, default=(False, 0))[1]
    return Span(source, start, start + len(text))


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2.exceptions import SecurityError

    from chainlang.semantics.sandbox import Fields, Missing, whole

    class Bounded(Fields):
        intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

        def getattr(self, obj: Any, attribute: str) -> Any:
            """Return a field of a value, never a method."""
            if isinstance(obj, View) or (isinstance(obj, dict) and attribute in obj):
                return super().getattr(obj, attribute)
            return self.undefined(obj=obj, name=attribute)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Return the result of an operator. Raises an error if it is too large."""
            if operator == "+" and type(left) is type(right) and isinstance(left, str | list):
                if len(left) + len(right) > LARGEST_SUM:
                    raise SecurityError(f"'+' would make more than {LARGEST_SUM:,} of it")
                return left + right
            for value in (left, right):
                if not isinstance(value, int | float):
                    kind = type(value).__name__
                    raise SecurityError(f"'{operator}' is for numbers, and this is a {kind}")
                if abs(value) > LARGEST_NUMBER:
                    raise SecurityError(f"'{operator}' met a number of more than 300 digits")
            return super().call_binop(context, operator, left, right)

    made = Bounded(undefined=Missing, autoescape=False, optimized=False)
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.filters |= {name: _listing(made.filters[name]) for name in _LAZY}
    made.filters |= {"string": as_text, "int": whole}
    made.globals = {}
    return made


def _listing(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter whose result is a list in place of an iterator."""

    @wraps(filter_)
    def listed(*args: Any, **named: Any) -> Any:
        found = filter_(*args, **named)
        return list(found) if isinstance(found, Iterator) else found

    return listed
