"""Bounds of length in a chain, which end samples and change nothing else."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve

from chainlang.ir.declarations import Model, Op
from chainlang.ir.nodes import Node, Stage
from chainlang.ir.visit import transform

BOUNDS = frozenset({"max_tokens", "max_model_len"})
"""Names of the options and settings that bound the length of samples."""

_Some = TypeVar("_Some", bound=Node)


def without_bounds(node: _Some) -> _Some:
    """Return a chain or a file without its bounds of length.

    >>> from chainlang import chain
    >>> from chainlang.notation import unparse
    >>> unparse(without_bounds(chain("3:E:m(max_tokens=64, top_p=0.9) >> J").body))
    '3:E:m(top_p=0.9) >> J'
    """
    return transform(node, _without)


def _without(node: Node) -> Node:
    match node:
        case Stage(options=options) if any(one.name in BOUNDS for one in options):
            return evolve(node, options=tuple(one for one in options if one.name not in BOUNDS))
        case Op(settings=settings) | Model(settings=settings) if any(
            one.name in BOUNDS for one in settings
        ):
            return evolve(node, settings=tuple(one for one in settings if one.name not in BOUNDS))
        case _:
            return node
