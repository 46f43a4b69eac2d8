"""Types that are Python classes: every field is asked for, and no other is taken."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import time
from typing import Any, NotRequired

import pytest
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from chainlang import load, op
from chainlang.datatypes.closed_schema import closed, extra_fields
from chainlang.engines.fake import FakeEngine
from chainlang.session.result import Result


class Part(BaseModel):
    name: str = "n"
    notes: list[str] = Field(default_factory=list)


class Plain(BaseModel):
    at: time
    tags: list[str] = []
    email: str | None = None
    part: Part = Part()
    parts: dict[str, Part] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    at: time
    tags: list[str] = []


class Keys(TypedDict):
    at: time
    tags: NotRequired[list[str]]


@dataclass
class Data:
    at: time
    tags: str = ""


def asked(kind: Any, reply: object = None) -> tuple[dict[str, Any], Result | None]:
    """Return the schema that a stage asks with, and the result of a reply."""
    schemas: list[str] = []

    def answer(request: Any, index: int) -> str:
        schemas.append(request.schema)
        return json.dumps(reply)

    (result,) = op("o", user="{{ query }}", returns=kind)().map(
        ["q"], engine=FakeEngine(answers=answer)
    )
    return json.loads(schemas[0]), result


@pytest.mark.parametrize("kind", [Plain, Keys, Data, Open])
def test_every_field_of_a_class_is_asked_for(kind: type) -> None:
    schema, _ = asked(kind)
    for one in schema["$defs"].values():
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is (kind is Open)


def test_so_it_is_for_a_schema_in_a_file() -> None:
    seen: list[str] = []

    def answer(request: Any, index: int) -> str:
        seen.append(request.schema)
        return "{}"

    text = '''
    type @T """{"type": "object", "properties": {"a": {"type": "string", "default": ""}}}"""
    op o : generate -> T { user = "{{ query }}" }
    main = o
    '''
    load(text=text, types={"T": Part})("q", engine=FakeEngine(answers=answer), on_error="skip")
    whole = json.loads(seen[0])["$defs"]["T"]
    assert (whole["required"], whole["additionalProperties"]) == (["a"], False)


REPLY = {"at": "01:00:00", "tags": [], "email": None, "part": {"name": "n", "notes": []}}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            {**REPLY, "parts": {}, "emial": "x"},
            "emial: there is no such field; did you mean 'email'",
        ),
        (
            {**REPLY, "parts": {"k": {"name": "", "notes": [], "x": 1}}},
            "parts.k.x: there is no such",
        ),
    ],
)
def test_a_field_that_a_class_does_not_have_is_noted_as_of_other_types(
    reply: object, message: str
) -> None:
    _, result = asked(Plain, reply)
    assert result is not None
    assert result.failure is not None
    assert message in result.failure.message
    _, same = asked("{ at: str, tags: list[str] }", {"at": "", "tags": [], "tag": 1})
    assert same is not None
    assert same.failure is not None
    assert "tag: there is no such field; did you mean 'tags'?" in same.failure.message


def test_a_class_that_takes_other_fields_has_them() -> None:
    _, result = asked(Open, {"at": "01:00:00", "tags": [], "more": 1})
    assert result is not None
    assert result["more"] == 1
    assert result.value == Open(at=time(1), more=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("schema", "closes"),
    [
        ({"properties": {"properties": {"properties": {"a": {}}}}}, ["properties", "a"]),
        ({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, ["a", "b"]),
        (
            {"items": {"properties": {"a": {}}}, "prefixItems": [{"properties": {"b": {}}}]},
            ["a", "b"],
        ),
    ],
)
def test_schemas_inside_schemas_are_closed(schema: Any, closes: list[str]) -> None:
    text = json.dumps(closed(schema))
    for name in closes:
        assert f'"required": ["{name}"]' in text


@pytest.mark.parametrize(
    "schema",
    [
        {"default": {"properties": {"a": 1}}},
        {"enum": [{"properties": {"a": 1}}], "const": {"properties": {"a": 1}}},
        {"not": {"properties": {"a": {}}}, "if": {"properties": {"b": {}}}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        True,
    ],
)
def test_what_is_no_schema_of_the_value_stays(schema: Any) -> None:
    assert closed(schema) == schema


def test_a_union_takes_the_fields_of_the_option_that_fits() -> None:
    schema = closed({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}, "c": {}}}]})
    assert [*extra_fields({"b": 1, "c": 2}, schema, schema)] == []
    assert [*extra_fields({"b": 1, "d": 2}, schema, schema)] == [
        "d: there is no such field; there are b, c"
    ]
