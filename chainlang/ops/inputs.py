"""Rows -> records: what a row must have, what it may leave out, and which text is the query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.diagnostics import closest
from chainlang.ir.items import Input, Item, TypeDef
from chainlang.ops.bound import NOTHING, Bound
from chainlang.ops.prompts import RenderError, render
from chainlang.ops.records import Candidate, Record
from chainlang.ops.schemas import adapter
from chainlang.places import row_id


class InputError(Exception):
    """A row is not what the chain reads; the message names the field."""


def record_of(
    row: Mapping[str, Any],
    declared: Iterable[Item] = (),
    bound: Bound = NOTHING,
    *,
    number: int = 0,
) -> Record:
    """Return the record that a row starts as.

    With an `input` declaration the row must fit it. The query is the field ``query``, or the only
    field besides ``id``; the field ``responses``, a list, gives the first candidates.
    Raises `InputError` for a row that does not fit.

    >>> record_of({"id": 1, "text": "hello"}).query
    'hello'
    """
    items = tuple(declared)
    fields = dict(row)
    expected = next((item for item in items if isinstance(item, Input)), None)
    if expected is not None:
        fields = _fitted(fields, expected, items, bound)
    responses = fields.get("responses", [])
    if not isinstance(responses, list | tuple):
        raise InputError("responses: the first candidates are a list")
    candidates = tuple(_candidate(one) for one in responses)
    return Record(fields, row_id(row), _query(fields), candidates, number=number)


def _query(fields: Mapping[str, Any]) -> str | None:
    if "query" in fields:
        query = fields["query"]
        if not isinstance(query, str):
            raise InputError(f"query: a query is a text, not {type(query).__name__}")
        return query
    texts = [name for name in fields if name not in ("id", "responses")]
    if len(texts) == 1 and isinstance(fields[texts[0]], str):
        only: str = fields[texts[0]]
        return only
    return None


def _candidate(value: Any) -> Candidate:
    fields = value if isinstance(value, dict) else {}
    return Candidate(fields.get("answer", value), fields)


def _fitted(
    row: dict[str, Any], expected: Input, items: tuple[Item, ...], bound: Bound
) -> dict[str, Any]:
    """Return a row with defaults filled in and derived fields made, every field of its type."""
    from pydantic import ValidationError

    types = {item.name: item for item in items if isinstance(item, TypeDef)}
    known = {field.name for field in expected.fields}
    for name in row:
        if name not in known and name not in ("id", "responses"):
            near = closest(name, known)
            hint = f"; did you mean '{near}'?" if near else f"; it has {', '.join(sorted(known))}"
            raise InputError(f"{name}: the input has no such field{hint}")
    found: dict[str, Any] = {name: row[name] for name in ("id", "responses") if name in row}
    for field in expected.fields:
        if field.type is None:
            continue
        if field.name in row:
            try:
                found[field.name] = adapter(field.type, types, bound).validate_python(
                    row[field.name]
                )
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join([field.name, *map(str, first["loc"])])
                raise InputError(f"{where}: {first['msg']}") from error
        elif field.default is not None:
            found[field.name] = field.default.value
        else:
            raise InputError(f"{field.name}: the row has no such field, and it has no default")
    for field in expected.fields:
        if field.type is None and field.default is not None:
            given = row.get(field.name)
            made = _derived(field.name, field.default.value, found) if given is None else given
            found[field.name] = made
    return found


def _derived(name: str, template: Any, values: Mapping[str, Any]) -> str:
    try:
        return render(template, values)
    except RenderError as error:
        raise InputError(f"{name}: it can't be made from the row: {error}") from error
