"""A place without models of the user, and servers that providers' names lead to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chainlang.models import registry
from chainlang.models.open_engines import close_engines


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, for the project, the user's settings and the caches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_DEFINED", {})
    yield tmp_path
    close_engines()
