"""One engine of each kind for the whole session: loading a model takes most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang.engines.base import Engine
from tests.conformance.engines import KINDS, Kind


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are made."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="session")
def engine(kind: Kind, folder: Path) -> Iterator[Engine]:
    made = kind.make(folder)
    yield made
    made.close()
