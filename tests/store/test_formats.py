"""Formats of earlier releases: run folders resume, caches hit, and seeds and keys are the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang.notation import parse_file, source
from chainlang.protocol.messages import Message, Request, Sampling
from chainlang.runtime.ports.sample_keys import format_1, format_2
from chainlang.semantics.prelude import prelude
from chainlang.semantics.seeds import Place, row_id, seed
from chainlang.session.sample_cache import close_caches
from tests.crash.reference import samples
from tests.store.formats import FIXTURES, ROWS, SETTINGS, VERIFIER, Engine, panel, run
from tests.store.test_folder import files

FORMAT, FORMAT_2 = FIXTURES / "1", FIXTURES / "2"
KEYS_1, KEYS_2 = (form(Engine().fingerprint) for form in (format_1, format_2))


@pytest.fixture(autouse=True)
def _earlier_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `V` the prompt that it had, and typed ops theirs, which did not say their type."""
    monkeypatch.setattr("chainlang.semantics.stages.description_of", lambda settings, words: "")
    (verifier,) = parse_file(source(VERIFIER, "prelude.chain")).node.items
    ops = {**prelude(), "V": verifier}
    monkeypatch.setattr("chainlang.semantics.stages.prelude", lambda: ops)


def tables(path: Path) -> dict[str, Any]:
    """Return the tables of a run and its graph; messages may be worded anew, columns be added."""
    newer = ("message", "error", "file", "line", "fields")
    found: dict[str, Any] = {"graph": (path / "graph.json").read_text()}
    for name, data in files(path).items():
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in data.splitlines()]
            found[name] = [
                {key: value for key, value in row.items() if key not in newer} for row in rows
            ]
    return found


def asked(engine: Engine) -> list[bytes]:
    """Return the keys of what an engine was asked for."""
    return [key for one in engine.requests for key in KEYS_1(one).bounded]


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
    new = samples(path) - before
    assert (len(new), len(samples(whole))) == (engine.drawn, 80)
    assert new <= {key for one in engine.requests for key in KEYS_2(one)}


def test_a_run_that_is_done_is_done(tmp_path: Path, fresh: tuple[Path, frozenset[bytes]]) -> None:
    path = tmp_path / "done"
    shutil.copytree(FORMAT / "done", path)
    engine = Engine()
    summary = run(path, engine)
    assert (summary.rows, summary.failed, summary.recorded) == (6, 1, 80)
    assert engine.submitted == 0
    now, before = tables(path), tables(FORMAT / "done")
    assert now == tables(fresh[0])
    failed = {one["row"] for one in now["errors.jsonl"]}  # that had no events
    shared = [one for one in now["events.jsonl"] if one["row"] not in failed]
    assert len(shared) < len(now["events.jsonl"])
    now["events.jsonl"] = shared
    assert {name: _columns(now[name], before[name]) for name in before} == before
    assert fresh[1] == samples(path)


def _columns(rows: Any, before: Any) -> Any:
    """Return the columns of a table that an earlier release wrote too."""
    if isinstance(rows, str):
        return rows
    return [{name: row[name] for name in old} for row, old in zip(rows, before, strict=True)]


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_cache_has_every_sample(version: str, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / version / "cache", tmp_path / "cache")
    engine = Engine()
    cache: dict[str, Any] = {"cache": "read", "cache_folder": tmp_path / "cache"}
    found = answered(engine, **cache)
    close_caches()
    assert found == answered(Engine())
    assert engine.submitted == 0


@pytest.mark.parametrize(("name", "recorded"), [("stopped", 29), ("killed", 44)])
def test_a_run_of_format_2_goes_on(
    name: str, recorded: int, tmp_path: Path, fresh: tuple[Path, frozenset[bytes]]
) -> None:
    path, (whole, _) = tmp_path / name, fresh
    shutil.copytree(FORMAT_2 / name, path)
    before = samples(path)
    assert len(before) == recorded
    assert before < samples(whole)
    engine = Engine()
    summary = run(path, engine)
    assert (summary.recorded, engine.drawn) == (recorded, 80 - recorded)
    new = {key for one in engine.requests for key in KEYS_2(one)}
    assert samples(path) - before <= new
    assert new.isdisjoint(before)
    assert samples(path) == samples(whole)
    assert tables(path) == tables(whole)


def test_a_run_of_format_2_that_is_done_is_done(
    tmp_path: Path, fresh: tuple[Path, frozenset[bytes]]
) -> None:
    path, (whole, _) = tmp_path / "done", fresh
    shutil.copytree(FORMAT_2 / "done", path)
    engine = Engine()
    summary = run(path, engine)
    assert (summary.rows, summary.failed, summary.recorded) == (6, 1, 80)
    assert engine.submitted == 0
    assert samples(path) == samples(whole)
    assert tables(path) == tables(whole)
    now, before = tables(path), tables(FORMAT_2 / "done")
    assert {table: _columns(now[table], before[table]) for table in before} == before


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
    ("change", "whole", "bounded"),
    [
        (
            {},
            "39025ec0b22783cde4399649e55b7fa4 cdd5a1a439ef377fefd518741374d36a",
            "37e42b63aed249e61841614e23fc98a1 764b8f106c681a0cf3135416e72fe4f8",
        ),
        (
            {"sampling": COLD},
            "f9cd07fa792b6260dc7254b51ca518f3 f9cd07fa792b6260dc7254b51ca518f3",
            "4424fdb879a977b9bd95d5bce08a9d5e 4424fdb879a977b9bd95d5bce08a9d5e",
        ),
        (
            {"sampling": NARROW, "schema": "{}", "choices": ("a", "b")},
            "ce05cc5a24634e977abbcfd9120e3c35 d9ac159e656e0a152123f523cb22cbe9",
            "e445437a9bc69d5b6cf2504ee65ed8cf 7e4879d8555aa87707416e295d2c4999",
        ),
        (
            {"sampling": evolve(NARROW, max_tokens=9), "schema": "{}", "choices": ("c",)},
            "ce05cc5a24634e977abbcfd9120e3c35 d9ac159e656e0a152123f523cb22cbe9",
            "60787f0d65a5e3c04d49bae06ad1e995 1e7ca8c97bd5f4e13e0a7fb011e87b72",
        ),
        (
            {"logprobs": True, "redraw": 1},
            "4270c5acba717f936757b7c77d2502ee b2134efc0e704fc957ea181dd503bea1",
            "03dfa80eab091c4b49de70910f67a2cb 7026dbe6b9f48a4139b9f6a283647922",
        ),
    ],
)
def test_keys_without_bounds(change: dict[str, Any], whole: str, bounded: str) -> None:
    found = format_2({"engine": "fake", "context": 64})(evolve(ONE, **change))
    assert [" ".join(key.hex() for key in of) for of in (found.whole, found.bounded)] == [
        whole, bounded,
    ]  # fmt: skip


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
    found = " ".join(key.hex() for key in format_1({"engine": "fake"})(evolve(ONE, **change)))
    assert found == (
        expected or "f79ac4070556dcabc2930b8105c23d43 fca11a5006055f513b447ea3d2eda25e"
    )
