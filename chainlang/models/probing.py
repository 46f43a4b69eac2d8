"""Features of servers that a probe has found, kept by address, model and date.

They go before what the documents of a host say, for a month. A probe is asked for: by
``chainlang models NAME --probe``, or by the setting `probe` of a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, get_args

from attrs import asdict, frozen

from chainlang.engines.hosts import Feature
from chainlang.models.kept_files import cache_folder, write_kept

DAYS = 30
"""Days for which a probe is kept."""


@frozen
class Probed:
    """Features of a server that a probe has found."""

    url: str
    model: str
    date: str
    honours: Mapping[Feature, bool]

    def __str__(self) -> str:
        yes = ", ".join(name for name, has in self.honours.items() if has) or "nothing"
        no = ", ".join(name for name, has in self.honours.items() if not has)
        unknown = ", ".join(name for name in _LOOKED_FOR if name not in self.honours)
        said = f"{self.url} honours {yes}" + (f"; not {no}" if no else "")
        return said + (f"; unknown: {unknown}" if unknown else "") + f" (probed {self.date})"


_LOOKED_FOR = ("schema", "n", "seed", "logprobs")


def kept(url: str, model: str, folder: Path | None = None) -> Probed | None:
    """Return what a probe of a model at an address has found; None without one of this month."""
    found = _read(_file(folder)).get(_name(url, model))
    try:
        probed = Probed(**found) if isinstance(found, dict) else None
        age = None if probed is None else (date.today() - date.fromisoformat(probed.date)).days
    except (TypeError, ValueError):
        return None
    is_known = probed is not None and _fits(probed.honours)
    return probed if is_known and age is not None and 0 <= age < DAYS else None


def keep(found: Probed, folder: Path | None = None) -> None:
    """Keep what a probe has found."""
    file = _file(folder)
    write_kept(file, {**_read(file), _name(found.url, found.model): asdict(found)})


def _file(folder: Path | None) -> Path:
    return (folder or cache_folder()) / "features.json"


def _name(url: str, model: str) -> str:
    return f"{url} {model}"


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fits(honours: object) -> bool:
    return isinstance(honours, dict) and all(
        name in get_args(Feature) and isinstance(has, bool) for name, has in honours.items()
    )
