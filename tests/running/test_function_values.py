"""Functions change nothing but their own values, and no value of theirs ends a run."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from chainlang import E, function, op
from chainlang.engines.fake import FakeEngine
from chainlang.semantics.own_values import own
from chainlang.semantics.part import Part
from chainlang.semantics.record import Candidate
from tests.running.test_resume import plain

ROWS = [
    {"id": "a", "query": "q", "tags": ["A", {"deep": [1]}]},
    {"id": "b", "query": "r", "tags": []},
]


class Review(BaseModel):
    words: list[str]


# ---------------------------------------------------------------- arguments


def append_to_field(answer: Any, *, tags: list[Any]) -> str:
    tags.append("X")
    return str(len(tags))


def change_without_type(answer: Any, *, tags: Any) -> str:
    tags.append("X")
    for one in tags:
        if isinstance(one, dict):
            one["deep"].append(2)
    return json.dumps(tags)


def change_candidates(candidates: list[Candidate]) -> str:
    for one in candidates:
        one.fields["words"].append("X")  # type: ignore[index]
        one.answer["words"].append("Y")
        one.value.words.append("Z")
    return json.dumps([one.fields["words"] for one in candidates])


def change_part(*, review: Part, candidates: Any) -> str:
    review.candidates[0].value.words.clear()
    candidates[0].fields.clear()
    return json.dumps(review["words"])


async def change_later(answer: Any, *, tags: Any) -> str:
    tags.clear()
    await asyncio.sleep(0)
    return str(len(tags))


MADE = op("review", user="{{ query }}", returns=Review, temperature=0.7)
REPLIES = FakeEngine(answers={"": '{"words": ["a", "b"]}'})


@pytest.mark.parametrize(
    "change",
    [append_to_field, change_without_type, change_candidates, change_part, change_later],
)
def test_a_function_that_changes_its_arguments_changes_nothing_else(
    tmp_path: Path, change: Callable[..., Any]
) -> None:
    rows = copy.deepcopy(ROWS)
    made = MADE(count=3) >> change
    summary = made.run(rows, tmp_path, engine=REPLIES)
    assert (summary.rows, summary.failed) == (2, 0)
    assert rows == ROWS
    lines = [json.loads(one) for one in (tmp_path / "flattened/000.jsonl").read_text().splitlines()]
    assert [one["tags"] for one in lines] == [one["tags"] for one in ROWS]
    before = plain(tmp_path)
    assert made.run(rows, tmp_path, engine=REPLIES).rows == 2  # the same input, as it was
    assert plain(tmp_path) == before
    for result in made.map(rows, engine=REPLIES):
        entry = result.trace[0]
        assert [one.answer for one in entry.candidates] == [{"words": ["a", "b"]}] * 3
        assert [one.value for one in entry.candidates] == [Review(words=["a", "b"])] * 3
        assert len({one.answer for one in result.candidates}) == 1  # each call saw the same


def test_a_function_gets_what_the_row_has() -> None:
    seen: list[Any] = []

    def see(answer: str, *, tags: Any) -> str:
        seen.append(tags)
        return answer

    list((E >> see).map(ROWS, engine=FakeEngine()))
    assert seen == [one["tags"] for one in ROWS]


# ---------------------------------------------------------------- returned values


class Odd(BaseModel):
    number: int = 1

    @model_serializer
    def written(self) -> dict[str, Any]:
        raise LookupError("no such writer")


class Text(str):
    def __str__(self) -> str:
        raise LookupError("no text")


def nested(levels: int) -> Any:
    found: Any = "end"
    for _ in range(levels):
        found = {"in": [found]}
    return found


def cyclic() -> Any:
    found: list[Any] = []
    found.append(found)
    return {"found": found}


VALUES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"\xff\xfe",
    "bytes inside": lambda: {"text": [b"\xff"]},
    "a cycle": cyclic,
    "deep": lambda: nested(2500),
    "as deep as pydantic goes": lambda: nested(120),
    "an integer": lambda: 10**5000,
    "an object": object,
    "a model": Odd,
    "a module": lambda: sys,
    "a candidate of bytes": lambda: Candidate(b"\xff"),
    "a candidate with a cycle": lambda: Candidate("a", cyclic()),
}


@pytest.mark.quick(8)
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_json_cannot_hold_fails_its_row(
    tmp_path: Path, name: str, later: bool
) -> None:
    def now(answer: str, *, id: str) -> Any:  # noqa: A002  # a field of the row
        return VALUES[name]() if id == "a" else "fine"

    async def soon(answer: str, *, id: str) -> Any:  # noqa: A002  # as above
        await asyncio.sleep(0)
        return now(answer, id=id)

    made = E >> function("made", soon if later else now)
    summary = made.run(ROWS, tmp_path, engine=FakeEngine())
    assert (summary.rows, summary.failed) == (2, 1)
    (failed,) = map(json.loads, (tmp_path / "errors.jsonl").read_text().splitlines())
    assert (failed["id"], failed["stage"], failed["cause"]) == ("a", "@made", "function")
    assert failed["message"].startswith("it returned ")
    assert "JSON can't hold" in failed["message"]
    assert len(failed["message"]) < 400


@pytest.mark.parametrize(
    "value",
    ["\ud800", float("nan"), float("inf"), {"a": (1, 2)}, {1: 2}, Text("a"), nested(40), -0.0],
    ids=repr,
)
def test_a_value_that_json_can_hold_is_an_answer(tmp_path: Path, value: Any) -> None:
    made = E >> function("made", lambda _: value)
    assert made.run(ROWS, tmp_path, engine=FakeEngine()).failed == 0


class Stop(BaseException):
    pass


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("stop", [asyncio.CancelledError, SystemExit, Stop, StopIteration])
def test_whatever_a_function_raises_fails_its_row(
    tmp_path: Path, stop: type[BaseException], later: bool
) -> None:
    def now(answer: str, *, id: str) -> str:  # noqa: A002  # as above
        if id == "a":
            raise stop
        return answer

    async def soon(answer: str, *, id: str) -> str:  # noqa: A002  # as above
        await asyncio.sleep(0)
        return now(answer, id=id)

    made = E >> function("made", soon if later else now)
    summary = made.run(ROWS, tmp_path, engine=FakeEngine())
    assert (summary.rows, summary.failed) == (2, 1)
    (failed,) = map(json.loads, (tmp_path / "errors.jsonl").read_text().splitlines())
    assert (failed["stage"], failed["cause"]) == ("@made", "function")


def test_a_copy_is_equal_and_apart() -> None:
    value = {"a": [1, {"b": []}], "c": "d"}
    copied = own(value)
    assert copied == value
    copied["a"][1]["b"].append(1)
    assert value == {"a": [1, {"b": []}], "c": "d"}
