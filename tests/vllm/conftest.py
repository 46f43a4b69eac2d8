"""One engine for all tests here: a random model, so that nothing depends on what was trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang.engines.vllm import VllmEngine
from tests.vllm.models import random_llama


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models") / "random")


@pytest.fixture(scope="session")
def random_engine(model: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(model, max_num_seqs=4)
    yield made
    made.close()
