"""Values that a model decides, on the bundled model: they fit, and are the same again."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainlang.datatypes.json_schema import validator
from chainlang.engines.protocol import Engine
from chainlang.semantics.auto_formats import declared_type
from tests.running.autos import KINDS, Kind
from tests.running.test_auto import decisions

SOME = [one for one in KINDS if one.name in ("free", "listed", "int", "list", "temperature")]


@pytest.mark.parametrize("kind", SOME, ids=lambda one: one.name)
def test_values_fit_and_a_resumed_run_has_the_same(
    kind: Kind, tiny_engine: Engine, tmp_path: Path
) -> None:
    held(kind, tiny_engine, tmp_path, 0)


def held(kind: Kind, engine: Engine, folder: Path, seed: int) -> None:
    """Hold a decision of a kind to its type, and a run that is resumed to the decision."""
    made = kind.chain()
    first = made.decided(engine=engine, seed=seed)
    assert made.decided(engine=engine, seed=seed) == first
    made.run([{"query": "1 + 1?"}], folder, engine=engine, seed=seed, limit=1)
    (found,) = decisions(folder)
    wanted = declared_type(found["type"])
    assert wanted is not None
    validator(wanted, {}).validate_python(found["value"], strict=False)
    made.run([{"query": "1 + 1?"}], folder, engine=engine, seed=seed, limit=1)
    assert decisions(folder) == [found]
