"""The samples of a journal are those that were recorded, wherever their keys are."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from chainlang.protocol.messages import Sample
from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal_check import fault_of
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn
from chainlang.store.sqlite_store import SqliteStore
from tests.laws import seeds

KEYS = [number.to_bytes(16, "big") for number in range(60)]


def some(draws: Random) -> dict[bytes, Drawn]:
    """Return samples of a few keys, some of which were recorded before."""
    keys = draws.sample(KEYS, draws.randint(0, 9))
    return {key: Drawn(Sample(str(draws.random()), "stop", 2), 7) for key in keys}


@seeds(200)
def test_the_first_sample_of_each_key_stays(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, known = Random(seed), dict[bytes, Drawn]()
    monkeypatch.setattr("chainlang.store.sample_log._RECENT", draws.choice([1, 5, 20, 1000]))
    folder = Folder.open(tmp_path)
    store = SqliteStore.open(folder)
    for _ in range(draws.randint(1, 25)):
        match draws.choice(["record", "record", "record", "open", "adopt"]):
            case "record":
                more = some(draws)
                store.record(more, {})
            case "open":
                store.close()
                store, more = SqliteStore.open(folder), {}
            case _:
                more = some(draws)
                with TemporaryDirectory() as path:
                    other = SqliteStore.open(inner := Folder.open(path))
                    other.record(more, {})
                    other.close()
                    store.adopt(f"{path}/{JOURNAL}")
                    inner.close()
        known = {**more, **known}
        asked = draws.sample(KEYS, 20)
        assert store.find(asked) == {key: known[key] for key in asked if key in known}
        assert len(store) == len(known)
        assert fault_of(store._database.connection) is None
    store.close()
    folder.close()
