"""Sandboxes for tests, opened once."""

from __future__ import annotations

import pytest
from attrs import evolve

from chainlang.errors import EngineError
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import NAMES, Program, Sandbox

PATIENCE = 120.0
"""Seconds that a program of a stage has: none of these is ended by its time."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Program.from_json
    monkeypatch.setattr(Program, "from_json", lambda text: evolve(read(text), seconds=PATIENCE))


@pytest.fixture(params=NAMES, scope="session")
def box(request: pytest.FixtureRequest) -> Sandbox:
    """Return each sandbox in turn, but for those that this machine refuses."""
    try:
        return sandbox(request.param)
    except EngineError as error:
        pytest.skip(str(error))
