"""Nodes -> JSON -> nodes is the identity."""

from __future__ import annotations

import json

from hypothesis import reject

from chainlang import Chain
from chainlang.errors import MeaningError
from chainlang.ir.json import from_json, to_json
from chainlang.ir.nodes import Expr, Node
from tests.laws import law
from tests.strategies import exactly, expressions, files, meaningful


@law(expressions, share=2)
def test_expressions_survive_json(node: Expr) -> None:
    assert exactly(from_json(to_json(node))) == exactly(node)


@law(files, share=2)
def test_files_survive_json(file: Node) -> None:
    assert exactly(from_json(to_json(file))) == exactly(file)


@law(expressions, share=2)
def test_layout_and_order_of_json_mean_nothing(node: Expr) -> None:
    document = json.loads(to_json(node))
    if json.dumps(document) == to_json(node):  # else a split surrogate pair is in it
        assert from_json(json.dumps(document, indent=1, sort_keys=True)) == node


@law(meaningful, share=2)
def test_chains_survive_json(node: Expr) -> None:
    chain = Chain(node)
    try:
        chain.check()
    except MeaningError:
        reject()  # such as a condition that is a text, which resolving alone does not find
    again = Chain.from_json(chain.to_json())
    assert again.to_json() == Chain.from_json(again.to_json()).to_json()
