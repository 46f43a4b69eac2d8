"""Names inside of called chains: the parts that they name, and what their prompts read."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from chainlang.api.chain import Chain
from chainlang.ir import build
from chainlang.ir.builtins import EXPRESSIONS
from chainlang.ir.declarations import Op, bodies_of
from chainlang.ir.nodes import (
    Cascade,
    Each,
    Expr,
    Function,
    Loop,
    Named,
    Node,
    Route,
    Stage,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.visit import measure, transform, walk
from chainlang.ir.wiring import parts_read
from chainlang.semantics.expressions import names
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.prelude import prelude
from chainlang.semantics.prompts import variables


def names_made(chain: Chain) -> frozenset[str]:
    """Return the names of the parts inside of a chain: its labels, and ops that name their part.

    >>> from chainlang import E, op
    >>> sorted(names_made(E.named("a") >> op("b", user="{{ a.answer }}")))
    ['a', 'b']
    """
    labels = {one.name for one in _nodes(chain) if isinstance(one, Named)}
    return own_names(chain.body, chain.items) | labels


def names_read(chain: Chain) -> frozenset[str]:
    """Return the names that the prompts, conditions and wires of a chain read, `query` among them.

    >>> from chainlang import E, J, op
    >>> sorted(names_read(op("b", user="{{ a.answer }}") >> J(of="b")))
    ['a', 'b', 'candidates', 'query']
    """
    found: set[str] = set()
    used = {one.name for one in _nodes(chain) if isinstance(one, Stage)}
    for item in (*chain.items, *(op for name, op in prelude().items() if name in used)):
        settings = item.settings if isinstance(item, Op) else ()
        found.update(*(variables(str(one.value)) for one in templates_in(settings)))
        for one in settings:
            if one.name in EXPRESSIONS and isinstance(one.value, str):
                found |= names(one.value)
            elif one.name == "continues":
                found.add("query")  # of a candidate that is from no model
    for node in _nodes(chain):
        found.update(parts_read(node))
        for text in _expressions(node):
            found |= names(text)
        options = node.options if isinstance(node, Stage) else ()
        found.update(*(variables(str(one.value)) for one in templates_in(options)))
        if isinstance(node, WithFields):
            for option in node.fields:
                found |= variables(option.value) if isinstance(option.value, str) else set()
    return frozenset(found)


def without_labels(chain: Chain) -> Chain:
    """Return a chain whose parts have no labels.

    >>> from chainlang import E, J
    >>> print(without_labels((E.named("a") & E("b").named("c")) >> J))
    (E & E:b) >> J
    """

    def bare(node: Node) -> Node:
        return build.flattened(node.body if isinstance(node, Named) else node)

    body = transform(chain.body, bare)
    assert isinstance(body, Expr)
    return evolve(chain, body=body, extent=measure(body))


def _nodes(chain: Chain) -> Iterator[Node]:
    for body in (chain.body, *bodies_of(chain.items).values()):
        yield from walk(body)


def _expressions(node: Node) -> Iterator[str]:
    match node:
        case Route(by=text) | Loop(until=text) | Each(over=text) | Cascade(accept=text):
            if not isinstance(text, Function):
                yield text
