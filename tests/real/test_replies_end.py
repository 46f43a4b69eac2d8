"""A reply of a judge, a verifier and a selector always ends, also that of a model which rambles."""

from __future__ import annotations

import pytest

from chainlang.engines.vllm.engine import VllmEngine
from tests.real.replies_end import CHAINS, counted, real_rows


@pytest.mark.parametrize("stage", CHAINS)
def test_no_row_fails_by_a_cut(stage: str, real_engine: VllmEngine) -> None:
    assert not counted(CHAINS[stage], real_rows(stage, 1), real_engine).failed
