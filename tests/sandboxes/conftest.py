"""Sandboxes for tests, opened once."""

from __future__ import annotations

import pytest

from chainlang.errors import EngineError
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import NAMES, Sandbox


@pytest.fixture(params=NAMES, scope="session")
def box(request: pytest.FixtureRequest) -> Sandbox:
    """Return each sandbox in turn, but for those that this machine refuses."""
    try:
        return sandbox(request.param)
    except EngineError as error:
        pytest.skip(str(error))
