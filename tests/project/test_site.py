"""The documentation as pages: built without a warning, without a network, without a dead link."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import types
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'(?:href|src)="([^"]*)"')
PLACE = re.compile(r' id="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    done = subprocess.run(
        [*command, "-d", f"{folder}/trees", f"{ROOT}/docs", f"{folder}/pages"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "pages"


@pytest.mark.slow
def test_no_page_has_a_dead_link(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    places = {path: set(PLACE.findall(text)) for path, text in pages.items()}
    assert len(pages) > 30
    dead = []
    for path, text in pages.items():
        for link in map(unescape, LINK.findall(text)):
            name, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            to = (path.parent / unquote(name.partition("?")[0])).resolve() if name else path
            if not to.exists() or (to in places and anchor and unquote(anchor) not in places[to]):
                dead.append((str(path.relative_to(site)), link))
    assert not dead


@pytest.mark.slow
def test_public_names_are_documented_and_documented_names_are_public(site: Path) -> None:
    """A module of which the page of the API shows a name is public; `__all__` has its names."""
    text = (site / "api.html").read_text(encoding="utf-8")
    shown: dict[str, set[str]] = {"chainlang": set()}
    for place in re.findall(r' id="(chainlang\.[\w.]+)"', text):
        module, name = parted(place)
        shown.setdefault(module, set()).add(name.partition(".")[0])
    public = {one: set(importlib.import_module(one).__all__) for one in shown}
    public["chainlang.errors"] -= public["chainlang"]
    assert shown == public


def parted(place: str) -> tuple[str, str]:
    """Return the module of a name, the longest that can be imported, and what follows it."""
    module = place
    while find(module) is None or exports(module):
        module = module.rpartition(".")[0]
    return module, place.removeprefix(f"{module}.")


def exports(name: str) -> bool:
    """Return whether a package exports a name that is none of its modules, if one is called so."""
    package, _, own = name.rpartition(".")
    if not package:
        return False
    home = importlib.import_module(package)
    is_public = own in getattr(home, "__all__", ())
    return is_public and not isinstance(getattr(home, own), types.ModuleType)


def find(module: str) -> object:
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None


@pytest.mark.slow
def test_pages_need_no_network(site: Path) -> None:
    """Nothing that a browser loads by itself is elsewhere."""
    loaded = r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)"'
    for path in site.rglob("*.html"):
        assert not re.findall(loaded, path.read_text(encoding="utf-8")), path
