"""One engine of each kind for the whole session: loading a model takes most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chainlang.engines.protocol import Engine
from tests.conformance.engines import KINDS, Kind, Place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where models are made and servers run; servers are gone at the end, whatever happened."""
    with ExitStack() as stack:
        yield Place(tmp_path_factory.mktemp("models"), stack)


WITHOUT_VLLM = ("anthropic", "fake")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=() if name in WITHOUT_VLLM else pytest.mark.vllm) for name in KINDS
    ],
)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="session")
def engine(kind: Kind, place: Place) -> Iterator[Engine]:
    made = kind.make(place)
    yield made
    made.close()
