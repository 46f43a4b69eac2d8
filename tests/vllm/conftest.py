"""Two engines for all tests here: most use a random model, which nothing has been taught."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.plan.lower import lower
from chainlang.session.memory_plan import swapper_of
from chainlang.settings import MapSettings
from tests.vllm.models import random_llama

if find_spec("vllm") is None:  # `make test` installs it; some modules here need it to be read
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models") / "random")


@pytest.fixture(scope="session")
def random_engine(model: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(model, max_num_seqs=4)
    yield made
    made.close()


@pytest.fixture
def tiny_engine() -> Engine:
    """Return the bundled model's engine: the one that chains open, anew if a test has closed it."""
    program = chain("E:tiny").program()
    plan = lower(program.body, program.items)
    return swapper_of(plan, (), MapSettings.of({})).engines["tiny"]
