"""Tables of values in options and settings: what they are read as, and how they are printed."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import ChainlangError, E, chain, route
from chainlang.api.stage_types import literal
from chainlang.ir.json import from_json, to_json
from chainlang.ir.nodes import Stage
from chainlang.ir.tables import plain
from chainlang.notation import parse, parse_file, unparse
from chainlang.notation.format import format_text

TEXTS = {
    'E(x={"a": 1})': {"a": 1},
    "E(x={a = 1})": {"a": 1},
    'E(x={"a b": -0.5, c = [1, "d"],})': {"a b": -0.5, "c": [1, "d"]},
    'E(x={"a": {"b": {"c": null}}, "d": true})': {"a": {"b": {"c": None}}, "d": True},
}


@pytest.mark.parametrize("text", TEXTS)
def test_tables_are_values(text: str) -> None:
    node = parse(text).node
    assert isinstance(node, Stage)
    assert plain(node.options[0].value) == TEXTS[text]
    assert parse(unparse(node)).node == parse(unparse(node, "call")).node == node
    assert from_json(to_json(node)) == node
    assert literal(TEXTS[text], "x=") == node.options[0].value


def test_settings_take_tables() -> None:
    text = 'model m = vllm("x", a={b = 1})\nop o : generate { a = { "c": {d = 2} } }'
    model = 'model m = vllm("x", a={"b": 1})\n'
    assert format_text(text) == model + 'op o : generate {\n  a = {"c": {"d": 2}}\n}\n'
    file = parse_file(text).node
    assert from_json(to_json(file)) == file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('op o : generate { user = "x" a = { b = yes } }', "holds values, and this table"),
        ('op o : generate { user = "x" a = { "b": 3:E } }', "holds values, and this table"),
        ('model m = vllm("x", a={ "b": 1, "b": 2 })', 'duplicate key "b"'),
        ("model m = vllm('x', a={ 15: 1 })", "expected a key in quotes"),
        ("model m = vllm('x', a={})", "empty table"),
    ],
)
def test_invalid_tables(text: str, message: str) -> None:
    with pytest.raises(ChainlangError, match=message):
        parse_file(text)


def test_arms_hold_chains() -> None:
    assert route(by="x", arms={"a": "E"}).body == parse('route(by="x", arms={a = E})').node
    with pytest.raises(ChainlangError):
        from_json(to_json(parse('route(by="x", arms={"a": {"b": E}})').node))


@pytest.mark.parametrize("value", [{1.5: 2}, {"a": {None: 1}}, {("a",): 1}])
def test_keys_are_strings(value: object) -> None:
    with pytest.raises(ChainlangError, match="the keys are strings"):
        literal(value, "x=")


def test_a_table_within_itself_is_refused() -> None:
    value: dict[str, object] = {}
    value["a"] = value
    with pytest.raises(ChainlangError, match="nested"):
        literal(value, "x=")


@pytest.mark.parametrize("option", ["logit_bias", "extra"])
def test_an_empty_table_is_refused_in_python_too(option: str) -> None:
    given: dict[str, Any] = {option: {}}
    with pytest.raises(ChainlangError, match="empty table"):
        E("m", **given)
    with pytest.raises(ChainlangError, match="empty table"):
        chain(f"E({option}={{}})")
