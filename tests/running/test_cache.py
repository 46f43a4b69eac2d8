"""The cache: what any run has drawn is there for every other, and changes no result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.cli import main
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, SettingError
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.session.sample_cache import close_caches
from chainlang.store.cache import FILE
from chainlang.store.cache_folder import usual_folder

CHAIN = "(3:E >> M) & (2:E::1.0 >> J)"
ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(12)]
CALLS = len(ROWS) * (3 + 2 + 1)


class Counting(FakeEngine):
    """Counts the samples it draws."""

    drawn = 0

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        found = super().step(until)
        self.drawn += sum(one.usage.calls for one in found if isinstance(one, Completion))
        return found


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_caches()


def mapped(text: str, engine: FakeEngine, **settings: Any) -> list[Any]:
    results = chain(text).map(ROWS, engine=engine, **settings)
    return [(one.answer, [it.text for it in one.candidates], one.usage) for one in results]


@pytest.mark.parametrize("forget", [True, False], ids=["from the disk", "from memory"])
def test_another_run_draws_nothing_and_gives_the_same(tmp_path: Path, forget: bool) -> None:
    first, second = Counting(), Counting()
    wanted = mapped(CHAIN, first, cache="write", cache_folder=tmp_path)
    if forget:
        close_caches()
    assert mapped(CHAIN, second, cache="write", cache_folder=tmp_path) == wanted
    assert (first.drawn, second.drawn) == (CALLS, 0)
    assert wanted == mapped(CHAIN, FakeEngine())


def test_an_ensemble_has_its_distinct_samples_again(tmp_path: Path) -> None:
    settings = {"cache": "write", "cache_folder": tmp_path}
    wanted = chain("9:E")("q", engine=FakeEngine(), **settings)["responses"]
    assert len(set(wanted)) > 1
    engine = Counting()
    assert chain("9:E")("q", engine=engine, **settings)["responses"] == wanted
    assert engine.drawn == 0
    assert chain("12:E")("q", engine=engine, **settings)["responses"][:9] == wanted
    assert engine.drawn == 3  # the new ones alone


def test_an_edited_judge_draws_the_judge_alone(tmp_path: Path) -> None:
    mapped("3:E >> J", Counting(), cache="write", cache_folder=tmp_path)
    engine = Counting()
    mapped("3:E >> J(top_p=0.7)", engine, cache="write", cache_folder=tmp_path)
    assert engine.drawn == len(ROWS)


def test_each_mode_does_what_it_says(tmp_path: Path) -> None:
    def drawn(mode: str) -> int:
        engine = Counting()
        mapped("2:E", engine, cache=mode, cache_folder=tmp_path)
        return engine.drawn

    every = 2 * len(ROWS)
    assert drawn("read") == every  # nothing is there
    assert drawn("read") == every  # and nothing was kept
    assert drawn("refresh") == every
    assert drawn("read") == 0
    assert drawn("off") == every
    assert drawn("refresh") == every  # all of it, again
    assert drawn("write") == 0


def test_a_refreshed_sample_takes_the_place_of_the_old(tmp_path: Path) -> None:
    settings = {"cache_folder": tmp_path}

    class Saying(FakeEngine):
        said = "old"

        def __init__(self) -> None:
            super().__init__(answers=lambda request, index: Saying.said)

    def answer(mode: str) -> str:
        return str(chain("E")("q", engine=Saying(), cache=mode, **settings).answer)

    assert answer("write") == "old"
    Saying.said = "new"
    assert (answer("write"), answer("refresh"), answer("write")) == ("old", "new", "new")
    close_caches()
    assert answer("read") == "new"


def test_every_way_of_running_shares_it(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path / "cache"}
    qa, row = chain("3:E >> M"), ROWS[0]
    wanted = qa(row, engine=FakeEngine(), **settings).answer
    engine = Counting()
    assert qa(row, engine=engine, **settings).answer == wanted
    assert [one.answer for one in qa.map([row], engine=engine, **settings)] == [wanted]
    summary = qa.run([row], tmp_path / "run", engine=engine, **settings)
    assert (summary.cached, summary.recorded) == (3, 0)

    async def main() -> None:
        again = await qa.acall(row, engine=engine, **settings)
        assert again.answer == wanted
        both = await asyncio.gather(*(qa.acall(row, engine=engine, **settings) for _ in "ab"))
        assert [one.answer for one in both] == [wanted, wanted]
        assert engine.drawn == 0
        for _ in range(2):
            stream = chain("E").stream(row, engine=engine, **settings)
            pieces = [str(piece) async for piece in stream]
            assert "".join(pieces) == stream.result.answer

    asyncio.run(main())
    assert engine.drawn == 1


def test_calls_with_and_without_it_do_not_meet(tmp_path: Path) -> None:
    engine = Counting()

    async def main() -> None:
        first = chain("E").acall("q", engine=engine, cache="write", cache_folder=tmp_path)
        second = chain("E").acall("q", engine=engine)
        one, other = await asyncio.gather(first, second)
        assert one.answer == other.answer
        third = chain("E").acall("q", engine=engine)
        await asyncio.gather(third)

    asyncio.run(main())
    assert engine.drawn == 3


def test_what_was_cached_is_in_the_journal_too(tmp_path: Path) -> None:
    settings = {"cache": "write", "cache_folder": tmp_path / "cache"}
    chain("2:E").run(ROWS, tmp_path / "one", engine=FakeEngine(), **settings)
    summary = chain("2:E").run(ROWS, tmp_path / "two", engine=Counting(), **settings)
    assert summary.cached == 2 * len(ROWS)
    (tmp_path / "cache" / FILE).unlink()
    close_caches()
    engine = Counting()
    summary = chain("2:E").run(ROWS, tmp_path / "two", engine=engine)
    assert (engine.drawn, summary.recorded) == (0, 2 * len(ROWS))


def test_failures_are_not_kept(tmp_path: Path) -> None:
    settings = {"cache": "write", "cache_folder": tmp_path}

    def fails(request: Request) -> Failure:
        return Failure("", "engine", "out of order")

    with pytest.raises(RowError, match="out of order"):
        chain("2:E")("q", engine=FakeEngine(failures=fails), **settings)
    engine = Counting()
    assert chain("2:E")("q", engine=engine, **settings).ok
    assert engine.drawn == 2


def test_another_model_and_another_seed_have_entries_of_their_own(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path}
    engine = Counting()
    for more in ({}, {"model": "other"}, {"seed": 1}, {}):
        chain("E")("q", engine=engine, **settings, **more)
    assert engine.drawn == 3
    chain("E")("q", engine=Counting(context=5), **settings)  # another engine, too


def test_a_budget_counts_what_is_drawn_alone(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path}
    mapped("E", FakeEngine(), **settings)
    assert len(mapped("E", FakeEngine(), run_calls=1, **settings)) == len(ROWS)


def test_where_it_is_if_nobody_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert usual_folder() == tmp_path / "chainlang"
    chain("E")("q", engine=FakeEngine(), cache="write")
    assert (tmp_path / "chainlang" / FILE).is_file()
    assert (tmp_path / "chainlang").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert usual_folder() == Path.home() / ".cache" / "chainlang"


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(SettingError, match="off, read, write or refresh"):
        chain("E").map(ROWS, engine=FakeEngine(), cache="on")


def test_the_command_line_has_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    (tmp_path / "qa.chain").write_text('model f = fake("f")\nmain = 3:E:f >> M\n')
    (tmp_path / "rows.csv").write_text("query\na\nb\n")
    said = []
    for out in ("one", "two"):
        arguments = [str(tmp_path / "qa.chain"), "-i", str(tmp_path / "rows.csv")]
        with pytest.raises(SystemExit) as ended:
            main(["run", *arguments, "-o", str(tmp_path / out), "--cache", "write"])
        assert not ended.value.code
        said.append(capsys.readouterr().err)
    assert "from the cache" not in said[0]
    assert "from the cache: 6 samples\n" in said[1]
    one, two = ((tmp_path / out / "flattened" / "000.jsonl").read_bytes() for out in ("one", "two"))
    assert one == two
    with pytest.raises(SystemExit) as ended:
        main(["ask", "E:f", "a", "--cache", "always"])
    assert ended.value.code == 2
    assert "expected off, read, write or refresh" in capsys.readouterr().err
