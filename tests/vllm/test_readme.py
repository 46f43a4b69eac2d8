"""Python blocks of the documents that sample the bundled model; they need vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_docs import ON_VLLM, run_python


@pytest.mark.parametrize("document", ON_VLLM)
def test_python_shows_what_it_prints(
    document: str, workspace: Path, request: pytest.FixtureRequest
) -> None:
    run_python(document, update=request.config.getoption("--update"))
