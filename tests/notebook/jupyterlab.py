"""JupyterLab in headless Chromium: it runs notebooks, and what it draws stays in its place.

`python -m tests.notebook.jupyterlab` needs `playwright`, Chromium, and `jupyterlab` in this Python
or in that of `JUPYTERLAB_PYTHON`; it is a suite of `make soak`. It runs a notebook on the fake
engine and the three that are shipped, which need vLLM. Each is measured in light and in dark, and
as nbconvert writes it, without a network. Screenshots go to `build/soak`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbconvert import HTMLExporter

from tests.notebook.kernel import notebook
from tests.notebook.measure import Seen, seen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "soak"
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_LONGEST = 580  # seconds until all cells have run
_VIEW = {"width": 1280, "height": 7000}
_SETTINGS = {
    "apputils-extension/themes": {"theme": "JupyterLab Light"},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are drawn, too
}
_LABEL = re.compile(r"\b(\w+) = \d+:[A-Z]")
"""A name of a part, in the source of a cell."""


@contextmanager
def lab(folder: Path, python: str) -> Iterator[str]:
    """Run JupyterLab over a folder; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [python, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    kernel = folder / "kernels" / "python3"  # of this Python, whichever has JupyterLab
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
        "JUPYTER_PATH": str(folder),
    }
    with (folder / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(_LONGEST):
            try:
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        yield f"{address}/lab/tree/notebook.ipynb?token={token}&reset"
    finally:
        server.terminate()
        server.wait()


def has_lab(python: str) -> bool:
    """Return whether a Python has JupyterLab."""
    command = [python, "-c", "import jupyterlab"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


_PROMPTS = (
    "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
)


def opened(page: Page, address: str) -> None:
    """Open the notebook, and wait until its kernel is there."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=_LONGEST * 1000)
    idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
    page.wait_for_selector(idle, timeout=_LONGEST * 1000)


def run_all(page: Page, path: Path) -> None:
    """Run all cells, and save the notebook."""
    from playwright.sync_api import TimeoutError as NotFound

    for _ in range(20):  # a click before the kernel is there does nothing, and may ask for one
        for button in page.locator(".jp-Dialog button.jp-mod-accept").all():
            button.click()
        with suppress(NotFound):
            page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5000)
            page.get_by_text("Run All Cells", exact=True).click(timeout=5000)
        page.wait_for_timeout(3000)
        if any(re.search(r"[\d*]", one) for one in page.evaluate(_PROMPTS)):
            break
    end = time.monotonic() + _LONGEST
    while not all(re.search(r"\d", one) for one in page.evaluate(_PROMPTS)):
        assert time.monotonic() < end, page.evaluate(_PROMPTS)
        page.wait_for_timeout(1000)
    before = path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == before:
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1000)


def looked(browser: Browser, folder: Path, python: str, name: str) -> list[str]:
    """Run the notebook of a folder; return what is wrong with what is shown."""
    path, shown = folder / "notebook.ipynb", dict[str, Seen]()
    settings = folder / ".jupyter/lab/user-settings/@jupyterlab"
    with lab(folder, python) as address:
        for scheme in ("light", "dark"):
            for where, values in _SETTINGS.items():
                target = settings / f"{where}.jupyterlab-settings"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(values).replace("Light", scheme.title()))
            context = browser.new_context(color_scheme=scheme, viewport=_VIEW)  # type: ignore[arg-type]
            page = context.new_page()
            opened(page, address)
            if scheme == "light":
                run_all(page, path)
            page.wait_for_timeout(3000)
            page.screenshot(path=str(PICTURES / f"jupyterlab-{name}-{scheme}.png"))
            shown[scheme] = seen(page)
            context.close()
    html = folder / "notebook.html"
    html.write_text(HTMLExporter().from_filename(str(path))[0], encoding="utf-8")
    context = browser.new_context(offline=True, viewport=_VIEW)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(html.as_uri())
    shown["nbconvert"] = seen(page)
    page.screenshot(path=str(PICTURES / f"jupyterlab-{name}-nbconvert.png"))
    context.close()
    return [*wrong(shown, nbformat.read(path, 4))]


def wrong(shown: dict[str, Seen], ran: Any) -> Iterator[str]:
    """Yield what is wrong with a notebook as three ways show it."""
    for scheme, one in shown.items():
        yield from (f"{scheme}: {fault}" for fault in one.faults)
    for other in ("dark", "nbconvert"):
        for ours, its in zip(shown["light"].said, shown[other].said, strict=True):
            more, less = set(its) - set(ours), set(ours) - set(its)
            if len(its) != len(ours) or more or less:
                yield f"{other} shows {len(its)} for {len(ours)}: more {more}, less {less}"
    cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    outputs = [(cell, one) for cell in cells for one in cell.outputs]
    data = [one.get("data", {}) for _, one in outputs]
    own = [it[kind] for it in data for kind in ("image/svg+xml", "text/html") if kind in it]
    counts = (sum(one.count('class="chainlang"') for one in own),
              sum(one.count('class="chainlang-page"') for one in own))  # fmt: skip
    if counts != (found := tuple(map(len, shown["light"].said))):
        yield f"there are {counts} pictures and pages, and {found} are shown"
    said = {text for texts in shown["light"].pictures for text in texts}
    for cell, one in outputs:
        if "image/svg+xml" in one.get("data", {}):
            for label in _LABEL.findall(cell.source):
                if not any(label in text for text in said):
                    yield f"no picture has the label {label}"
        if one.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", ()):
            yield f"a cell failed: {one.ename}: {one.evalue}"


def main() -> int:
    """Return 0 if all is in its place, in light and in dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = os.environ.get("JUPYTERLAB_PYTHON", sys.executable)
    parser.add_argument("--python", default=usual, help="the Python that has JupyterLab")
    parser.add_argument("names", nargs="*", help="notebooks to run; default: all")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None or not has_lab(options.python):
        print("not run: it needs chromium, and pip install jupyterlab playwright")
        return 0
    from playwright.sync_api import sync_playwright

    notebooks: dict[str, Any] = {"fake": notebook()}
    if find_spec("vllm") is not None:
        paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
        notebooks |= {path.stem: nbformat.read(path, 4) for path in paths}
    PICTURES.mkdir(parents=True, exist_ok=True)
    faults = 0
    chosen = {name: one for name, one in notebooks.items() if name in (options.names or notebooks)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        for name, one in chosen.items():
            for cell in one.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            with tempfile.TemporaryDirectory() as home:
                nbformat.write(one, Path(home) / "notebook.ipynb")
                found = looked(browser, Path(home), options.python, name)
            faults += len(found)
            print(f"{name}: {len(found)} wrong", *found[:20], sep="\n  ", flush=True)
        browser.close()
    print(f"{len(chosen)} notebooks in 2 themes and nbconvert, {faults} wrong")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
