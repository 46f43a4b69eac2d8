"""Chains on Ray: the results of one process, whatever actors there are and whichever are killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import OperandError, SettingError, SourceError
from chainlang.scale import as_ray
from chainlang.scale.portable import opened, portable
from chainlang.scale.ray_batches import rows_of
from chainlang.settings import CallSettings
from tests.scale.on_ray import batches, dying, files, initialized, qa, rows, run_and_kill


def shout(answer: str) -> str:
    """Return an answer, louder."""
    return f"{answer}!"


# ---------------------------------------------------------------- without a cluster


def test_a_chain_travels_with_its_functions_and_settings() -> None:
    made = chain("E >> @shout").bind(shout=shout)
    settings = CallSettings.of({"seed": 3, "cache": "write", "row_cost": 0.5, "on_error": "skip"})
    found, given = opened(portable(made, settings))
    assert found == made
    assert found.bound.functions["shout"].function is shout
    assert given == {"seed": 3, "cache": "write", "row_cost": "0.5", "on_error": "skip"}
    assert CallSettings.of(given) == settings


def test_secrets_of_the_environment_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINLANG_OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("CHAINLANG_SEED", "5")
    document = portable(qa(), CallSettings.of({}))
    assert opened(document)[1] == {"seed": 5}
    assert "canary" not in document


def test_what_does_not_travel_is_refused() -> None:
    with pytest.raises(OperandError, match=r"@shout can't be imported by other processes"):
        as_ray(chain("E >> @shout").bind(shout=lambda answer: answer))
    with pytest.raises(SettingError, match=r"cache_redis= is a secret(.|\n)*CHAINLANG_CACHE_REDIS"):
        as_ray(qa(), cache="write", cache_redis="redis://:canary@host")
    with pytest.raises(SettingError, match=r"store= is a secret(.|\n)*write env\(") as caught:
        as_ray(qa(), store="postgresql://me:canary@host/d")
    assert "canary" not in str(caught.value)
    with pytest.raises(SettingError, match="engine= is an object of this process"):
        as_ray(qa(), engine=FakeEngine())
    with pytest.raises(SettingError, match="'windw'"):
        as_ray(qa(), windw=3)  # type: ignore[call-arg]
    as_ray(qa(), store='env("DATABASE_URL")')
    as_ray(qa(), store="postgresql://host/d")


def test_limits_of_a_model_in_models_toml_are_not_multiplied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = 'base_url = "http://localhost:1/v1"'
    Path("models.toml").write_text(
        f'[models.m]\nengine = "openai"\nmodel = "x"\n{address}\nrequests_per_minute = 5\n'
    )
    with pytest.raises(SettingError, match="each process would use up requests_per_minute of m"):
        chain("E:m").run(["a"], tmp_path / "a", on="ray")
    assert not (tmp_path / "a").exists()


def test_rows_of_several_batches_are_in_flight_together() -> None:
    """The last rows of a batch do not wait alone: the next batch fills the window."""
    import numpy as np

    made, every = qa(), rows(64)

    async def together(size: int, window: int, *, at_once: int) -> list[dict[str, Any]]:
        worker, places = as_ray(made, window=window)(), asyncio.Semaphore(at_once)

        async def one(start: int) -> Any:
            some = every[start : start + size]
            names = ("id", "query")
            async with places:
                return await worker({n: np.array([row[n] for row in some]) for n in names})

        tables = await asyncio.gather(*map(one, range(0, len(every), size)))
        return [row for table in tables for row in table.to_pylist()]

    plain = [
        {name: json.dumps(one) if isinstance(one, dict) else one for name, one in row.items()}
        for row in made.map(every).to_dicts()
    ]
    for size, window, at_once in ((64, 256, 1), (8, 8, 1), (8, 16, 4), (7, 3, 3)):
        assert asyncio.run(together(size, window, at_once=at_once)) == plain


def test_a_bad_row_stays_a_row() -> None:
    worker = as_ray(load(text='model m = fake("x")\ninput { query: int }\nmain = E:m'))()
    table = asyncio.run(worker({"id": ["a", "b"], "query": [1, "no number"]}))
    first, second = table.to_pylist()
    assert (first["id"], first["error"]) == ("a", None)
    assert second["id"] == "b"
    assert "query" in second["error"]
    assert second["answer"] is None


def test_batches_of_each_kind_are_read() -> None:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    every = [{"id": "a", "tags": ["x", "y"], "n": 1}, {"id": "b", "tags": [], "n": 2}]
    frame = pd.DataFrame(every)
    for batch in (frame, pa.Table.from_pylist(every), {name: frame[name] for name in frame}):
        assert rows_of(batch) == every
    arrays = {"n": np.arange(2), "v": np.arange(4).reshape(2, 2)}
    assert rows_of(arrays) == [{"n": 0, "v": [0, 1]}, {"n": 1, "v": [2, 3]}]
    nested = np.empty(1, dtype=object)
    nested[0] = np.array([1, 2])
    assert rows_of({"v": nested}) == [{"v": [1, 2]}]


# ---------------------------------------------------------------- a cluster on this machine


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with initialized() as ray:
        yield ray


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray itself
def test_two_actors_have_the_results_of_one_process_although_one_is_killed(
    cluster: Any, tmp_path: Path
) -> None:
    run_and_kill(1500, tmp_path)
    made, every = dying(1500, tmp_path / "mark")
    assert sorted(one.name for one in (tmp_path / "ray").glob("shard-*")) == [
        "shard-0001-of-0002",
        "shard-0002-of-0002",
    ]
    with pytest.raises(SourceError, match="has 2 shards"):
        made.run(every, tmp_path / "ray", on="ray", ray_actors=3)
    with pytest.raises(SettingError, match="on_row= has no effect there"):
        made.run(every, tmp_path / "b", on="ray", on_row=print)
    with pytest.raises(SourceError, match=r"shard 1/2: .*this folder contains a different run"):
        made.run(every, tmp_path / "ray", on="ray", seed=4)
    made.run(every[:9], tmp_path / "plain", seed=4, overwrite=True)
    assert made.run(every[:9], tmp_path / "ray", on="ray", seed=4, overwrite=True).rows == 9
    assert files(tmp_path / "ray") == files(tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Ray itself
def test_map_batches_has_the_results_of_one_process(cluster: Any) -> None:
    batches(qa(), rows(200), batch_size=50)
