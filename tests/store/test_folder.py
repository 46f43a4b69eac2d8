"""The run folder: what goes where, in parts, in equal bytes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from attrs import evolve

from chainlang import chain, load
from chainlang.data import Row, read_rows
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Usage
from chainlang.protocol.usages import Usages
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.events import Event
from chainlang.semantics.origin import Origin
from chainlang.semantics.record import Branched, Candidate, Flow, Record, events_of
from chainlang.semantics.row_failure import RowFailure
from chainlang.store import About, RunFolder
from chainlang.store.folder_names import folder_name

ABOUT = About(chain="E >> M", graph=chain("E >> M").to_json(), plan="the plan\n", seed=7)
BEFORE = Record({}, "1", None)
FAILURE = RowFailure("no number in it", "J", ("1", "&0"), 2, "nonsense", cause="reply")


def flow(answer: Any = "42", **history: Any) -> Record:
    named = {name: (Candidate(value, {"score": 1}),) for name, value in history.items()}
    one = Candidate(answer, {"verdict": "correct"}, "the text", "stop", 3)
    return Record({}, "", None, (one, Candidate("other")), named)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def written(path: Path, flows: list[Flow | None], **options: Any) -> Path:
    with RunFolder.create(path, ABOUT, **options) as folder:
        for number, one in enumerate(flows, 1):
            failure = None if one else FAILURE
            fields = {"id": number, "text": "a"}
            folder.write(
                Origin(number), str(number), fields, one, failure=failure,
                usages=Usages({("E", "tiny"): Usage(2, 10, 0, 5)}),
                events=events_of(one) if one else (),
            )  # fmt: skip
        folder.finish()
    return path


def files(path: Path) -> dict[str, bytes]:
    """Return what is in the files of a run, but for its journal."""
    return {
        str(one.relative_to(path)): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and not one.name.startswith("journal.sqlite")
    }


# ---------------------------------------------------------------- what goes where


def test_what_goes_where(tmp_path: Path) -> None:
    path = written(tmp_path / "a" / "run", [flow(fr="x"), None, flow({"deep": [1]})])
    assert sorted(files(path)) == [
        "answers/000.jsonl", "errors.jsonl", "flattened/000.jsonl", "fr/000.jsonl", "graph.json",
        "metadata.json", "plan.txt",
    ]  # fmt: skip
    head = {"answer": "42", "verdict": "correct"}
    assert rows_of(path / "flattened/000.jsonl") == [
        {"id": "1", "text": "a", **head, "fr.answer": "x", "fr.score": 1, "error": None},
        {"id": "2", "text": "a", "answer": None, "error": "no number in it"},
        {"id": "3", "text": "a", **head, "answer": {"deep": [1]}, "error": None},
    ]
    first, second, *rest = rows_of(path / "answers/000.jsonl")
    assert first == {
        "row": 1, "id": "1", "branch": None, "candidate": 0, "answer": "42",
        "fields": {"verdict": "correct"}, "text": "the text", "reasoning": None,
        "finish": "stop", "tokens": 3, "logprobs": None,
    }  # fmt: skip
    assert (second["candidate"], second["answer"], len(rest)) == (1, "other", 2)
    assert [row["answer"] for row in rows_of(path / "fr/000.jsonl")] == ["x"]
    assert rows_of(path / "errors.jsonl") == [
        {
            "row": 2, "file": None, "line": None, "id": "2", "branch": None, "stage": "J",
            "place": ["1", "&0"], "sample": 2, "cause": "reply", "message": "no number in it",
            "text": "nonsense", "traceback": None, "fields": {"id": 2, "text": "a"},
        }
    ]  # fmt: skip
    assert (path / "graph.json").read_text() == ABOUT.graph
    assert (path / "plan.txt").read_text() == "the plan\n"


def test_events_have_a_table_where_there_are_any_and_are_counted(tmp_path: Path) -> None:
    drawn = Event("retry", ("1", "!1"), "it did not fit", 2)
    told = flow(fr="x").noted(drawn, Event("loop", ("2",), "it ran out"))
    path = written(tmp_path, [flow(), told, Branched((("a", told), ("b", told)), told)])
    assert rows_of(path / "events.jsonl")[:2] == [
        {"row": 2, "id": "2", "kind": "retry", "place": ["1", "!1"], "message": "it did not fit",
         "sample": 2},
        {"row": 2, "id": "2", "kind": "loop", "place": ["2"], "message": "it ran out",
         "sample": None},
    ]  # fmt: skip
    assert len(rows_of(path / "events.jsonl")) == 4  # a part before the branch is told once
    found = json.loads((path / "metadata.json").read_text())
    assert found["events"] == {"loop": 2, "retry": 2}


def test_metadata(tmp_path: Path) -> None:
    path = written(tmp_path, [flow(fr="x", FR="y"), None])
    found = json.loads((path / "metadata.json").read_text())
    assert found["status"] == "complete"
    assert (found["chain"], found["seed"]) == ("E >> M", 7)
    assert found["rows"] == {"read": 2, "succeeded": 1, "failed": 1, "distinct": 2}
    assert found["usage"] == {
        "calls": 4, "prompt_tokens": 20, "cached_tokens": 0, "output_tokens": 10
    }  # fmt: skip
    assert found["usage_by_model"] == {"tiny": found["usage"]}
    assert found["usage_by_stage"] == {"E": found["usage"]}
    assert found["parts"] == {"fr": "fr", "FR": "FR~"}
    assert set(found["versions"]) == {"chainlang", "python"}
    assert found["started"] <= found["ended"]


def test_branches(tmp_path: Path) -> None:
    shared = (Candidate("before"),)

    def leaf(answer: str, **own: tuple[Candidate, ...]) -> Record:
        return Record({}, "", None, (Candidate(answer),), {"pre": shared, **own})

    inner = Branched((("0", leaf("b")), ("x", leaf("c", both=(Candidate("c1"),)))), leaf("x"))
    whole = Branched((("fr", leaf("a", both=(Candidate("a1"),))), ("1", inner)), leaf("x"))
    path = written(tmp_path, [whole])
    assert rows_of(path / "flattened/000.jsonl") == [
        {
            "id": "1", "text": "a", "branch.fr.answer": "a", "branch.1.0.answer": "b",
            "branch.1.x.answer": "c", "pre.answer": "before", "branch.fr.both.answer": "a1",
            "branch.1.x.both.answer": "c1", "error": None,
        }
    ]  # fmt: skip
    found = [(row["branch"], row["answer"]) for row in rows_of(path / "answers/000.jsonl")]
    assert found == [("fr", "a"), ("1.0", "b"), ("1.x", "c")]
    assert [row["branch"] for row in rows_of(path / "pre/000.jsonl")] == [None]
    assert [row["branch"] for row in rows_of(path / "both/000.jsonl")] == ["fr", "1.x"]


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        ({"answer": 1}, {"input.answer": 1}),
        ({"error": 1, "input.error": 2}, {"input.input.error": 1, "input.error": 2}),
        ({"verdict": 1, "fr.score": 2}, {"input.verdict": 1, "input.fr.score": 2}),
        ({"id": "1"}, {}),
        ({"id": 1.5}, {"input.id": 1.5}),
    ],
)
def test_no_input_is_lost_to_an_output(
    tmp_path: Path, fields: Mapping[str, Any], columns: Mapping[str, Any]
) -> None:
    with RunFolder.create(tmp_path, ABOUT) as folder:
        folder.write(Origin(1), "1", fields, flow(fr="x"))
    (row,) = rows_of(tmp_path / "flattened/000.jsonl")
    outputs = ("id", "answer", "verdict", "fr.answer", "fr.score", "error")
    assert {name: value for name, value in row.items() if name not in outputs} == columns
    assert (row["id"], row["answer"], row["verdict"]) == ("1", "42", "correct")


def test_outputs_with_the_names_of_columns(tmp_path: Path) -> None:
    record = Record({}, "", None, (Candidate("a", {"id": 5, "error": 6, "answer": "a"}),))
    with RunFolder.create(tmp_path, ABOUT) as folder:
        folder.write(Origin(1), "1", {"output.id": 4}, record)
    assert rows_of(tmp_path / "flattened/000.jsonl") == [
        {
            "id": "1", "input.output.id": 4, "answer": "a", "output.id": 5, "output.error": 6,
            "error": None,
        }
    ]  # fmt: skip


# ---------------------------------------------------------------- parts and formats


def test_parts_roll_together(tmp_path: Path) -> None:
    path = written(tmp_path, [flow(), flow(), None, None, flow(late=1)], part_rows=2)
    assert sorted(files(path)) == [
        "answers/000.jsonl", "answers/002.jsonl", "errors.jsonl", "flattened/000.jsonl",
        "flattened/001.jsonl", "flattened/002.jsonl", "graph.json", "late/002.jsonl",
        "metadata.json", "plan.txt",
    ]  # fmt: skip
    assert [row["id"] for row in rows_of(path / "flattened/001.jsonl")] == ["3", "4"]
    assert {row["row"] for row in rows_of(path / "answers/000.jsonl")} == {1, 2}


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_other_formats(tmp_path: Path, format: Any) -> None:  # noqa: A002
    path = written(tmp_path, [flow(fr="x"), None, flow([1])], format=format, part_rows=2)
    parts = [path / f"flattened/{part}.{format}" for part in ("000", "001")]
    found = [row.fields for part in parts for row in read_rows(part) if isinstance(row, Row)]
    empty = "" if format == "csv" else None
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert [row["answer"] for row in found] == ["42", empty, "[1]"]
    # Columns only grow from part to part, and keep their order.
    assert list(found[2])[: len(found[0])] == list(found[0])
    assert (path / "errors.jsonl").exists()
    if format == "parquet":
        assert str(pq.read_schema(path / "fr/000.parquet").field("tokens").type) == "int64"


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_equal_runs_write_equal_bytes(tmp_path: Path, format: Any) -> None:  # noqa: A002
    flows: list[Flow | None] = [flow(fr="é\ud800" * 5000), None, flow({"b": 1, "a": [None]})] * 5
    one = files(written(tmp_path / "a", flows, format=format, part_rows=4))
    other = files(written(tmp_path / "b", flows, format=format, part_rows=4))
    del one["metadata.json"], other["metadata.json"]
    assert one == other
    assert len(one) == 15


def test_a_part_is_seen_when_it_is_complete(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, ABOUT, part_rows=100) as folder:
        for number in range(1, 100):
            folder.write(Origin(number), "", {"text": "x" * 2000}, flow())
        names = {one.name for one in (tmp_path / "flattened").iterdir()}
        assert names == {"000.rows.tmp"}
        folder.write(Origin(100), "", {}, flow())
        assert [one.name for one in (tmp_path / "flattened").iterdir()] == ["000.jsonl"]
        assert not (tmp_path / "metadata.json").exists()


def test_a_run_that_ends_early_keeps_what_it_has(tmp_path: Path) -> None:
    def stopped() -> None:
        with RunFolder.create(tmp_path, ABOUT) as folder:
            folder.write(Origin(1), "1", {}, flow())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert json.loads((tmp_path / "metadata.json").read_text())["status"] == "interrupted"
    assert len(rows_of(tmp_path / "flattened/000.jsonl")) == 1


def test_a_run_without_rows(tmp_path: Path) -> None:
    path = written(tmp_path, [], format="parquet")
    assert sorted(files(path)) == ["errors.jsonl", "graph.json", "metadata.json", "plan.txt"]


def test_no_file_stays_open_however_many_parts(tmp_path: Path) -> None:
    many = {f"p{at}": at for at in range(100)}
    open_files = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    before = len(list(open_files.iterdir())) + 3  # the journal, its log and what they share
    with RunFolder.create(tmp_path, ABOUT) as folder:
        folder.write(Origin(1), "1", {}, flow(**many))
        assert len(list(open_files.iterdir())) == before + 1
    assert len(list(open_files.iterdir())) == before - 3


def test_a_run_of_the_loop(tmp_path: Path) -> None:
    """What the runtime makes is what the folder takes."""
    body = chain("(fr = 2:E:tiny:0.7) >> (3:E:tiny | M)").body
    records = [Record({"query": text}, text, text) for text in ("a", "b")]
    with RunFolder.create(tmp_path, ABOUT) as folder:
        for one in run(Prepared(lower(body), {"tiny": FakeEngine()}), records):
            folder.write(
                Origin(one.index + 1),
                one.row_id,
                {},
                one.flow,
                failure=one.failure,
                usages=one.usages,
            )
        folder.finish()
    first, second = rows_of(tmp_path / "flattened/000.jsonl")
    assert list(first) == list(second)
    assert "error" in first


# ---------------------------------------------------------------- what was there before


def test_another_run_is_replaced_only_when_asked(tmp_path: Path) -> None:
    written(tmp_path, [flow(old=1)] * 3, part_rows=1)
    before = files(tmp_path)
    other = evolve(ABOUT, seed=8, models={"tiny": {"seeds": True}})
    with pytest.raises(SourceError) as caught:
        RunFolder.create(tmp_path, other)
    for said in (
        "contains a different run",
        "--overwrite",
        "seed was 7 and is now 8",
        "models.tiny",
    ):
        assert said in str(caught.value)
    assert files(tmp_path) == before
    for settings in ({"changed": True}, {"overwrite": True}):
        with RunFolder.create(tmp_path, other, **settings) as folder:
            folder.finish()
        assert sorted(files(tmp_path)) == [
            "errors.jsonl", "graph.json", "metadata.json", "plan.txt",
        ]  # fmt: skip
        other = evolve(other, seed=9)


def test_the_same_run_is_written_anew(tmp_path: Path) -> None:
    written(tmp_path, [flow(old=1)] * 3, part_rows=1)
    before = files(tmp_path)
    written(tmp_path, [flow(old=1)] * 3, part_rows=1)
    after = files(tmp_path)
    del before["metadata.json"], after["metadata.json"]
    assert before == after


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, ABOUT)
    folder.write(Origin(1), "1", {"text": "x" * 100_000}, flow("y" * 100_000), failure=FAILURE)
    folder.journal.close()  # as the system does
    folder.root.close()
    assert (tmp_path / "flattened/000.rows.tmp").exists()
    path = written(tmp_path, [flow()], overwrite=True)
    assert "flattened/000.rows.tmp" not in files(path)


def plant_file(path: Path) -> None:
    (path / "notes.txt").write_text("mine")


def plant_in_part(path: Path) -> None:
    (path / "flattened" / "notes.txt").write_text("mine")


def plant_folder(path: Path) -> None:
    (path / "flattened" / "001.jsonl").mkdir()


def plant_link(path: Path) -> None:
    (path / "fr").symlink_to(path.parent)


def plant_link_in_part(path: Path) -> None:
    (path / "flattened" / "001.jsonl").symlink_to(path.parent / "canary")


def lose_mark(path: Path) -> None:
    (path / "graph.json").write_text('{"nodes": []}')
    (path / "journal.sqlite").unlink()


@pytest.mark.parametrize(
    "plant", [plant_file, plant_in_part, plant_folder, plant_link, plant_link_in_part, lose_mark]
)
def test_what_is_no_run_is_never_removed(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    (tmp_path / "canary").write_text("alive")
    path = written(tmp_path / "run", [flow()])
    plant(path)
    before = files(tmp_path)
    with pytest.raises(SourceError, match=r"is not a file of a run|contains no run"):
        written(path, [flow()], overwrite=True)
    assert files(tmp_path) == before


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("b")
    for overwrite in (False, True):
        with pytest.raises(SourceError, match="not empty, and contains no run"):
            RunFolder.create(tmp_path, ABOUT, overwrite=overwrite)
    for path, message in (
        (tmp_path / "a", "a file with this name exists"),
        (tmp_path / "a" / "b", "a is a file|a file with this name exists"),
        ("a\0b", "it is not a path"),
    ):
        with pytest.raises(SourceError, match=message):
            RunFolder.create(path, ABOUT)
        if "\0" not in str(path):
            with pytest.raises(SourceError, match=message):
                RunFolder.check(path, format="jsonl", overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    with (
        RunFolder.create(tmp_path, ABOUT),
        pytest.raises(SourceError, match="another run is writing"),
    ):
        RunFolder.create(tmp_path, ABOUT, overwrite=True)
    RunFolder.create(tmp_path, ABOUT, overwrite=True).root.close()


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"unknown format 'xlsx'(.|\n)*jsonl, csv, parquet"):
        RunFolder.create(tmp_path, ABOUT, format="xlsx")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="part_rows=0"):
        RunFolder.create(tmp_path, ABOUT, part_rows=0)
    assert not files(tmp_path)


# ---------------------------------------------------------------- attacks


NAMES = [
    "..", ".", "", "/", "/etc", "../canary", "a/b", "a\0", "a.", "-", "~", "con:", "é", "a b",
    "\n", "\ud800", "a\\b", "class", "file://x", "2a", "flattened~", "a" * 300 + "/",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "canary").write_text("alive")
    with RunFolder.create(tmp_path / "run", ABOUT) as folder:
        with pytest.raises(SourceError) as raised:
            folder.write(Origin(1), "1", {}, flow(**{name: 1}))
        for inner in (folder.root.create, folder.root.read, folder.root.remove):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                with pytest.raises(SourceError, match="path"):
                    inner(name)
    assert [found.code for found in raised.value.diagnostics] == ["path"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["canary", "run"]
    assert (tmp_path / "canary").read_text() == "alive"


def test_ids_and_values_are_never_paths(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "run", ABOUT) as folder:
        for number, name in enumerate(NAMES, 1):
            failure = RowFailure(name, name)
            folder.write(Origin(number), name, {name: name}, flow(name), failure=failure)
        branched = Branched(tuple((name, flow(name)) for name in NAMES), BEFORE)
        folder.write(Origin(99), "../../canary", {}, branched)
        folder.finish()
    assert set(files(tmp_path)) == {
        f"run/{name}"
        for name in (
            "answers/000.jsonl", "errors.jsonl", "flattened/000.jsonl", "graph.json",
            "metadata.json", "plan.txt",
        )
    }  # fmt: skip


def test_names_that_the_file_system_would_mix_up(tmp_path: Path) -> None:
    names = {"flattened": 1, "Answers": 2, "fr": 3, "FR": 4, "a" * 300: 5, "a" * 299 + "b": 6}
    path = written(tmp_path, [flow(**names)])
    found = json.loads((path / "metadata.json").read_text())["parts"]
    assert list(found.values())[:4] == ["flattened~", "Answers~", "fr", "FR~"]
    for name, folder in found.items():
        (row,) = rows_of(path / folder / "000.jsonl")
        assert row["answer"] == names[name]
    assert max(map(len, found.values())) < 80
    assert folder_name("x", ["X", "x~"]) == "x~~"


PLANTED = [
    "flattened", "answers", "fr", "flattened/000.jsonl", "flattened/000.rows.tmp", "metadata.json",
    "metadata.json.tmp", "errors.jsonl", "errors.rows.tmp",
]  # fmt: skip


@pytest.mark.parametrize("place", PLANTED)
@pytest.mark.parametrize("target", ["file", "folder", "nothing"])
def test_links_planted_during_a_run_lead_nowhere(tmp_path: Path, place: str, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    leads = {"file": outside / "canary", "folder": outside, "nothing": outside / "new"}[target]
    before = files(outside)
    link = tmp_path / "run" / place

    def attacked() -> None:
        with RunFolder.create(tmp_path / "run", ABOUT) as folder:
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(leads)
            folder.write(Origin(1), "1", {"text": "x" * 100_000}, flow(fr="y"), failure=FAILURE)
            folder.finish()

    if place.endswith(("0.jsonl", "errors.jsonl", "metadata.json")):
        attacked()  # a complete file takes the place of the link
        assert not link.is_symlink()
    else:
        with pytest.raises(SourceError, match=r"link|no folder|another run"):
            attacked()
    assert files(outside) == before


def test_links_planted_before_a_run(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "graph.json").symlink_to(outside / "graph.json")
    (outside / "graph.json").write_text(ABOUT.graph)
    with pytest.raises(SourceError, match="contains no run"):
        RunFolder.create(tmp_path / "run", ABOUT, overwrite=True)
    assert files(outside) == {"graph.json": ABOUT.graph.encode()}


def test_a_folder_reached_through_a_link_is_what_its_user_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "real")
    written(tmp_path / "runs" / "a", [flow()])
    assert (tmp_path / "real" / "a" / "metadata.json").exists()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(path: Path) -> dict[str, int]:
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in (path, *path.rglob("*"))}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o027])
@pytest.mark.parametrize("private", [False, True])
def test_permissions_follow_the_umask_but_for_a_private_journal(
    tmp_path: Path, mask: int, private: bool
) -> None:
    path = tmp_path / "above" / "run"
    with umask(mask), RunFolder.create(path, ABOUT, private=private) as folder:
        folder.write(Origin(1), "1", {}, flow(fr="x"))
        during = modes(path)
        folder.finish()
    for found in (during, modes(path)):
        for name, mode in found.items():
            own = name.startswith("journal") and private
            widest = 0o600 if own else 0o666 if "." in name else 0o777
            assert mode == widest & ~mask, name


@pytest.mark.parametrize(
    ("settings", "declared", "is_private"),
    [
        ({}, "", False),
        ({"openai_api_key": "sk-1", "openai_base_url": "http://localhost:1/v1"}, "", True),
        (
            {},
            'model m = openai("m", api_key=env("CHAINLANG_X_KEY"))',
            True,
        ),
    ],
)
def test_the_journal_of_a_run_with_an_api_key_is_private(
    tmp_path: Path,
    settings: dict[str, Any],
    declared: str,
    is_private: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHAINLANG_X_KEY", "sk-2")
    made = load(text=f"{declared}\nmain = E:m")
    with umask(0o022):
        made.run([{"query": "Hi"}], tmp_path, engine=FakeEngine(), **settings)
    found = modes(tmp_path)
    assert found["journal.sqlite"] == (0o600 if is_private else 0o644)
    assert found["metadata.json"] == 0o644


# ---------------------------------------------------------------- a disk that fails


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Make the n-th call to fsync, and all after it, find the disk full."""
    real = os.fsync
    calls = 0

    def arm(first: int) -> None:
        nonlocal calls
        calls = 0

        def fsync(fd: int) -> None:
            nonlocal calls
            calls += 1
            if calls >= first:
                raise OSError(28, "No space left on device")
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)

    yield arm
    monkeypatch.setattr(os, "fsync", real)


def test_a_full_disk_is_an_error_of_its_own(tmp_path: Path, full: Callable[[int], None]) -> None:
    flows = [flow(fr="x"), None, flow()]
    for first in range(1, 100):
        full(first)
        try:
            written(tmp_path, flows, part_rows=2, format="csv", overwrite=first > 1)
        except SourceError as error:
            message = str(error)
        else:
            assert first > 20  # each of them ended a run, which the next one replaced
            return
        assert "No space left on device" in message
    raise AssertionError("no run came to its end")
