"""Dates, times, decimals and mappings, in replies, in rows and as classes of Python."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from chainlang import M, load, op
from chainlang.datatypes.from_python import described
from chainlang.datatypes.json_schema import validator
from chainlang.datatypes.parse_reply import Form
from chainlang.datatypes.plain_values import plain
from chainlang.engines.fake import FakeEngine
from chainlang.ir.declarations import TypeDef, TypeName
from chainlang.notation import parse_file
from chainlang.notation.unparse import unparse_type
from chainlang.session.result import Result
from tests.laws import law


class Bill(BaseModel):
    day: date
    at: datetime
    total: Decimal = Decimal("1.50")
    prices: dict[str, Decimal]
    due: date = date(2026, 1, 2)


REPLY = {
    "day": "2026-02-03", "at": "2026-01-01T10:00:00+01:00", "total": "1.20",
    "prices": {"b": "2.0", "a": "1"}, "due": "2026-01-02",
}  # fmt: skip


def replied(*replies: object, returns: Any = Bill) -> Result:
    said = [json.dumps(one) for one in replies]
    bill = op("bill", user="{{ query }}", returns=returns)
    return (bill("m", len(said), 1) >> M)("q", engine=FakeEngine(answers={"": said}))


def test_classes_become_types_of_the_language() -> None:
    found = described(Bill, "reply")
    (declared,) = found.declared
    assert isinstance(declared, TypeDef)
    assert unparse_type(declared.type) == (
        '{ day: date, at: datetime, total: decimal = "1.5", prices: dict[decimal],'
        ' due: date = "2026-01-02" }'
    )
    assert described(dict[str, list[date]], "reply").type == written("dict[list[date]]")


def written(text: str) -> Any:
    (item,) = parse_file(f"type T = {text}").node.items
    assert isinstance(item, TypeDef)
    return item.type


def test_a_reply_is_read_as_json_and_as_python() -> None:
    result = replied(REPLY)
    assert result.value == Bill(**REPLY)  # type: ignore[arg-type]
    assert result["day"] == "2026-02-03"
    assert result["at"] == "2026-01-01T09:00:00Z"
    assert (result["total"], result["prices"]) == ("1.2", {"b": "2", "a": "1"})
    untyped = replied({"a": "1.10"}, returns="dict[decimal]")
    assert untyped.answer == {"a": "1.1"}
    assert untyped.value == {"a": Decimal("1.10")}


def test_equal_values_are_equal_votes() -> None:
    other = {
        **REPLY, "at": "2026-01-01T09:00:00Z", "total": 1.2, "prices": {"a": "1.00", "b": 2},
    }  # fmt: skip
    assert [*replied(REPLY, {**REPLY, "day": "2026-02-04"}, other)["votes"].values()] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "2026-02-30"),
        ("date", "tomorrow"),
        ("date", "1700006400"),
        ("date", 20260203),
        ("datetime", "2026-02-03"),
        ("datetime", "1700000000"),
        ("datetime", "2026-02-03T25:00:00"),
        ("decimal", "1,5"),
        ("decimal", "1_000"),
        ("decimal", "NaN"),
        ("decimal", True),
        ("decimal", 0.30000000000000004),
        ("dict[int]", ["a"]),
        ("dict[int]", {"a": "x"}),
    ],
)
def test_what_is_no_value_fails_its_row(kind: str, value: object) -> None:
    text = f'input {{ field: {kind} }}\nop o : generate {{ user = "{{{{ field }}}}" }}\nmain = o'
    (result,) = load(text=text).map([{"field": value}], engine=FakeEngine())
    assert result is not None
    assert result.failure is not None
    assert "field" in result.failure.message


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("date", date(2026, 2, 3), "2026-02-03"),
        ("date", "2024-02-29", "2024-02-29"),
        ("datetime", datetime(2026, 2, 3, 4, 5), "2026-02-03T04:05:00"),
        ("datetime", "2026-02-03 04:05", "2026-02-03T04:05:00"),
        ("datetime", "2026-02-03T04:05:06.7+02:00", "2026-02-03T02:05:06.700000Z"),
        ("decimal", Decimal("2.50"), "2.5"),
        ("decimal", 3, "3"),
        ("decimal", 0.1, "0.1"),
        ("decimal", "12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("dict[decimal]", {"b": "1.0", "a": 2}, '{"b": "1", "a": "2"}'),
    ],
)
def test_rows_have_them(kind: str, value: object, shown: str) -> None:
    text = f'input {{ field: {kind} }}\nop o : generate {{ user = "{{{{ field }}}}" }}\nmain = o'
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    assert load(text=text)({"field": value}, engine=echo).answer == shown


_ZONES = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
_VALUES = {
    "date": st.dates(),
    "datetime": st.datetimes(timezones=_ZONES),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
}


@pytest.mark.parametrize("kind", _VALUES)
def test_each_value_of_python_is_a_value(kind: str) -> None:
    reads = validator(TypeName(kind))

    @law(_VALUES[kind])
    def holds(value: Any) -> None:
        text = plain(value)
        found = reads.validate_python(text)
        assert found == value
        assert plain(found) == text
        assert reads.validate_json(json.dumps(text)) == value
        assert reads.validate_python(to_jsonable_python(value)) == value

    holds()


@law(st.integers(0, 10**9), share=2)
def test_what_the_schema_allows_is_a_value(seed: int) -> None:
    text = "dict[{ a: date, b: datetime, c: decimal? }]"
    stage = op("o", user="{{ query }}", returns=text)
    result = stage("m", 1, 1)("q", engine=FakeEngine(), seed=seed)
    assert Form(written(text)).read(result.candidates[0].text).plain == result.answer
    assert not result.unkept
