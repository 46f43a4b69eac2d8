"""Results as rows of tables: one row for each result, and one for each candidate."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, assert_never

from chainlang.protocol.json_encoder import encoder
from chainlang.semantics.record import Branched, Candidate, Flow, Record, below
from chainlang.semantics.row_failure import RowFailure

OWN = ("id", "answer", "error")
"""Columns that every run has; an input field of such a name becomes ``input.<name>``."""

_ENCODE = encoder(ascii_only=False, nan=False)
_TEXT = json.encoder.encode_basestring

Found = tuple[str, tuple[Candidate, ...]]
"""A branch, empty if the chain has none, and its candidates."""


def results(flow: Flow, path: str = "") -> Iterator[Found]:
    """Yield the final candidates of each branch; none of one that failed."""
    match flow:
        case Record():
            yield path, flow.candidates
        case Branched(arms):
            for name, arm in arms:
                yield from results(arm, below(path, name))
        case RowFailure():
            yield path, ()
        case _:
            assert_never(flow)


def named_parts(flow: Flow) -> dict[str, list[Found]]:
    """Return the candidates of the named parts, in the order of their first run.

    A part before the branches of a chain appears once, without a branch.
    """
    found: dict[str, list[Found]] = {}
    for name, part in _parts(flow):
        found.setdefault(name, []).append(part)
    return found


def _parts(flow: Flow, path: str = "", before: Collection[str] = ()) -> Iterator[tuple[str, Found]]:
    """Yield the named parts of a result, without those that were there `before`."""
    match flow:
        case Record():
            yield from _named(flow, path, before)
        case Branched(arms, start):
            yield from _named(start, path, before)
            for name, arm in arms:
                yield from _parts(arm, below(path, name), start.history)
        case RowFailure():
            return
        case _:
            assert_never(flow)


def _named(record: Record, path: str, before: Collection[str]) -> Iterator[tuple[str, Found]]:
    for name, candidates in record.history.items():
        if name not in before:
            yield name, (path, candidates)


def flattened(
    row_id: str,
    fields: Mapping[str, Any],
    flow: Flow | None,
    error: str | None,
    outputs: set[str],
) -> dict[str, Any]:
    """Return the row of the table ``flattened``, which has one row for each row of the input.

    Its columns are ``id``, the input's fields, ``answer`` and the other fields of the first
    candidate, ``<part>.answer`` and ``<part>.<field>``, and ``error``; of a branched result,
    ``branch.<name>.answer`` and so on. An input field with the name of an output becomes
    ``input.<name>``. `outputs` collects the names of outputs.

    >>> record = Record({}, "7", None, (Candidate("42", {"verdict": "correct"}),))
    >>> flattened("7", {"id": 7, "answer": 41}, record, None, set())
    {'id': '7', 'input.answer': 41, 'answer': '42', 'verdict': 'correct', 'error': None}
    """
    found = _found(flow)
    outputs.update(found)  # in place: `|=` with keys would make another set
    inputs: dict[str, Any] = {}
    for name, value in fields.items():
        if name in outputs or name in OWN:
            if name == "id" and _is_identity(value, row_id):
                continue
            taken = {*OWN, *outputs, *inputs, *fields}
            inputs[_free(name, "input.", taken)] = value
        else:
            inputs[name] = value
    return {"id": row_id, **inputs, **found, "error": error}


def _found(flow: Flow | None) -> dict[str, Any]:
    """Return the outputs of a row by the names of their columns."""
    found: dict[str, Any] = {}
    if isinstance(flow, Record) and flow.candidates and not flow.history:  # as most rows are
        first = flow.candidates[0]
        found = {"answer": first.answer, **first.fields}
        found["answer"] = first.answer  # a field of this name is no column of its own
        if "id" not in found and "error" not in found:
            return found
        found = {}
    for name, value in _outputs(flow) if flow is not None else [("answer", None)]:
        if name in found or name in ("id", "error"):
            found[_free(name, "output.", {*OWN, *found})] = value
        else:
            found[name] = value
    return found


def candidate_row(
    number: int, row_id: str, branch: str, position: int, one: Candidate
) -> dict[str, Any]:
    """Return the table row of a candidate: its row, branch and number, and all its fields."""
    return {
        "row": number,
        "id": row_id,
        "branch": branch or None,
        "candidate": position,
        **candidate_columns(one),
    }


def candidate_columns(one: Candidate) -> dict[str, Any]:
    """Return the columns of a candidate that are the same in each table."""
    found = {
        "answer": one.answer,
        "fields": dict(one.fields),
        "text": one.text,
        "reasoning": one.reasoning or None,
        "finish": one.finish,
        "tokens": one.tokens,
        "logprobs": list(one.logprobs) or None,
    }
    # What follows is a column of some candidates only.
    if one.stop is not None:
        found["stop"] = one.stop
    if one.switched:
        found["model"] = one.model
    if one.choices:
        found["choices"] = dict(one.choices)
    if one.top_logprobs:
        found["top_logprobs"] = one.top_logprobs
    return found


def candidate_json(one: Candidate) -> str:
    """Return the JSON of `candidate_columns`, without braces.

    Raises as `json.dumps` does for values that JSON can't hold.

    >>> candidate_json(Candidate("4", {}, "4", "stop", 1))
    '"answer": "4", "fields": {}, "text": "4", "reasoning": null, "finish": "stop", "tokens": 1,
     "logprobs": null'
    """
    if one.reasoning or one.logprobs or one.stop is not None or one.switched or one.choices:
        return _ENCODE(candidate_columns(one))[1:-1]
    if one.top_logprobs:
        return _ENCODE(candidate_columns(one))[1:-1]
    # As most candidates are: an encoder would take longer for the names than for the values.
    answer = one.answer
    said = _TEXT(answer) if type(answer) is str else _ENCODE(answer)
    fields = _ENCODE(dict(one.fields)) if one.fields else "{}"
    text = said if one.text is answer else _TEXT(one.text)
    return (
        f'"answer": {said}, "fields": {fields}, "text": {text}, "reasoning": null, '
        f'"finish": {_TEXT(one.finish)}, "tokens": {one.tokens}, "logprobs": null'
    )


def _outputs(flow: Flow) -> Iterator[tuple[str, Any]]:
    for branch, candidates in results(flow):
        yield from _first(f"branch.{branch}." if branch else "", candidates)
    for name, found in named_parts(flow).items():
        for branch, candidates in found:
            yield from _first(f"branch.{branch}.{name}." if branch else f"{name}.", candidates)


def _first(prefix: str, candidates: tuple[Candidate, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the answer and the fields of the first candidate."""
    if not candidates:
        yield f"{prefix}answer", None
        return
    yield f"{prefix}answer", candidates[0].answer
    for name, value in candidates[0].fields.items():
        if name != "answer":
            yield f"{prefix}{name}", value


def _is_identity(given: Any, row_id: str) -> bool:
    return isinstance(given, str | int) and not isinstance(given, bool) and str(given) == row_id


def _free(name: str, prefix: str, taken: set[str]) -> str:
    """Return a name that is not taken, with the prefix as many times as necessary."""
    while name in taken:
        name = prefix + name
    return name
