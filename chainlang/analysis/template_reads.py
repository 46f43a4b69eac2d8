"""Paths that templates and expressions read, with their offsets: ``candidates[0].score``.

Jinja's parser receives the offset of each token in place of its line number, so every node has an
offset. Loop variables, ``set`` and filters over lists are followed, so that
``{% for one in candidates %}{{ one.score }}`` reads the path ``candidates[].score``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve

from chainlang.analysis.read_paths import Compared, ListOfPaths, PathValue, Read, Reads, Step
from chainlang.semantics.prompts import UNREADABLE, environment

if TYPE_CHECKING:
    from jinja2 import nodes


def template_reads(template: str) -> tuple[Read, ...]:
    """Return the paths that a template reads, in the order of its text; none if it is invalid.

    >>> [one.key for one in template_reads("{% for a in b %}{{ a.x }} {{ c['d'] }}{% endfor %}")]
    [('b',), ('b', '', 'x'), ('c', 'd')]
    """
    return all_of_template(template).paths


@lru_cache(maxsize=1024)
def all_of_template(template: str) -> Reads:
    """Return what a template reads, compares and sets; nothing if it is invalid.

    >>> all_of_template("{% if a.x == 'y' %}{% endif %}").compared[0].values
    (('y', 13),)
    """
    from jinja2 import TemplateSyntaxError
    from jinja2.parser import Parser

    reader = _Reader(template, frozenset(environment().globals))
    try:
        parser = Parser(environment(), "")
        parser.stream = _stream(template, None)
        reader.visit(parser.parse())
    except (TemplateSyntaxError, *UNREADABLE):  # diagnosed by another check
        return Reads()
    return reader.whole(None)


def expression_reads(expression: str) -> tuple[Read, ...]:
    """Return the paths that an expression reads; none if it is invalid.

    >>> [one.key for one in expression_reads("fr.answer == answer")]
    [('fr', 'answer'), ('answer',)]
    """
    return all_of_expression(expression).paths


def path_read(expression: str) -> Read | None:
    """Return the path of an expression that is a single path; None for others.

    >>> path_read("fr.answer").key, path_read("fr.answer == answer")
    (('fr', 'answer'), None)
    """
    found = all_of_expression(expression).value
    return found if isinstance(found, Read) else None


def items_read(expression: str) -> Read | None:
    """Return the path to the items of a list expression; None if there is none.

    >>> items_read("candidates | map(attribute='tags')").key
    ('candidates', '', 'tags')
    """
    return _item(all_of_expression(expression).value, "every")


@lru_cache(maxsize=1024)
def all_of_expression(expression: str) -> Reads:
    """Return what an expression reads and compares, and its own value; nothing if it is invalid."""
    if expression.isidentifier():  # most are, and need no jinja
        read = Read(expression, end=len(expression))
        is_constant = expression.lower() in ("true", "false", "none")
        return Reads() if is_constant else Reads((read,), value=read)
    from jinja2 import TemplateSyntaxError
    from jinja2.parser import Parser

    reader = _Reader(expression)
    try:
        parser = Parser(environment(), "", state="variable")
        parser.stream = _stream(expression, "variable")
        found = reader.value(parser.parse_expression())
    except (TemplateSyntaxError, *UNREADABLE):  # diagnosed by another check
        return Reads()
    return reader.whole(found)


def tokens(template: str, state: str | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield the tokens of a template: offset, kind and text.

    >>> [at for at, kind, text in tokens("a\\r\\nb\\rc\\n{{ d }}") if text == "d"]
    [10]
    """
    plain = _LINE_END.sub("\n", template)  # as the lexer has it
    pairs = [pair.start() - earlier for earlier, pair in enumerate(_PAIR.finditer(template))]
    at = 0
    for _, kind, text in environment().lexer.tokeniter(template, None, None, state):
        at = plain.index(text, at)  # skips white space removed by ``-``
        end = at + len(text)
        start, stop = at + bisect_left(pairs, at), end + bisect_left(pairs, end)
        yield start, kind, template[start:stop]
        at = end


_LINE_END, _PAIR = re.compile(r"\r\n|\r|\n"), re.compile(r"\r\n")


def _stream(template: str, state: str | None) -> Any:
    from jinja2.lexer import TokenStream

    lexer = environment().lexer
    return TokenStream(lexer.wrap(tokens(template, state)), None, None)


_SAME = frozenset({"list", "reverse", "sort", "unique"})
_SOME = frozenset({"select", "reject", "selectattr", "rejectattr"})
_ONE = frozenset({"first", "last", "min", "max"})
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "lteq": "gteq", "gt": "lt", "gteq": "lteq"}
_BY_ATTRIBUTE = {"sort": 2, "unique": 1, "min": 1, "max": 1, "sum": 0, "join": 1}
"""Position of the parameter `attribute` of each filter."""


class _Reader:
    """Collector of the paths in a template; `names` are the variables that it has set."""

    def __init__(self, text: str, around: frozenset[str] = frozenset()) -> None:
        self.text = text
        self.around = around
        """Names that jinja defines."""
        self.found: list[tuple[Read, bool]] = []
        """Paths, and whether each is read in a branch."""
        self.asked: set[tuple[str | None, ...]] = set()
        self.names: dict[str, PathValue] = {}
        self.certain = True
        self.roots: set[str | None] = set()
        self.compared: list[Compared] = []
        self.variables: list[tuple[str, int]] = []

    def whole(self, value: PathValue) -> Reads:
        """Return all that was collected; `value` is that of an expression."""
        return Reads(self.reads(), tuple(self.compared), tuple(self.variables), value)

    def reads(self) -> tuple[Read, ...]:
        """Return the collected paths, in the order of the text.

        A path that is read in a branch, and tested somewhere, may be absent.
        """
        found = [
            evolve(read, is_guarded=True) if in_branch and self.is_asked(read) else read
            for read, in_branch in self.found
        ]
        return tuple(sorted(found, key=lambda one: (one.start, one.end)))

    def is_asked(self, read: Read) -> bool:
        return any(read.key[:length] in self.asked for length in range(1, len(read.key) + 1))

    # ------------------------------------------------------------ statements

    def visit(self, node: nodes.Node) -> None:
        """Collect the paths of a statement, or of an expression whose value is not used."""
        from jinja2 import nodes

        match node:
            case nodes.For():
                self.loop(node)
            case nodes.If():
                self.value(node.test)
                self.perhaps([*node.body, *node.elif_, *node.else_])
            case nodes.Assign(target=nodes.Name(name=name, lineno=at)):
                found = self.value(node.node)
                self.set(name, found if self.certain else None, at)
            case nodes.Assign():
                self.value(node.node)
                self.bind(node.target, None)
            case nodes.AssignBlock():
                self.all(node.body)
                self.bind(node.target, None)
            case nodes.With():
                values = [self.value(one) for one in node.values]
                before = dict(self.names)
                for target, value in zip(node.targets, values, strict=True):
                    self.bind(target, value)
                self.all(node.body)
                self.names = before
            case nodes.Expr():
                self.value(node)
            case _:
                self.all(node.iter_child_nodes())

    def all(self, several: Iterable[nodes.Node]) -> None:
        for one in several:
            self.visit(one)

    def perhaps(self, several: Iterable[nodes.Node]) -> None:
        """Collect the paths of nodes that are not always reached."""
        before, self.certain = self.certain, False
        self.all(several)
        self.certain = before

    def loop(self, node: nodes.For) -> None:
        items = self.value(node.iter)
        before = dict(self.names)
        self.names["loop"] = Read(None)
        self.bind(node.target, _item(items, "every"))
        if node.test is not None:
            self.perhaps([node.test, *node.body])
        else:
            self.all(node.body)
        self.names = before
        self.perhaps(node.else_)

    def bind(self, target: nodes.Node, value: PathValue) -> None:
        from jinja2 import nodes

        if isinstance(target, nodes.Name):
            self.set(target.name, value, target.lineno)
        else:
            for one in target.find_all(nodes.Name):
                self.set(one.name, None, one.lineno)

    def set(self, name: str, value: PathValue, at: int) -> None:
        """Set a variable; note it if no value of this name was read before."""
        if name not in self.names and name not in self.roots:
            self.variables.append((name, at))
        self.names[name] = value

    # ------------------------------------------------------------ expressions

    def value(self, node: nodes.Node, *, guarded: bool = False) -> PathValue:
        """Collect the paths of an expression; return its value."""
        from jinja2 import nodes

        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                found = self.path(node)
                if isinstance(found, Read):
                    self.note(found, guarded=guarded)
                return found
            case nodes.Filter():
                return self.filtered(node)
            case nodes.Test(name="defined" | "undefined"):
                found = self.value(node.node, guarded=True)
                if isinstance(found, Read):
                    self.asked.add(found.key)
            case nodes.And() | nodes.Or():
                self.value(node.left)
                self.perhaps([node.right])
            case nodes.CondExpr():
                self.value(node.test)
                self.perhaps(one for one in (node.expr1, node.expr2) if one is not None)
            case nodes.Compare(ops=[one]):
                left, right = self.value(node.expr), self.value(one.expr)
                self.compare(left, one.op, one.expr)
                if one.op in _MIRRORED:
                    self.compare(right, _MIRRORED[one.op], node.expr)
            case _:
                self.all(node.iter_child_nodes())
        return None

    def compare(self, left: PathValue, operator: str, right: nodes.Expr) -> None:
        """Collect the comparison of a path with a constant."""
        from jinja2 import nodes

        several = operator in ("in", "notin")
        items = right.items if several and isinstance(right, nodes.List | nodes.Tuple) else [right]
        if not isinstance(left, Read) or (several and items == [right]):
            return
        if all(isinstance(one, nodes.Const) for one in items):
            values = tuple((one.value, one.lineno) for one in items if isinstance(one, nodes.Const))
            self.compared.append(Compared(left, operator, values))

    def note(self, read: Read, *, guarded: bool = False) -> None:
        certain = read.is_certain and self.certain
        found = evolve(read, is_guarded=guarded, is_certain=certain)
        self.found.append((found, not self.certain))
        self.roots.add(read.root)

    def path(self, node: nodes.Node) -> PathValue:
        """Return the path of an expression, and collect the paths in its brackets."""
        from jinja2 import nodes

        match node:
            case nodes.Name(name=name):
                end = node.lineno + len(name)
                if name not in self.names:
                    root = None if name in self.around else name
                    return Read(root, start=node.lineno, end=end)
                known = self.names[name]
                if isinstance(known, ListOfPaths):
                    return known
                known = known or Read(None)
                return evolve(known, start=node.lineno, end=end, own=len(known.steps) + 1)
            case nodes.Getattr(attr=name):
                start = self.text.index(name, node.lineno + 1)
                return self.stepped(node.node, Step("field", name, start, start + len(name)))
            case nodes.Getitem(arg=nodes.Const(value=str(name)) as key):
                start = key.lineno + 1
                return self.stepped(node.node, Step("field", name, start, start + len(name)))
            case nodes.Getitem(arg=nodes.Slice()):
                self.value(node.arg)
                return self.path(node.node)
            case nodes.Getitem():
                self.value(node.arg)
                end = self.text.find("]", node.lineno) + 1  # of `a.0` there is none
                return self.stepped(node.node, Step("one", "", node.lineno, end))
        found = self.value(node)
        return found if found is not None else Read(None, start=node.lineno, end=node.lineno)

    def stepped(self, of: nodes.Node, step: Step) -> PathValue:
        found = self.path(of)
        if isinstance(found, ListOfPaths):
            return evolve(found.item, start=step.start, end=step.end) if step.to == "one" else None
        return found and found.then(step)

    # ------------------------------------------------------------ filters

    def filtered(self, node: nodes.Filter) -> PathValue:
        if node.node is None:  # of a block
            self.all(node.args)
            return None
        found = self.value(node.node, guarded=node.name in ("default", "d"))
        named: dict[str, nodes.Expr] = {str(one.key): one.value for one in node.kwargs}
        self.all([*node.args, *named.values()])
        item = _item(found, "every")
        if node.name == "map":
            is_guarded = "default" in named
            read = self.by_attribute(item, named.get("attribute"), guarded=is_guarded)
            return None if read is None or is_guarded else ListOfPaths(read)
        place = _BY_ATTRIBUTE.get(node.name)
        if node.name in ("selectattr", "rejectattr"):
            self.by_attribute(item, *node.args[:1], guarded=_asks(node.args[1:]))
        elif place is not None:
            positional = node.args[place] if len(node.args) > place else None
            self.by_attribute(item, named.get("attribute", positional))
        if node.name in _SOME:
            return None if item is None else ListOfPaths(evolve(item, is_certain=False))
        if node.name in _SAME:
            return found
        return _item(found, "one") if node.name in _ONE else None

    def by_attribute(
        self, item: Read | None, key: nodes.Expr | None = None, *, guarded: bool = False
    ) -> Read | None:
        """Collect the field that a filter reads of each item, as ``map(attribute="score")``."""
        from jinja2 import nodes

        if item is None or not isinstance(key, nodes.Const) or not isinstance(key.value, str):
            return None
        at = key.lineno + 1
        read = evolve(item, start=at, end=at, own=len(item.steps) + 1)
        for name in key.value.split("."):
            to: Literal["one", "field"] = "one" if name.isdigit() else "field"
            read = read.then(Step(to, name, at, at + len(name)))
            at += len(name) + 1
        if "," in key.value:  # several fields, for `sort`
            return None
        self.note(read, guarded=guarded)
        return read


def _item(value: PathValue, to: Literal["every", "one"]) -> Read | None:
    """Return the path to the items of a value."""
    if isinstance(value, ListOfPaths):
        return evolve(value.item, is_certain=value.item.is_certain and to == "every")
    if value is None or value.root is None:
        return None
    return evolve(value, steps=(*value.steps, Step(to)), is_certain=value.is_certain)


def _asks(tests: list[nodes.Expr]) -> bool:
    """Return whether a filter tests if a field is defined."""
    from jinja2 import nodes

    return any(isinstance(one, nodes.Const) and one.value in ("defined", "undefined")
               for one in tests)  # fmt: skip
