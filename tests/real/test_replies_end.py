"""A reply of a judge, a verifier and a selector always ends, also that of a model which rambles."""

from __future__ import annotations

from chainlang.engines.vllm.engine import VllmEngine
from tests.real.replies_end import counted, real_rows


def test_no_row_fails_by_a_cut(real_engine: VllmEngine) -> None:
    for text, rows in real_rows(1).items():
        assert not counted(text, rows, real_engine).failed, text
