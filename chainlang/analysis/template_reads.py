"""Paths that templates and expressions read, with their offsets: ``candidates[0].score``.

Jinja's parser receives the offset of each token in place of its line number, so every node has an
offset. Loop variables, ``set`` and filters over lists are followed, so that
``{% for one in candidates %}{{ one.score }}`` reads the path ``candidates[].score``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from attrs import evolve, field, frozen

from chainlang.semantics.prompts import environment

if TYPE_CHECKING:
    from jinja2 import nodes


@frozen
class Step:
    """One step of a path: to a field, or to items of a list."""

    to: Literal["field", "every", "one"]
    name: str = ""
    start: int = field(default=0, eq=False)
    end: int = field(default=0, eq=False)


@frozen
class Read:
    """A path that is read; `root` is its first name, None for a value without a name."""

    root: str | None
    steps: tuple[Step, ...] = ()
    start: int = field(default=0, eq=False)
    """Offset of its first name, which may be a variable of the template."""
    end: int = field(default=0, eq=False)
    own: int = field(default=0, eq=False)
    """Number of leading names that a variable stands for."""
    is_guarded: bool = field(default=False, eq=False)
    """Whether it may be absent: there is a ``default``, or a test whether it is defined."""
    is_certain: bool = field(default=True, eq=False)
    """Whether it is read in any case, outside the branches of an ``if``."""

    def then(self, *steps: Step) -> Read:
        """Return the path with more steps."""
        return evolve(self, steps=(*self.steps, *steps), end=max(self.end, *(s.end for s in steps)))

    @property
    def key(self) -> tuple[str | None, ...]:
        """Names of the path, for comparing paths."""
        return (self.root, *(one.name for one in self.steps))


@lru_cache(maxsize=1024)
def template_reads(template: str) -> tuple[Read, ...]:
    """Return the paths that a template reads, in the order of its text; none if it is invalid.

    >>> [one.key for one in template_reads("{% for a in b %}{{ a.x }} {{ c['d'] }}{% endfor %}")]
    [('b',), ('b', '', 'x'), ('c', 'd')]
    """
    from jinja2 import TemplateSyntaxError
    from jinja2.parser import Parser

    reader = _Reader(template, frozenset(environment().globals))
    try:
        parser = Parser(environment(), "")
        parser.stream = _stream(template, None)
        reader.visit(parser.parse())
    except (TemplateSyntaxError, RecursionError):  # diagnosed by another check
        return ()
    return reader.reads()


def expression_reads(expression: str) -> tuple[Read, ...]:
    """Return the paths that an expression reads; none if it is invalid.

    >>> [one.key for one in expression_reads("fr.answer == answer")]
    [('fr', 'answer'), ('answer',)]
    """
    return _expression(expression)[0]


def path_read(expression: str) -> Read | None:
    """Return the path of an expression that is a single path; None for others.

    >>> path_read("fr.answer").key, path_read("fr.answer == answer")
    (('fr', 'answer'), None)
    """
    found = _expression(expression)[1]
    return found if isinstance(found, Read) else None


def items_read(expression: str) -> Read | None:
    """Return the path to the items of a list expression; None if there is none.

    >>> items_read("candidates | map(attribute='tags')").key
    ('candidates', '', 'tags')
    """
    return _item(_expression(expression)[1], "every")


@lru_cache(maxsize=1024)
def _expression(expression: str) -> tuple[tuple[Read, ...], _Value]:
    """Return the paths that an expression reads, and its own value."""
    if expression.isidentifier():  # most are, and need no jinja
        read = Read(expression, end=len(expression))
        return ((), None) if expression.lower() in ("true", "false", "none") else ((read,), read)
    from jinja2 import TemplateSyntaxError
    from jinja2.parser import Parser

    reader = _Reader(expression)
    try:
        parser = Parser(environment(), "", state="variable")
        parser.stream = _stream(expression, "variable")
        found = reader.value(parser.parse_expression())
    except (TemplateSyntaxError, RecursionError):  # diagnosed by another check
        return (), None
    return reader.reads(), found


def tokens(template: str, state: str | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield the tokens of a template: offset, kind and text."""
    at = 0
    for _, kind, text in environment().lexer.tokeniter(template, None, None, state):
        found = template.find(text, at)  # skips white space removed by ``-``
        if found < 0:  # a line that ends in \r\n, which the lexer changes to \n
            at += len(text) + text.count("\n")
            continue
        yield found, kind, text
        at = found + len(text)


def _stream(template: str, state: str | None) -> Any:
    from jinja2.lexer import TokenStream

    lexer = environment().lexer
    return TokenStream(lexer.wrap(tokens(template, state)), None, None)


@frozen
class _List:
    """A list computed by a template, with the path of its items."""

    item: Read


_Value: TypeAlias = "Read | _List | None"
"""Value of an expression: a path, a list of paths, or None for anything else."""

_SAME = frozenset({"list", "reverse", "sort", "unique"})
_SOME = frozenset({"select", "reject", "selectattr", "rejectattr"})
_ONE = frozenset({"first", "last", "min", "max"})
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
        self.names: dict[str, _Value] = {}
        self.certain = True

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
            case nodes.Assign(target=nodes.Name(name=name)):
                found = self.value(node.node)
                self.names[name] = found if self.certain else None
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

    def bind(self, target: nodes.Node, value: _Value) -> None:
        from jinja2 import nodes

        if isinstance(target, nodes.Name):
            self.names[target.name] = value
        else:
            for one in target.find_all(nodes.Name):
                self.names[one.name] = None

    # ------------------------------------------------------------ expressions

    def value(self, node: nodes.Node, *, guarded: bool = False) -> _Value:
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
            case _:
                self.all(node.iter_child_nodes())
        return None

    def note(self, read: Read, *, guarded: bool = False) -> None:
        certain = read.is_certain and self.certain
        found = evolve(read, is_guarded=guarded, is_certain=certain)
        self.found.append((found, not self.certain))

    def path(self, node: nodes.Node) -> _Value:
        """Return the path of an expression, and collect the paths in its brackets."""
        from jinja2 import nodes

        match node:
            case nodes.Name(name=name):
                end = node.lineno + len(name)
                if name not in self.names:
                    root = None if name in self.around else name
                    return Read(root, start=node.lineno, end=end)
                known = self.names[name]
                if isinstance(known, _List):
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

    def stepped(self, of: nodes.Node, step: Step) -> _Value:
        found = self.path(of)
        if isinstance(found, _List):
            return evolve(found.item, start=step.start, end=step.end) if step.to == "one" else None
        return found and found.then(step)

    # ------------------------------------------------------------ filters

    def filtered(self, node: nodes.Filter) -> _Value:
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
            return None if read is None or is_guarded else _List(read)
        place = _BY_ATTRIBUTE.get(node.name)
        if node.name in ("selectattr", "rejectattr"):
            self.by_attribute(item, *node.args[:1], guarded=_asks(node.args[1:]))
        elif place is not None:
            positional = node.args[place] if len(node.args) > place else None
            self.by_attribute(item, named.get("attribute", positional))
        if node.name in _SOME:
            return None if item is None else _List(evolve(item, is_certain=False))
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


def _item(value: _Value, to: Literal["every", "one"]) -> Read | None:
    """Return the path to the items of a value."""
    if isinstance(value, _List):
        return evolve(value.item, is_certain=value.item.is_certain and to == "every")
    if value is None or value.root is None:
        return None
    return evolve(value, steps=(*value.steps, Step(to)), is_certain=value.is_certain)


def _asks(tests: list[nodes.Expr]) -> bool:
    """Return whether a filter tests if a field is defined."""
    from jinja2 import nodes

    return any(isinstance(one, nodes.Const) and one.value in ("defined", "undefined")
               for one in tests)  # fmt: skip
