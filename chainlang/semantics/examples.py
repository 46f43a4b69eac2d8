"""Examples of an op: rows with their reply, as turns before the user message.

Each is a row as others are, so it becomes a user message by the op's own template; its reply is the
message of the assistant after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from attrs import frozen

from chainlang.datatypes.check_types import Declared, declared_types, shape_of
from chainlang.datatypes.parse_reply import Misfit
from chainlang.errors import ChainlangError
from chainlang.ir import declarations
from chainlang.ir.builtins import EXAMPLES, FIELDS, RANDOM
from chainlang.ir.declarations import Item, Op
from chainlang.protocol.messages import Message
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.describing import fields_of
from chainlang.semantics.input_schema import InputError, RowValidator
from chainlang.semantics.prompts import RenderError, render
from chainlang.semantics.reply_forms import ReplyForms
from chainlang.semantics.seeds import derived
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.template_values import as_text, in_short

_ANSWER = "answer"


class BadExample(Exception):
    """An example that does not fit its op, with its place in the text of the examples."""

    def __init__(self, why: str, line: int, start: int, end: int) -> None:
        super().__init__(f"line {line} of the examples {why}")
        self.start = start
        self.end = end


@frozen(cache_hash=True)
class Examples:
    """The turns of all examples of an op, and which of them a prompt has."""

    turns: tuple[tuple[Message, Message], ...]
    count: int | None = None
    """Number of examples in a prompt; None for all."""
    random: bool = False

    def chosen(self, user: Message, seed: int) -> tuple[Message, ...]:
        """Return the turns of the examples in a prompt, in their order.

        One whose user message is that of the row is left out, and the next takes its place.
        """
        turns = self.turns
        if self.random:
            order = sorted(range(len(turns)), key=lambda one: derived(seed, f"example {one}"))
            turns = tuple(turns[one] for one in order)
        others = [turn for turn in turns if turn[0].text != user.text][: self.count]
        return tuple(message for turn in others for message in turn)


@lru_cache(maxsize=64)
def examples_of(op: Op, declared: tuple[Item, ...], bound: Bound = NOTHING) -> Examples | None:
    """Return the examples of an op among declared items; None if it has none.

    Raises `BadExample` for a row that does not fit its template or its type.
    """
    given: dict[str, Any] = {one.name: one.value for one in op.settings}
    if EXAMPLES not in given:
        return None
    types = declared_types(declared)
    reading = _Reading(
        str(given.get("user", "")),
        RowValidator.of(declared, bound),
        ReplyForms.of(op.returns, types, given.get("choose"), bound.classes),
        _fields(op.returns, types),
        fields_of(op, types),
    )
    turns = tuple(reading.turns(given[EXAMPLES]))
    is_random = given.get("examples_order") == RANDOM
    return Examples(turns, given.get("examples_count"), is_random)


def _fields(
    returns: declarations.Type | None, types: Mapping[str, Declared]
) -> tuple[str, ...] | None:
    """Return the fields of the type of a reply; None if it has no fields of its own."""
    shape = None if returns is None else shape_of(returns, types)
    if shape is not None:
        return tuple(one.name for one in shape.fields)
    known = types.get(returns.name) if isinstance(returns, declarations.TypeName) else None
    if isinstance(known, declarations.PythonType):
        return tuple(json.loads(known.schema).get("properties", ())) or None
    return None


@frozen
class _Reading:
    user: str
    rows: RowValidator
    replies: ReplyForms | None
    fields: tuple[str, ...] | None
    described: str = ""

    def turns(self, text: str) -> Iterator[tuple[Message, Message]]:
        for number, start, line in _lines(text):
            try:
                yield self.turn(_row(line))
            except _Unfit as error:
                raise BadExample(str(error), number, start, start + len(line)) from error

    def turn(self, row: dict[str, Any]) -> tuple[Message, Message]:
        reply, taken = self.reply(row)
        rest = {name: value for name, value in row.items() if name not in taken}
        try:
            values = {**rest, **self.rows.record(rest).values}
            if "candidates" in rest:
                values["candidates"] = rest["candidates"]
            user = render(self.user, {FIELDS: self.described, **values})
        except InputError as error:
            _refuse("is no row", error)
        except (RenderError, ChainlangError) as error:
            _refuse("does not fit the prompt", error)
        if self.replies is None:
            return Message("user", user), Message("assistant", as_text(reply))
        said = json.dumps(reply, ensure_ascii=False)
        try:
            self.replies.form(len(values["candidates"]), values).read(said)
        except (Misfit, StageError) as error:
            _refuse("does not fit the type of a reply", error)
        return Message("user", user), Message("assistant", said)

    def reply(self, row: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
        """Return the reply of an example, and the names that hold it."""
        fields = self.fields
        if fields is not None and (_ANSWER in fields or not isinstance(row.get(_ANSWER), dict)):
            found = tuple(name for name in fields if name in row)
            if not found:
                raise _Unfit(f"has no reply: none of the fields {', '.join(fields)}")
            return {name: row[name] for name in found}, found
        if _ANSWER not in row:
            raise _Unfit(f"has no reply: no field 'answer', only {', '.join(row) or 'nothing'}")
        return row[_ANSWER], (_ANSWER,)


class _Unfit(Exception):
    """Reason why a line is no example."""


def _refuse(what: str, error: Exception) -> NoReturn:
    raise _Unfit(f"{what}: {error}") from error


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the lines that are not empty: number, offset and text."""
    at = 0
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped:
            yield number, at + line.index(stripped), stripped
        at += len(line) + 1


def _row(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _refuse("is no JSON", error)
    if not isinstance(found, dict):
        raise _Unfit(f"is no object but {in_short(found)}")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as the text of examples. Raises `TypeError` or `ValueError` for other values.

    >>> as_lines([{"query": "1 + 1?", "answer": "2"}])
    '{"query": "1 + 1?", "answer": "2"}'
    """
    return "\n".join(json.dumps(dict(one), ensure_ascii=False, allow_nan=False) for one in rows)
