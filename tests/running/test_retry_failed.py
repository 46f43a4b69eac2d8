"""Rows that failed are drawn again: the folder is that of a run in which they had succeeded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError, StopError
from chainlang.protocol.messages import Failure, Request
from tests.laws import seeds
from tests.running.test_resume import Counting, plain

ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(24)]
CHAIN = "2:E::0.7 >> J::0.5"
GOOD = '{"reasoning": "so", "final_answer": "7"}'
FAILURES: dict[str, Callable[[Request], str | Failure | None]] = {
    "reply": lambda request: "no JSON" if request.schema else None,
    "cut": lambda request: f'{{"reasoning": "{"x" * 9999}' if request.schema else None,
    "transport": lambda request: Failure("", "transport", "reset"),
    "refused": lambda request: Failure("", "refused", "no"),
}


class Flaky(Counting):
    """An engine that answers some rows badly, while it is told to."""

    def __init__(self, bad: dict[int, str], **more: Any) -> None:
        self.bad = {f"What is {number} + 1?": kind for number, kind in bad.items()}
        super().__init__(answers=self._text, failures=self._failure, **more)

    def _said(self, request: Request) -> str | Failure | None:
        for text, kind in self.bad.items():
            if any(text in message.text for message in request.messages):
                return FAILURES[kind](request)
        return None

    def _text(self, request: Request, index: int) -> str | None:
        said = self._said(request)
        if isinstance(said, str):
            return said
        return GOOD if request.schema else str((request.seed + index) % 10)

    def _failure(self, request: Request) -> Failure | None:
        said = self._said(request)
        return said if isinstance(said, Failure) else None


def run(path: Path, engine: FakeEngine, **settings: Any) -> Any:
    return chain(CHAIN).run(ROWS, path, engine=engine, window=4, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(out, Flaky({})).failed == 0
    return plain(out)


BAD = {1: "reply", 2: "transport", 5: "refused", 6: "cut", 11: "reply", 23: "cut"}


@pytest.mark.parametrize("on_error", ["collect", "skip"])
def test_the_folder_is_that_of_a_run_in_which_they_had_succeeded(
    tmp_path: Path, whole: dict[str, bytes], on_error: str
) -> None:
    first = Flaky(BAD)
    assert run(tmp_path, first, on_error=on_error).failed == 6
    second = Flaky({})
    summary = run(tmp_path, second, on_error=on_error, retry_failed=True)
    assert (summary.rows, summary.failed) == (24, 0)
    assert plain(tmp_path) == whole
    # Rows whose replies did not fit were drawn anew, the two others had some samples or none.
    assert second.samples == 4 * 3 + 2 * 3
    third = Flaky({})
    run(tmp_path, third, on_error=on_error)
    assert third.samples == 0
    assert plain(tmp_path) == whole


def test_without_it_a_row_that_failed_is_done(tmp_path: Path) -> None:
    assert run(tmp_path, Flaky({1: "reply"})).failed == 1
    engine = Flaky({})
    assert run(tmp_path, engine).failed == 1
    assert engine.samples == 0


def test_rows_that_fail_again_can_be_drawn_once_more(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    run(tmp_path, Flaky({1: "reply", 6: "cut"}))
    assert run(tmp_path, Flaky({6: "reply"}), retry_failed=True).failed == 1
    errors = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    assert [(one["row"], one["id"], one["cause"]) for one in errors] == [(7, "r6", "reply")]
    engine = Flaky({})
    run(tmp_path, engine, retry_failed=True)
    assert engine.samples == 3
    assert plain(tmp_path) == whole


@seeds(20)
def test_it_may_end_early_and_go_on(tmp_path: Path, whole: dict[str, bytes], seed: int) -> None:
    draws = random.Random(seed)
    bad = {number: draws.choice([*FAILURES]) for number in draws.sample(range(24), 5)}
    run(tmp_path, Flaky(bad))
    try:
        engine = Flaky({}, last=draws.randrange(15))
        run(tmp_path, engine, retry_failed=True, run_calls=draws.randrange(2, 20))
    except (KeyboardInterrupt, StopError):
        run(tmp_path, Flaky({}))
    assert plain(tmp_path) == whole


def test_a_run_that_went_on_after_a_kill_says_when_it_knows_no_failures(tmp_path: Path) -> None:
    run(tmp_path, Flaky({1: "reply"}))
    (tmp_path / "errors.jsonl").unlink()
    before = plain(tmp_path)
    with pytest.raises(SourceError, match="so the failed rows are unknown"):
        run(tmp_path, Flaky({}), retry_failed=True)
    assert plain(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["", "{", '{"id": 1}', '{"id": "r1", "cause": "x"}', "[1]", "null"]
)
def test_a_list_of_failures_that_is_damaged_is_refused(tmp_path: Path, line: str) -> None:
    run(tmp_path, Flaky({1: "reply"}))
    (tmp_path / "errors.jsonl").write_text(line + "\n")
    with pytest.raises(
        SourceError, match=r"errors.jsonl: line 1 is not the record of a failed row"
    ):
        run(tmp_path, Flaky({}), retry_failed=True)


def test_there_has_to_be_a_run(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no run to retry in this folder"):
        run(tmp_path, Flaky({}), retry_failed=True)
    run(tmp_path, Flaky({1: "reply"}))
    with pytest.raises(SourceError, match="--overwrite would remove the run to retry"):
        run(tmp_path, Flaky({}), retry_failed=True, overwrite=True)


def test_the_command_line_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    engines = [Flaky({3: "reply"}), Flaky({})]
    monkeypatch.setattr("chainlang.models.open_engines._open", lambda *_, **__: engines.pop(0))
    rows = "".join(json.dumps(row) + "\n" for row in ROWS)
    Path("rows.jsonl").write_text(rows)
    from chainlang.models.open_engines import close_engines

    command = ["run", CHAIN, "-i", "rows.jsonl", "-o", "out"]
    try:
        assert execute(command) == 1
        said = capsys.readouterr().err
        assert "failures: out/errors.jsonl; to retry these rows: --retry-failed" in said
        close_engines()
        assert execute([*command, "--retry-failed"]) == 0
    finally:
        close_engines()
    assert "24 rows, 0 failed" in capsys.readouterr().err
