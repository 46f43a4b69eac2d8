"""How the commands read the chain they are given: a notation, or a file."""

from __future__ import annotations

import warnings
from pathlib import Path

from attrs import evolve

from chainlang.chain import Chain
from chainlang.diagnostics import Diagnostic
from chainlang.errors import ChainlangWarning, raise_errors
from chainlang.ir.items import Definition, Item, Op, Setting
from chainlang.ir.nodes import Node, Stage
from chainlang.ir.walk import transform
from chainlang.ops.programs import examine, main_of
from chainlang.reading import chain


def read_chain(text: str) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a notation, or of a file, with its warnings; raise its errors."""
    if text.endswith(".chain"):  # no other name: a file called `E` must not change what E means
        file, found = examine(Path(text))
        raise_errors(found)
        return Chain(*main_of(file)), list(found)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]


def with_model(chain: Chain, model: str | None) -> Chain:
    """Return a chain in which every stage and op that names no model has this one."""
    if model is None:
        return chain
    own = {item.name for item in chain.items if isinstance(item, Op)}

    def name(node: Node) -> Node:
        if isinstance(node, Stage) and node.model is None and node.name not in {"M", *own}:
            return evolve(node, model=model)
        return node

    items: list[Item] = []
    for item in chain.items:
        if isinstance(item, Definition):
            items.append(evolve(item, body=transform(item.body, name)))
        elif isinstance(item, Op) and not any(one.name == "model" for one in item.settings):
            items.append(evolve(item, settings=(*item.settings, Setting("model", model))))
        else:
            items.append(item)
    return Chain(transform(chain.body, name), tuple(items))
