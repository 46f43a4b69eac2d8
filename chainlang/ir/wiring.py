"""Wiring: the named parts whose candidates a stage or a function reads."""

from __future__ import annotations

from chainlang.ir.nodes import Function, Node, Stage


def named_parts(of: object) -> tuple[str, ...]:
    """Return the value of the option `of` as names; empty without one.

    >>> named_parts("a"), named_parts(("a", "b")), named_parts(None)
    (('a',), ('a', 'b'), ())
    """
    if isinstance(of, str):
        return (of,)
    return of if isinstance(of, tuple) else ()


def parts_read(node: Node) -> tuple[str, ...]:
    """Return the named parts that a node reads; empty if it reads the part before it.

    >>> from chainlang import chain
    >>> [parts_read(one) for one in chain('(a = E) >> E >> J(of="a")').body.parts]
    [(), (), ('a',)]
    """
    if isinstance(node, Function):
        return named_parts(node.of)
    if isinstance(node, Stage):
        return named_parts(next((one.value for one in node.options if one.name == "of"), None))
    return ()
