"""Drawings of chains: a text tree for the terminal, a Mermaid flowchart for documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, assert_never

from chainlang.ir import declarations
from chainlang.ir.auto import auto_of
from chainlang.ir.calls import general
from chainlang.ir.nodes import (
    Branch,
    Combinator,
    Combine,
    Expr,
    Function,
    Join,
    Literal,
    Named,
    Option,
    Ref,
    Repeat,
    Stage,
    Table,
    Then,
)
from chainlang.ir.tables import is_plain
from chainlang.ir.tools import MCP, SERVER
from chainlang.ir.visit import parts_of
from chainlang.ir.wiring import parts_read

Drawn: TypeAlias = Expr | declarations.Item | declarations.File


def tree(node: Drawn) -> str:
    """Return a node as an indented tree with a line for each part.

    >>> from chainlang import chain
    >>> print(tree(chain("(fr = 3:E:tiny:0.7 & E) >> M(normalize='number')").body))
    then
    ├─ join
    │  ├─ fr = E  ×3  tiny  T=0.7
    │  └─ E
    └─ M  normalize="number"
    """
    return "\n".join(_lines(node))


def _lines(node: Drawn, prefix: str = "") -> Iterator[str]:
    while isinstance(node, Named):
        prefix, node = f"{prefix}{node.name} = ", node.body
    if isinstance(node, declarations.Definition):
        prefix, node = f"{prefix}{node.name} = ", node.body
    yield prefix + label(node)
    below = list(_below(node))
    for index, (head, child) in enumerate(below):
        last = index == len(below) - 1
        for number, line in enumerate(_lines(child, head)):
            yield (
                ("└─ " if last else "├─ ") + line
                if number == 0
                else ("   " if last else "│  ") + line
            )


def _below(node: Drawn) -> Iterator[tuple[str, Drawn]]:
    """Yield the parts below a node, each with the prefix of its line."""
    if isinstance(node, Combinator):
        node = general(node)
    match node:
        case Then(parts) | Join(parts) | Branch(parts):
            yield from (("", part) for part in parts)
        case Repeat(_, body) | Named(_, body) | declarations.Definition(_, body):
            yield "", body
        case Combine(_, parts, options):
            yield from (("", part) for part in parts)
            for option in options:
                if isinstance(option.value, Expr):
                    yield f"{option.name}: ", option.value
                elif isinstance(option.value, Table):
                    for one in option.value.entries:
                        yield from ((f"{_shown(one.name)}: ", part) for part in parts_of(one))
        case declarations.File(inside):
            yield from (("", item) for item in inside)
        case Stage() | Ref() | Function():
            pass
        case declarations.Use() | declarations.Model() | declarations.Input() | declarations.Op():
            pass
        case declarations.TypeDef() | declarations.PythonType():
            pass
        case _:
            assert_never(node)


def label(node: Drawn) -> str:
    """Return the text of a node, without the parts below it."""
    if isinstance(node, Combinator):
        node = general(node)
    if isinstance(node, declarations.Item):
        return _item(node)
    match node:
        case Stage(name, count, model, temperature, options):
            words = [name]
            words += [f"×{count}"] if count != 1 else []
            words += [_plain(model)] if model is not None else []
            words += [f"T={temperature:g}"] if temperature is not None else []
            return "  ".join(words + options_of(options))
        case Then():
            return "then"
        case Join():
            return "join"
        case Branch():
            return "branch"
        case Repeat(count):
            return f"×{count}"
        case Ref(name):
            return f"${name}"
        case Function(name, of, by_name):
            given: tuple[Option, ...] = () if of is None else (Option("of", of),)
            given += (Option("by_name", True),) if by_name else ()
            return "  ".join([f"@{name}", *options_of(given)])
        case Combine(name, _, options):
            return "  ".join([name, *options_of(options)])
        case Named(name):
            return name
        case declarations.File():
            return "file"
    assert_never(node)


def _item(node: declarations.Item) -> str:
    match node:
        case declarations.Model(name, engine, source):
            head = SERVER if engine == MCP else "model"
            return f"{head} {name} = {engine} {_plain(source)}"
        case declarations.Op(name, kind):
            return f"op {name} : {kind}"
        case declarations.TypeDef(name, kind):
            return f"type {name}{_fields(kind)}"
        case declarations.PythonType(name):
            return f"type @{name}"
        case declarations.Input(kind, exact):
            head = "input exact" if exact else "input"
            if isinstance(kind, declarations.TypeName):
                return f"{head} {kind.name}"
            return f"{head}{_fields(kind)}"
        case declarations.Use(path):
            return f"use {_shown(path)}"
        case declarations.Definition(name):
            return name
    assert_never(node)


def _fields(kind: declarations.Type) -> str:
    if not isinstance(kind, declarations.Shape):
        return ""
    return f" ({', '.join(field.name for field in kind.fields)})"


def options_of(options: tuple[Option, ...]) -> list[str]:
    """Return the plain options of a stage or a combinator, each as text."""
    return [f"{option.name}={_shown(option.value)}" for option in options if is_plain(option.value)]


def _shown(value: Literal | Expr | Table) -> str:
    if (found := auto_of(value)) is not None:
        kind = "" if found.type is None else f", {_shown(found.type)}"
        return f"auto({_shown(found.words)}{kind})"
    if isinstance(value, str):
        return f'"{_plain(value)}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, Table):
        return "{" + ", ".join(f"{_shown(e.name)}: {_shown(e.value)}" for e in value.entries) + "}"
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value).removesuffix(".0")


def _plain(text: str, most: int = 40) -> str:
    """Return a text on one line, shortened to `most` characters."""
    flat = "".join(char if char.isprintable() else "·" for char in text)
    return flat if len(flat) <= most else flat[: most - 1] + "…"


# ---------------------------------------------------------------- Mermaid


def mermaid(node: Expr | declarations.File) -> str:
    """Return a chain as a Mermaid flowchart.

    >>> from chainlang import chain
    >>> print(mermaid(chain("2:E >> M").body))
    flowchart LR
      input([input])
      n1["E  ×2"]
      n2["M"]
      output([output])
      input --> n1
      n1 --> n2
      n2 --> output
    """
    chart = _Chart()
    if isinstance(node, declarations.File):
        chart.file(node)
    else:
        chart.whole(node)
    return "\n".join(["flowchart LR", *chart.nodes, *chart.edges])


class _Chart:
    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.edges: list[str] = []
        self.parts: dict[str, list[str]] = {}
        """The nodes at the end of each named part."""
        self.count = 0
        self.indent = "  "

    def file(self, node: declarations.File) -> None:
        """Draw each definition in a box, and ``main`` between input and output."""
        bodies = [item for item in node.items if isinstance(item, declarations.Definition)]
        for item in sorted(bodies, key=lambda one: one.name == "main"):
            if item.name == "main":
                self.whole(item.body)
            else:
                self.box(f"${item.name}", item.body, [])

    def whole(self, node: Expr) -> None:
        self.nodes.append("  input([input])")
        ends = self.draw(node, [("input", "")])
        self.nodes.append("  output([output])")
        self.link(ends, "output")

    def draw(self, node: Expr, sources: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Draw a part that reads from `sources`; return its outputs as (node, edge label)."""
        if isinstance(node, Combinator):
            node = general(node)
        match node:
            case Then(parts):
                for part in parts:
                    sources = self.draw(part, sources)
                return sources
            case Join(parts) | Branch(parts):
                return [end for part in parts for end in self.draw(part, sources)]
            case Named(name, body):
                self.parts[name] = [end for end, _ in self.draw(body, sources)]
                return [(end, name) for end in self.parts[name]]
            case Repeat(count, body):
                return self.box(f"×{count}", body, sources)
            case Combine():
                return self.combine(node, sources)
            case Stage() | Ref() | Function():
                if of := parts_read(node):
                    sources = [(end, name) for name in of for end in self.parts.get(name, ())]
                self.count += 1
                name = f"n{self.count}"
                self.nodes.append(f'{self.indent}{name}["{_escaped(label(node))}"]')
                self.link(sources, name)
                return [(name, "")]
        assert_never(node)

    def combine(self, node: Combine, sources: list[tuple[str, str]]) -> list[tuple[str, str]]:
        ends: list[tuple[str, str]] = []
        self.open(label(node))
        for head, part in _below(node):
            assert isinstance(part, Expr)  # below a call there is nothing else
            key = head.removesuffix(": ").strip('"')
            ends += self.draw(part, [(source, key or text) for source, text in sources])
        self.close()
        return ends

    def box(self, title: str, body: Expr, sources: list[tuple[str, str]]) -> list[tuple[str, str]]:
        self.open(title)
        ends = self.draw(body, sources)
        self.close()
        return ends

    def open(self, title: str) -> None:
        self.count += 1
        self.nodes.append(f'{self.indent}subgraph g{self.count}["{_escaped(title)}"]')
        self.indent += "  "

    def close(self) -> None:
        self.indent = self.indent[:-2]
        self.nodes.append(f"{self.indent}end")

    def link(self, sources: list[tuple[str, str]], target: str) -> None:
        for source, text in sources:
            arrow = f'-- "{_escaped(text)}" -->' if text else "-->"
            self.edges.append(f"  {source} {arrow} {target}")


def _escaped(text: str) -> str:
    """Return a text escaped for a quoted Mermaid label."""
    return "".join(f"#{ord(char)};" if char in '"#<>&;`\\' else char for char in text)
