"""The date of a run: in prompts that show it, in keys, in folders."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, SettingError, SourceError
from chainlang.protocol.messages import Fingerprint, Reader, Role
from chainlang.session.sample_cache import close_caches

ROWS = [{"id": f"r{number}", "query": "What day is it?"} for number in range(3)]
TODAY = date.today().isoformat()


class Dated(FakeEngine):
    """An engine whose chat template prints the date."""

    def __init__(self) -> None:
        super().__init__(answers=lambda request, _: request.date)

    @property
    def fingerprint(self) -> Fingerprint:
        return {**super().fingerprint, "template_reads": "date"}


def ran(path: Path, engine: FakeEngine, **settings: Any) -> dict[str, Any]:
    chain("E").run(ROWS, path, engine=engine, **settings)
    found: dict[str, Any] = json.loads((path / "metadata.json").read_text())
    return found


def answers(path: Path) -> set[str]:
    lines = (path / "flattened" / "000.jsonl").read_text().splitlines()
    return {json.loads(line)["answer"] for line in lines}


@pytest.mark.parametrize("given", ["2026-11-30", date(2026, 11, 30)])
def test_a_date_that_is_set_is_in_prompts_and_metadata(tmp_path: Path, given: Any) -> None:
    assert ran(tmp_path, Dated(), run_date=given)["date"] == "2026-11-30"
    assert answers(tmp_path) == {"2026-11-30"}


def test_the_date_is_that_of_the_first_start(tmp_path: Path) -> None:
    assert ran(tmp_path, Dated())["date"] == TODAY
    assert chain("E")("q", engine=Dated()).answer == TODAY


def test_a_run_that_is_resumed_another_day_keeps_its_date(tmp_path: Path) -> None:
    ran(tmp_path, Dated(), run_date="2020-01-02", limit=1)
    assert ran(tmp_path, Dated())["date"] == "2020-01-02"
    assert answers(tmp_path) == {"2020-01-02"}


def test_another_date_is_another_run(tmp_path: Path) -> None:
    ran(tmp_path, Dated(), run_date="2020-01-02")
    with pytest.raises(SourceError, match="date was '2020-01-02' and is now '2020-01-03'"):
        ran(tmp_path, Dated(), run_date="2020-01-03")
    engine = Dated()
    assert ran(tmp_path, engine, run_date="2020-01-03", changed=True)["date"] == "2020-01-03"
    assert (engine.submitted, answers(tmp_path)) == (3, {"2020-01-03"})
    again = Dated()
    assert ran(tmp_path, again, run_date="2020-01-02", changed=True)["date"] == "2020-01-02"
    assert (again.submitted, answers(tmp_path)) == (0, {"2020-01-02"})


def test_a_date_that_no_template_reads_makes_no_other_run(tmp_path: Path) -> None:
    assert "date" not in ran(tmp_path, FakeEngine(), run_date="2020-01-02")
    engine = FakeEngine()
    ran(tmp_path, engine, run_date="2020-01-03")
    assert engine.submitted == 0


@pytest.mark.parametrize(("kind", "drawn"), [(Dated, [1, 1, 0]), (FakeEngine, [1, 0, 0])])
def test_a_cache_keeps_the_days_apart_where_they_count(
    tmp_path: Path, kind: type[FakeEngine], drawn: list[int]
) -> None:
    found = []
    for day in ("2020-01-02", "2020-01-03", "2020-01-02"):
        engine = kind()
        settings: Any = {"cache": "write", "cache_folder": tmp_path, "run_date": day}
        chain("E")("q", engine=engine, **settings)
        found.append(engine.submitted)
    close_caches()
    assert found == drawn


@pytest.mark.parametrize("value", ["tomorrow", 5, "2026-13-01", "30.11.2026"])
def test_what_is_no_date_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="invalid value for run_date"):
        chain("E")("q", engine=FakeEngine(), run_date=value)


# ---------------------------------------------------------------- messages that a model can't have


class Picky(FakeEngine):
    """An engine whose chat template takes no system message."""

    @property
    def reader(self) -> Reader:  # type: ignore[override]
        plain = super().reader

        class Refusing:
            block, context, token_ids = plain.block, plain.context, plain.token_ids

            def refusal(self, roles: tuple[Role, ...], arguments: str = "") -> str | None:
                return "its chat template takes no system message" if "system" in roles else None

        return Refusing()


ASKING = 'op ask : generate {{ {} user = "{{{{ query }}}}" }}\nmain = ask:m >> E:m'


@pytest.mark.parametrize("way", ["call", "map", "run"])
def test_a_role_that_a_template_refuses_is_found_before_the_first_row(
    tmp_path: Path, way: str
) -> None:
    from chainlang import load

    engine = Picky()
    made = load(text=ASKING.format('system = "Be brief."\n'))
    begin = {
        "call": lambda: made("q", engine=engine),
        "map": lambda: made.map(ROWS, engine=engine),
        "run": lambda: made.run(ROWS, tmp_path / "run", engine=engine),
    }
    with pytest.raises(EngineError) as caught:
        begin[way]()
    assert engine.submitted == 0
    assert not (tmp_path / "run").exists()
    assert "model 'm' can't have the prompts of ask: its chat template takes no system" in str(
        caught.value
    )
    assert "write the text of `system` into `user`" in str(caught.value)


def test_a_model_is_used_for_the_messages_that_it_takes() -> None:
    from chainlang import load

    assert load(text=ASKING.format("\n"))("q", engine=Picky()).ok
