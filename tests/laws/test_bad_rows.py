"""A row's failure keeps its identity: any fault, at any stage, in any form of the input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Failure, Request
from tests.laws import SHALLOW, law

FAULTS = (
    "none", "null", "missing", "misfit", "twice", "malformed", "template", "refused", "reply",
    "function", "second",
)  # fmt: skip
"""Faults of a row: before its first stage, in its prompt, in its samples, and after them."""
MALFORMED = ("{", "[1]", '{"query": "a", "query": "b"}', '{"id": "lost"', "\x00")


def fails(answer: str) -> str:
    if "function" in answer:
        raise ValueError(answer)
    return answer


QA = load(
    text="""
input { query: str, n: int, extra: list[str] }
op ask : generate -> { answer: str } { user = "{{ query }} {{ extra[0] }}" }
op check : map { user = "second? {{ candidate.answer }}" }
main = (first = ask) >> @fails >> check
""",
    functions={"fails": fails},
)


def answers(request: Request, index: int) -> str:
    text = request.messages[-1].text
    return "no JSON" if "reply" in text else json.dumps({"answer": text})


def failures(request: Request) -> Failure | None:
    text = request.messages[-1].text
    is_wrong = "refused" in text or text.startswith("second? second")
    return Failure("", "refused", "no") if is_wrong else None


ENGINE = FakeEngine(answers=answers, failures=failures)


def rows_of(faults: list[str], with_ids: list[bool]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield the fields of each row, and the text of one that is malformed."""
    for at, (fault, has_id) in enumerate(zip(faults, with_ids, strict=True)):
        row: dict[str, Any] = {"id": f"r{at}"} if has_id or fault == "twice" else {}
        row |= {"query": f"{fault} {at}", "n": at, "extra": ["x"]}
        match fault:
            case "null":
                row["query"] = None
            case "missing":
                del row["n"]
            case "misfit":
                row["n"] = f"many {at}"
            case "twice":
                row["id"] = "r-same"
            case "template":
                row["extra"] = []
        yield row, MALFORMED[at % len(MALFORMED)] if fault == "malformed" else None


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@law(
    st.lists(st.tuples(st.sampled_from(FAULTS), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(["values", "jsonl"]),
    st.integers(1, 4),
    ci=SHALLOW,
)
def test_a_failure_keeps_the_identity_of_its_row(
    kinds: list[tuple[str, bool]], form: str, window: int
) -> None:
    faults = [fault for fault, _ in kinds]
    rows = list(rows_of(faults, [has_id for _, has_id in kinds]))
    with TemporaryDirectory() as folder:
        source: Any = Path(folder) / "in.jsonl"
        if form == "jsonl":
            source.write_text("".join(f"{bad or json.dumps(row)}\n" for row, bad in rows))
        else:
            source = [row if bad is None else at for at, (row, bad) in enumerate(rows)]
        QA.run(source, Path(folder) / "out", engine=ENGINE, window=window)
        errors = lines(Path(folder) / "out" / "errors.jsonl")
        results = lines(Path(folder) / "out" / "flattened" / "000.jsonl")
    same = [at for at, fault in enumerate(faults) if fault == "twice"]
    wrong = [at for at, fault in enumerate(faults) if fault != "none" and at not in same[:1]]
    assert [one["row"] - 1 for one in errors] == wrong
    assert len(results) == len(rows)
    for at, (row, bad) in enumerate(rows):
        assert bad is not None or results[at]["id"] == row.get("id", results[at]["id"])
    for one, at in zip(errors, wrong, strict=True):
        row, bad = rows[at]
        assert one["line"] == (at + 1 if form == "jsonl" else None)
        assert one["file"] == (str(source) if form == "jsonl" else None)
        assert one["fields"] == ({} if bad else row)
        assert one["id"] == results[at]["id"] != ""
        assert "id" not in row or bad or one["id"] == row["id"]
        assert bad is None or one["text"] == (bad if form == "jsonl" else str(at))
        assert results[at]["error"]
        shown = {name: results[at].get(name) for name in one["fields"]}
        assert shown == one["fields"]
