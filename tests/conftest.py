"""What all tests share: `golden`, which compares with a fixture or, with --update, rewrites it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cases import Case

# How long an example takes says how busy the machine is.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the expected texts in tests/fixtures"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name in [one for one in os.environ if one.upper().startswith("CHAINLANG_")]:
        del os.environ[name]  # the settings of whoever runs the tests
    if config.getoption("--update") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--update rewrites files: run it without -n")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of its own with the examples in it; it is the current folder."""
    shutil.copytree(Path(__file__).parents[1] / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Case, str], None]:
    """Return a function that holds a case to its expected text."""

    def compare(case: Case, actual: str) -> None:
        if request.config.getoption("--update"):
            if actual != case.expected:
                case.update(actual)
        else:
            assert actual == case.expected

    return compare
