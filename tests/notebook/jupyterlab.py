"""JupyterLab in headless Chromium: it runs a notebook, and what it draws stays in its place.

`python -m tests.notebook.jupyterlab` needs `jupyterlab`, `playwright` and Chromium; it is a suite
of `make soak`. Screenshots, light and dark, go to `build/soak`.
"""

from __future__ import annotations

import argparse
import json
import os
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

from tests.notebook.kernel import CELLS, notebook

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "soak"
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_LONGEST = 240  # seconds until all cells have run
_MEASURE = """
() => [...document.querySelectorAll('.jp-OutputArea-output img, .jp-OutputArea-output pre,'
    + '.jp-OutputArea-output svg.chainlang, .chainlang-page')].map(one => {
    const place = one.getBoundingClientRect();
    const area = one.closest('.jp-OutputArea').getBoundingClientRect();
    return {
        tag: one.tagName, width: place.width, height: place.height, natural: one.naturalWidth || 0,
        inside: place.left >= area.left - 1 && place.right <= area.right + 1
    };
})
"""
"""Script that returns the place of each picture and page, and whether its cell contains it."""


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


_HAS_RUN = r"() => /\[(\*|\d+)\]/.test(document.querySelector('.jp-InputPrompt').textContent)"


def has_lab(python: str) -> bool:
    """Return whether a Python has JupyterLab."""
    command = [python, "-c", "import jupyterlab"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def look(page: Page, address: str, scheme: str) -> list[dict[str, Any]]:
    """Run the notebook, take a picture of it, and return where things are."""
    from playwright.sync_api import TimeoutError as NotFound

    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=_LONGEST * 1000)
    idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
    page.wait_for_selector(idle, timeout=_LONGEST * 1000)
    for _ in range(20):  # a click before the kernel is there does nothing, and may ask for one
        for button in page.locator(".jp-Dialog button.jp-mod-accept").all():
            button.click()
        with suppress(NotFound):
            page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5000)
            page.get_by_text("Run All Cells", exact=True).click(timeout=5000)
        page.wait_for_timeout(3000)
        if page.evaluate(_HAS_RUN):
            break
    last = page.locator(".jp-Cell .jp-OutputArea-output", has_text="['a', 'b']")
    last.wait_for(timeout=_LONGEST * 1000)
    found: list[dict[str, Any]] = page.evaluate(_MEASURE)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"jupyterlab-{scheme}.png"))
    return found


def main() -> int:
    """Return 0 if all is in its place, in light and in dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the Python that has JupyterLab")
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None or not has_lab(options.python):
        print("not run: it needs chromium, and pip install jupyterlab playwright")
        return 0
    from playwright.sync_api import sync_playwright

    wrong = 0
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        nbformat.write(notebook(), folder / "notebook.ipynb")
        theme = folder / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension"
        theme.mkdir(parents=True)
        with lab(folder, options.python) as address:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
            for scheme, called in (("light", "JupyterLab Light"), ("dark", "JupyterLab Dark")):
                (theme / "themes.jupyterlab-settings").write_text(json.dumps({"theme": called}))
                context = browser.new_context(
                    color_scheme="dark" if scheme == "dark" else "light",
                    viewport={"width": 1280, "height": 4200},
                )
                found = look(context.new_page(), address, scheme)
                pictures = [one for one in found if one["tag"] in ("IMG", "svg")]
                bad = [one for one in found if not one["inside"] or not one["height"]]
                wrong += len(bad) + (len(pictures) != 3)
                print(f"{scheme}: {len(found)} outputs, {len(pictures)} pictures, wrong: {bad}")
                context.close()
            browser.close()
    print(f"{len(CELLS)} cells in 2 themes, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
