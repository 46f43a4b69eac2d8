"""What is not asked for is not there, and says so; what is, is the same by any passes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import OperandError, SettingError, SourceError
from chainlang.optimizer.registry import DEFAULT
from chainlang.protocol.messages import Failure, Request

QA = chain("(draft = 5:E) >> M")
ROWS = [{"id": str(number), "query": f"What is {number} + 1?"} for number in range(7)]


def test_a_result_has_what_was_asked_for_and_names_the_rest() -> None:
    whole = QA("Why?", engine=FakeEngine())
    answer = QA("Why?", engine=FakeEngine(), outputs="answer")
    assert answer.answer == whole.answer
    assert answer["answer"] == whole.answer
    assert answer["query"] == "Why?"
    assert answer.history == {}
    assert "votes" not in repr(answer)
    for look in (
        lambda: answer.candidates,
        lambda: answer["votes"],
        lambda: answer["responses"],
        lambda: answer.trace,
    ):
        with pytest.raises(OperandError, match="only 'answer' was requested"):
            look()
    draft = QA("Why?", engine=FakeEngine(), outputs=["draft"])
    assert draft["draft"].candidates == whole["draft"].candidates
    with pytest.raises(OperandError, match="has no answer: only 'draft'"):
        _ = draft.answer
    votes = QA("Why?", engine=FakeEngine(), outputs=("candidates",))
    assert votes["votes"] == whole["votes"]
    assert votes.answer == whole.answer


def test_an_op_names_a_part_that_can_be_asked_for() -> None:
    text = 'op tell : generate { user = "{{ query }}" }\nmain = tell >> J'
    result = load(text=text)("Why?", engine=FakeEngine(), outputs="tell")
    assert result["tell"].answer


def test_what_no_result_has_is_said_before_anything_runs() -> None:
    with pytest.raises(SettingError, match="unknown output 'drft'") as caught:
        QA.map(ROWS, outputs=["answer", "drft"])
    assert "did you mean 'draft'?" in str(caught.value)
    with pytest.raises(SettingError, match="unknown pass 'merge'"):
        QA.map(ROWS, passes=["merge"])
    with pytest.raises(SettingError, match="outputs= is empty"):
        QA.map(ROWS, outputs=[])


def test_awaiting_and_streaming_give_what_was_asked_for() -> None:
    async def main() -> list[object]:
        called = await QA.acall("Why?", engine=FakeEngine(), outputs="answer")
        stream = QA.stream("Why?", engine=FakeEngine(), outputs="answer")
        pieces = [str(piece) async for piece in stream]
        return [called.answer, stream.result.answer, "".join(pieces)]

    answer = QA("Why?", engine=FakeEngine()).answer
    assert asyncio.run(main()) == [answer] * 3


def files(folder: Path) -> dict[str, bytes]:
    """Return what a run folder says of its rows."""
    kept = {"journal.sqlite", "metadata.json", "plan.txt"}
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {str(path.relative_to(folder)): path for path in found}
    return {
        name: path.read_bytes()
        for name, path in named.items()
        if name not in kept and not name.startswith("journal")
    }


def test_a_run_folder_holds_what_was_asked_for(tmp_path: Path) -> None:
    QA.run(ROWS, tmp_path / "all", engine=FakeEngine())
    QA.run(ROWS, tmp_path / "some", engine=FakeEngine(), outputs=["answer"])
    assert {"answers/000.jsonl", "draft/000.jsonl"} <= files(tmp_path / "all").keys()
    some = files(tmp_path / "some")
    assert {name for name in some if name.endswith("000.jsonl")} == {"flattened/000.jsonl"}
    rows = [json.loads(line) for line in some["flattened/000.jsonl"].splitlines()]
    assert rows[0].keys() == {"id", "query", "answer", "error"}
    whole = [
        json.loads(line) for line in files(tmp_path / "all")["flattened/000.jsonl"].splitlines()
    ]
    assert [row["answer"] for row in rows] == [row["answer"] for row in whole]
    with pytest.raises(SourceError, match="outputs"):
        QA.run(ROWS, tmp_path / "some", engine=FakeEngine(), outputs=["draft"])


@pytest.mark.parametrize(("first", "second"), [((), None), (None, ()), (DEFAULT[2:4], None)])
def test_a_run_goes_on_by_other_passes(
    first: tuple[str, ...] | None, second: tuple[str, ...] | None, tmp_path: Path
) -> None:
    def fails(request: Request) -> Failure | None:
        return Failure("", "engine", "no") if "5 + 1" in request.messages[-1].text else None

    out, whole = tmp_path / "out", tmp_path / "whole"
    with pytest.raises(Exception, match="no"):
        QA.run(ROWS, out, engine=FakeEngine(failures=fails), passes=first, on_error="raise")
    summary = QA.run(ROWS, out, engine=FakeEngine(), passes=second)
    assert summary.failed == 0
    assert summary.recorded > 0
    QA.run(ROWS, whole, engine=FakeEngine())
    assert files(out) == files(whole)


def test_the_old_name_of_a_pass_says_the_new_one() -> None:
    with pytest.raises(SettingError, match="called ask_until_agreement") as caught:
        chain("(3:E:a & 3:E:b) >> M")("?", engine=FakeEngine(), passes="cascade")
    assert "accept=" in str(caught.value)
