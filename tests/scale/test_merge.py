"""Shards of a run, merged: equal to one run, resumed as one, and refused where they are not one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, chain, models
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SettingError, SourceError, StopError
from chainlang.scale import merge
from tests.scale.shards import (
    BRANCHED,
    assert_equal,
    engine,
    files,
    merged,
    metadata,
    rows,
    shards,
    written,
)

ROWS = rows(120)
QA = chain("2:E >> M")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run over all rows."""
    home = tmp_path_factory.mktemp("whole")
    BRANCHED.run(written(home / "rows.jsonl", ROWS), home / "run", engine=engine())
    return home


@pytest.mark.quick(1)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_shards_merged_are_one_run(whole: Path, tmp_path: Path, count: int) -> None:
    order = random.Random(count).sample(range(1, count + 1), count)
    home = shards(BRANCHED, whole / "rows.jsonl", tmp_path / "a", count, order)
    assert_equal(merged(home), whole / "run")
    assert_equal(merged(home), whole / "run")  # again, in the place of the first
    parts = [json.loads(one.read_text()) for one in home.glob("shard-*/metadata.json")]
    about = json.loads((home / "metadata.json").read_text())
    assert about["started"] == min(one["started"] for one in parts)
    assert about["ended"] == max(one["ended"] for one in parts)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "settings",
    [
        {"format": "csv", "escape_formulas": True},
        {"format": "parquet"},
        {"part_rows": 25},
        {"on_error": "skip", "part_rows": 40},
        {"limit": 50},
        {"outputs": "answer"},
    ],
    ids=str,
)
def test_settings_of_a_run_hold_for_merged_shards(tmp_path: Path, settings: dict[str, Any]) -> None:
    of_tables = {"format", "escape_formulas", "part_rows"}
    of_run = {name: one for name, one in settings.items() if name not in of_tables}
    source = written(tmp_path / "rows.jsonl", [*ROWS, {"query": "=1+1", "more": 0.5}])
    BRANCHED.run(source, tmp_path / "one", engine=engine(), **settings)
    home = shards(BRANCHED, source, tmp_path / "a", 3, **of_run)
    merge(home, **{name: one for name, one in settings.items() if name in of_tables})
    assert_equal(home, tmp_path / "one")


def test_equal_rows_of_two_shards_are_computed_in_both(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"query": "the same"}] * 4)
    QA.run(source, tmp_path / "one", engine=engine())
    home = merged(shards(QA, source, tmp_path / "a", 2))
    assert files(home) == files(tmp_path / "one")
    calls = [metadata(path)["usage"]["calls"] for path in (tmp_path / "one", home)]
    assert calls == [2, 4]
    assert metadata(home)["rows"] == metadata(tmp_path / "one")["rows"]


def test_there_may_be_more_shards_than_rows(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", ROWS[:3])
    QA.run(source, tmp_path / "one", engine=engine())
    assert_equal(merged(shards(QA, source, tmp_path / "a", 5)), tmp_path / "one")


def test_rows_of_python_are_split_too(tmp_path: Path) -> None:
    QA.run(iter(ROWS), tmp_path / "one", engine=engine())
    for number in (1, 2):
        QA.run(iter(ROWS), tmp_path / "a", engine=engine(), shard=(number, 2))
    assert_equal(merged(tmp_path / "a"), tmp_path / "one")


def test_a_limit_is_of_the_whole_input(tmp_path: Path) -> None:
    counts = [
        QA.run(ROWS, tmp_path / "a", engine=engine(), limit=10, shard=(number, 4)).rows
        for number in (1, 2, 3, 4)
    ]
    assert counts == [3, 3, 2, 2]


# ---------------------------------------------------------------- a merged folder is one of a run


def test_a_merged_folder_takes_new_rows(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", ROWS[:50])
    home = merged(shards(BRANCHED, source, tmp_path / "a", 2))
    written(source, ROWS)
    summary = BRANCHED.run(source, home, engine=engine())
    BRANCHED.run(source, tmp_path / "one", engine=engine())
    assert files(home) == files(tmp_path / "one")
    assert summary.rows == len(ROWS)
    with pytest.raises(SourceError, match="this folder contains a run"):
        merge(home)  # it would take rows away
    assert merge(home, overwrite=True).rows == 50


def test_failed_rows_of_a_merged_folder_run_again(tmp_path: Path) -> None:
    asked = chain("E(max_tokens=3) >> M")
    source = written(tmp_path / "rows.jsonl", ROWS[:40])
    one = asked.run(source, tmp_path / "one", engine=engine())
    home = merged(shards(asked, source, tmp_path / "a", 3))
    assert one.failed
    for path in (tmp_path / "one", home):
        asked.run(source, path, engine=engine(), retry_failed=True)
    assert files(home) == files(tmp_path / "one")


def test_shards_that_were_retried_merge_with_what_was_resampled(tmp_path: Path) -> None:
    asked = chain("E(max_tokens=3) >> M")
    source = written(tmp_path / "rows.jsonl", ROWS[:40])
    home = shards(asked, source, tmp_path / "a", 2)
    shards(asked, source, home, 2, retry_failed=True)
    asked.run(source, tmp_path / "one", engine=engine())
    asked.run(source, tmp_path / "one", engine=engine(), retry_failed=True)
    assert files(merged(home)) == files(tmp_path / "one")


# ---------------------------------------------------------------- refusals


def said(error: type[Exception], call: Any) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda home, source: chain("3:E >> M").run(source, home, engine=engine(), shard=(2, 2)),
         "the chain differs"),
        (lambda home, source: QA.run(source, home, engine=engine(), shard=(2, 2), seed=5),
         "seed is 0 and 5"),
        (lambda home, source: QA.run(source, home, engine=engine(), shard=(2, 2), model="other"),
         "settings.model is 'tiny' and 'other'"),
        (lambda home, source: QA.run(ROWS[:9], home, engine=engine(), shard=(2, 2)),
         "rows of the input are 10 and 9"),
        (lambda home, source: QA.run([*ROWS[:9], {"query": "z"}], home, engine=engine(),
                                     shard=(2, 2)),
         "contents of the input are '"),
        (lambda home, source: QA.run(source, home, engine=engine(), shard=(2, 2), on_error="skip"),
         "skip is False and True"),
        (lambda home, source: QA.run(source, home, engine=engine(), shard=(2, 3)),
         "1/2 and 2/3 are not shards of one run"),
        (lambda home, source: None, "1 of 2 shard is missing: 2"),
    ],
)  # fmt: skip
def test_shards_of_different_runs_are_refused(tmp_path: Path, other: Any, message: str) -> None:
    QA.run(ROWS[:10], tmp_path / "a", engine=engine(), shard=(1, 2))
    other(tmp_path / "a", ROWS[:10])
    assert message in said(SourceError, lambda: merge(tmp_path / "a"))
    assert not (tmp_path / "a" / "graph.json").exists()


def test_fingerprints_that_differ_are_refused_with_both_values(tmp_path: Path) -> None:
    class Other(FakeEngine):
        @property
        def fingerprint(self) -> Any:
            return {**super().fingerprint, "weights": "others"}

    QA.run(ROWS, tmp_path / "a", engine=FakeEngine(), shard=(1, 2))
    QA.run(ROWS, tmp_path / "a", engine=Other(), shard=(2, 2))
    found = said(SourceError, lambda: merge(tmp_path / "a"))
    assert "models.tiny.fingerprint.weights is None and 'others'" in found


def test_a_shard_that_stopped_is_refused(tmp_path: Path) -> None:
    QA.run(ROWS, tmp_path / "a", engine=engine(), shard=(1, 2))
    with pytest.raises(Exception, match="run_calls"):
        QA.run(ROWS, tmp_path / "a", engine=engine(), shard=(2, 2), run_calls=9)
    found = said(SourceError, lambda: merge(tmp_path / "a"))
    assert "shard 2/2 is not complete" in found
    assert "--shard 2/2" in found


def test_folders_may_stand_anywhere(tmp_path: Path) -> None:
    QA.run(ROWS, tmp_path / "one", engine=engine())
    for number in (1, 2):
        QA.run(ROWS, tmp_path / f"disk{number}", engine=engine(), shard=(number, 2))
    several = [tmp_path / f"disk{one}" / f"shard-000{one}-of-0002" for one in (2, 1)]
    assert "need one for the merged run" in said(SourceError, lambda: merge(several))
    merge(several, tmp_path / "a")
    assert_equal(tmp_path / "a", tmp_path / "one")
    twice = [several[0], several[1], several[0]]
    assert "is named twice" in said(SourceError, lambda: merge(twice, tmp_path / "b"))


def test_the_folder_of_a_shard_takes_no_other_run(tmp_path: Path) -> None:
    QA.run(ROWS, tmp_path / "a", engine=engine(), shard=(1, 2))
    home = tmp_path / "a" / "shard-0001-of-0002"
    assert "shard" in said(SourceError, lambda: QA.run(ROWS, home, engine=engine()))
    assert QA.run(ROWS, home, engine=engine(), shard=(1, 2)).recorded  # as it is named itself
    found = said(SourceError, lambda: QA.run(ROWS, tmp_path / "a", engine=engine()))
    assert "this folder contains shards of a run" in found
    assert "chainlang merge" in found


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ((0, 2), "shards are counted from 1 to 2"),
        ((3, 2), "shards are counted from 1 to 2"),
        ((1, 0), "a run has 1 to 10,000 shards"),
        (("1", 2), "both are whole numbers"),
        ("1/0", "a run has 1 to 10,000 shards"),
        ("half", "how many there are: (3, 32)"),
        (2, "how many there are: (3, 32)"),
    ],
)
def test_numbers_that_are_no_shard(tmp_path: Path, value: Any, hint: str) -> None:
    found = said(SettingError, lambda: QA.run(ROWS, tmp_path / "a", engine=engine(), shard=value))
    assert hint in found


def test_formats_and_policies_that_can_not_be_split(tmp_path: Path) -> None:
    run: Any = lambda qa, **more: qa.run(ROWS, tmp_path / "a", shard=(1, 2), **more)  # noqa: E731
    assert "chainlang merge FOLDER --format csv" in said(
        SettingError, lambda: run(QA, engine=engine(), format="csv")
    )
    best = models.ucb(["one", "two"], reward="answer == 'a'")
    with models.use(one=models.fake(), two=models.fake(), best=best):
        asked = chain("E:@best")
        found = said(SettingError, lambda: run(asked))
    assert "learns as the rows run" in found


# ---------------------------------------------------------------- in the shell


def test_in_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, home = written(tmp_path / "rows.jsonl", ROWS[:20]), tmp_path / "a"
    file = tmp_path / "qa.chain"
    file.write_text('model m = fake("m")\nmain = 2:E:m >> M\n')
    for number in (1, 2):
        arguments = ["run", file, "-i", source, "-o", home, "--shard", f"{number}/2"]
        assert execute([*map(str, arguments)]) == 0
    resumed = ["runs", "resume", home / "shard-0002-of-0002", "-i", source]
    assert execute([*map(str, resumed)]) == 0  # the folder says which shard it is
    assert execute(["merge", str(home)]) == 0
    assert "20 rows, 0 failed" in capsys.readouterr().err
    assert len((home / "flattened" / "000.jsonl").read_text().splitlines()) == 20
    assert metadata(home)["status"] == "complete"
    assert execute(["merge", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_folder_is_equal_to_itself(whole: Path) -> None:
    """What `assert_equal` compares is not empty."""
    assert len(files(whole / "run")) > 8
    assert isinstance(BRANCHED, Chain)
    assert json.loads((whole / "run" / "errors.jsonl").read_text().splitlines()[0])


def test_show_sums_the_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "a"
    QA.run(ROWS, home, engine=engine(), shard=(1, 3))
    with pytest.raises(StopError):
        QA.run(ROWS, home, engine=engine(), shard=(3, 3), run_calls=20, window=2)
    before = [(path, path.read_bytes()) for path in home.rglob("*") if path.is_file()]
    assert execute(["runs", "show", str(home), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in found["shards"]] == ["complete", "not started", "stopped"]
    assert found["rows"]["read"] == sum(one["rows"] for one in found["shards"]) > 40
    assert execute(["runs", "show", str(home)]) == 0
    assert "1 shard not started: 0 rows (2/3)" in capsys.readouterr().out
    assert all(path.read_bytes() == was for path, was in before)
    (home / "shard-0003-of-0003" / "metadata.json").unlink()  # as while it runs
    assert execute(["runs", "show", str(home), "--json"]) == 0
    running = json.loads(capsys.readouterr().out)["shards"][2]
    assert (running["status"], running["rows"]) == ("running or killed", found["shards"][2]["rows"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--part-rows", "0"], "part_rows=0: a part holds at least one row"),
        (["a/shard-0001-of-0002", "a/shard-0001-of-0002", "-o", "b"], "is named twice"),
        (["a/shard-0001-of-0002", "a/../a/shard-0001-of-0002", "-o", "b"], "is named twice"),
        (["a", "-o", "a/shard-0001-of-0002"], "a shard can't be the folder of the merged run"),
        (["a/shard-0001-of-0002"], "= hint: name the folder of all: a"),
        (["b"], "b: no shard in this folder"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_can_not_be_merged_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b").mkdir()
    for number in (1, 2):
        QA.run(ROWS[:4], "a", engine=engine(), shard=(number, 2))
    before = sorted(Path().rglob("*"))
    assert execute(["merge", *words]) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before
