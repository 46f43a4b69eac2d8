"""Formats of earlier releases: run folders resume, caches hit, and seeds and keys are the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang.protocol.messages import Message, Request, Sampling
from chainlang.runtime.ports.recording import keys
from chainlang.semantics.seeds import Place, row_id, seed
from chainlang.session.sample_cache import close_caches
from tests.crash.reference import samples
from tests.store.formats import FIXTURES, ROWS, SETTINGS, Engine, panel, run
from tests.store.test_folder import files

FORMAT = FIXTURES / "1"
FINGERPRINT = json.dumps(Engine().fingerprint, sort_keys=True)


def tables(path: Path) -> dict[str, Any]:
    """Return the tables of a run and its graph; messages may be worded anew."""
    found: dict[str, Any] = {"graph": (path / "graph.json").read_text()}
    for name, data in files(path).items():
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in data.splitlines()]
            found[name] = [
                {key: value for key, value in row.items() if key not in ("message", "error")}
                for row in rows
            ]
    return found


def asked(engine: Engine) -> list[bytes]:
    """Return the keys of what an engine was asked for."""
    return [key for one in engine.requests for key in keys(FINGERPRINT, one)]


def answered(engine: Engine, **settings: Any) -> list[Any]:
    """Return the answer of each row, None where it failed."""
    results = panel().map(ROWS, engine=engine, **SETTINGS, **settings)
    return [None if one.failure else one.answer for one in results]


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[Path, frozenset[bytes]]:
    """A run from the beginning, and the keys of all that it has asked for."""
    engine = Engine()
    run(tmp_path / "fresh", engine)
    return tmp_path / "fresh", frozenset(asked(engine))


@pytest.mark.parametrize(("name", "recorded"), [("stopped", 29), ("killed", 44)])
def test_a_run_that_ended_early_goes_on(
    name: str, recorded: int, tmp_path: Path, fresh: tuple[Path, frozenset[bytes]]
) -> None:
    path = tmp_path / name
    shutil.copytree(FORMAT / name, path)
    before = samples(path)
    assert len(before) == recorded
    engine = Engine()
    summary = run(path, engine)
    whole, every = fresh
    assert (summary.recorded, engine.drawn) == (recorded, 80 - recorded)
    assert sorted(asked(engine)) == sorted(every - before)  # each once, and no other
    assert tables(path) == tables(whole)
    assert samples(path) == samples(whole)


def test_a_run_that_is_done_is_done(tmp_path: Path, fresh: tuple[Path, frozenset[bytes]]) -> None:
    path = tmp_path / "done"
    shutil.copytree(FORMAT / "done", path)
    engine = Engine()
    summary = run(path, engine)
    assert (summary.rows, summary.failed, summary.recorded) == (6, 1, 80)
    assert engine.submitted == 0
    now, before = tables(path), tables(FORMAT / "done")
    assert now == tables(fresh[0])
    assert {name: _columns(now[name], before[name]) for name in before} == before
    assert fresh[1] == samples(path)


def _columns(rows: Any, before: Any) -> Any:
    """Return the columns of a table that an earlier release wrote too."""
    if isinstance(rows, str):
        return rows
    return [{name: row[name] for name in old} for row, old in zip(rows, before, strict=True)]


def test_the_cache_has_every_sample(tmp_path: Path) -> None:
    shutil.copytree(FORMAT / "cache", tmp_path / "cache")
    engine = Engine()
    cache: dict[str, Any] = {"cache": "read", "cache_folder": tmp_path / "cache"}
    found = answered(engine, **cache)
    close_caches()
    assert found == answered(Engine())
    assert engine.submitted == 0


def test_rows_are_drawn_again_at_places_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "done"
    shutil.copytree(FORMAT / "done", path)
    engine = Engine()
    assert run(path, engine, retry_failed=True).failed == 1
    assert (engine.drawn, len(samples(path))) == (9, 89)


@pytest.mark.parametrize(
    ("run_seed", "row", "place", "expected"),
    [
        (0, "row-1", ("0",), 67663396921116),
        (7, "two", ("grade", "!1"), 125789621108994),
        (7, '"quoted" ☃', ("1", "c2", "é"), 112650751364448),
        (-3, "", (), 48145335646365),
    ],
)
def test_seeds(run_seed: int, row: str, place: Place, expected: int) -> None:
    assert seed(run_seed, row, place) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": 3, "text": "a"}, "3"),
        ({"id": True, "text": "a"}, "#284ff9df93baaf346bd5ff84"),
        ({"text": "a", "list": [1, None, 2.5]}, "#caad3cf46b1a1aa4c26cb096"),
        ({"text": "☃\ud800"}, "#a96a101716add64082136434"),
        ({"b": 1, "a": {"d": "x", "c": []}}, "#3a4e17aa1d47891bba206d57"),
    ],
)
def test_ids_of_rows(row: dict[str, Any], expected: str) -> None:
    assert row_id(row) == expected


ONE = Request(
    id="1",
    model="m",
    messages=(Message("system", "You are ☃."), Message("user", "Hi")),
    sampling=Sampling(temperature=0.7, max_tokens=8),
    seed=3,
    count=2,
)
COLD = Sampling(temperature=0, max_tokens=8)
NARROW = Sampling(temperature=0.7, max_tokens=8, top_p=0.5, top_k=3, stop=("a", "b"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "f79ac4070556dcabc2930b8105c23d43 fca11a5006055f513b447ea3d2eda25e"),
        (
            {"sampling": COLD},
            "3d99ac71fa545151b6040620779b6a27 3d99ac71fa545151b6040620779b6a27",
        ),
        (
            {"sampling": NARROW},
            "4aa62123a120b0c1dc7c30692bc5645c b236a3f763f5d343267ca0f80876d67a",
        ),
        (
            {"schema": '{"type": "string"}'},
            "7b9e001db61c470b3f5eecc8a7a7e843 8a7fede78f30086801456cac09411c7a",
        ),
        (
            {"logprobs": True},
            "cdbc02ff388cf5f3b9dfa7e968888d24 fdc63dea319baa322c4387ff73210a73",
        ),
        (
            {"choices": ("a", "b")},
            "9d185772190e37d7ffef33adc48eca5e f6b106bf8ddd6eaa45f451199ebf23c0",
        ),
        ({"redraw": 2}, "2d8bf5029f22b701309576dfb8f3b475 4eb26d2a281f1213b1056cd8c5b17fef"),
        (
            {"logprobs": True, "choices": ("a",), "redraw": 1, "schema": "{}"},
            "6f983122fd63c330c52c8a47055c1cc8 c3b11895286f028fd682963978185b49",
        ),
        ({"priority": 5, "stream": True, "deadline": 1.0, "lenient": True}, None),
    ],
)
def test_keys(change: dict[str, Any], expected: str | None) -> None:
    found = " ".join(key.hex() for key in keys('{"engine": "fake"}', evolve(ONE, **change)))
    assert found == (
        expected or "f79ac4070556dcabc2930b8105c23d43 fca11a5006055f513b447ea3d2eda25e"
    )
