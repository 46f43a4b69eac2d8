"""Names of the columns in the table of results: one name in all rows, from the first on."""

import json
from pathlib import Path

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Failure, Request
from chainlang.store.stored_results import stored_results


def fails(request: Request) -> Failure | None:
    return Failure(request.id, "refused", "no") if "bad" in request.messages[-1].text else None


def test_a_failed_row_has_its_own_column_under_its_own_name(tmp_path: Path) -> None:
    """`confidence` is a column of the rows, and an output of the vote."""
    rows = [{"query": text, "confidence": 7} for text in ("bad", "good", "bad", "well")]
    chain("3:E >> M").run(rows, tmp_path / "run", engine=FakeEngine(failures=fails))
    table = tmp_path / "run" / "flattened" / "000.jsonl"
    lines = [json.loads(one) for one in table.read_text().splitlines()]
    assert [one["input.confidence"] for one in lines] == [7, 7, 7, 7]
    assert [one["error"] is None for one in lines] == [False, True, False, True]
    stored = list(stored_results(tmp_path / "run"))
    assert [one.fields for one in stored] == rows
    assert [one.outputs["answer"] is None for one in stored] == [True, False, True, False]
