"""Profiles of hypothesis, marks of what needs vLLM, and the fixtures `golden` and `workspace`."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.cases import Case
from tests.laws import CI, QUICK

SCALE = float(os.environ.get("SCALE", "1"))
"""Factor of the full counts of a long run: see `tests/soak.py`."""
EXAMPLES = {"quick": QUICK, "ci": CI, "soak": max(1, int(2000 * SCALE))}
"""The examples of a law by profile, which `pytest --hypothesis-profile` chooses.

`quick` tries the same ones each time, and so does `ci` where `CI` is set, so that they say what a
change has broken and not what chance has found: that is what `soak` looks for.
"""
for _name, _examples in EXAMPLES.items():
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,  # how long an example takes says how busy the machine is
        derandomize=_name == "quick" or (_name == "ci" and "CI" in os.environ),
        print_blob=True,
        phases=tuple(phase for phase in Phase if phase is not Phase.explain),
        suppress_health_check=(
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ),
    )
settings.load_profile("ci")

ROOT = Path(__file__).parents[1]
ON_REAL = ROOT / "tests" / "real"
ON_VLLM = (ROOT / "tests" / "vllm", ROOT / "chainlang" / "engines" / "vllm", ON_REAL)
"""Folders whose tests and doctests need vLLM or what comes with it; others are marked by hand."""
MEMORY = Path("/dev/shm")
"""Folder in memory for temporary files: no test waits for a disk. `tests/crash` sees its calls."""
_ENOUGH = 2**31  # bytes

OF_RUNS = tuple(
    ROOT / "tests" / name
    for name in ("conformance", "crash", "laws", "real", "running", "simulation", "store", "vllm")
)
"""Folders whose tests run chains that no user would write, as a loop that never ends."""

collect_ignore = ["fixtures"]  # data: some of it is Python that has to be wrong


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the expected texts in tests/fixtures"
    )


def pytest_configure(config: pytest.Config) -> None:
    for name in [one for one in os.environ if one.upper().startswith("CHAINLANG_")]:
        del os.environ[name]  # the settings of whoever runs the tests
    for name in [one for one in os.environ if one.endswith(("_API_KEY", "_BASE_URL"))]:
        del os.environ[name]  # and the providers
    os.environ.pop("OLLAMA_HOST", None)
    if config.getoption("--update") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--update rewrites files: run it without -n")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > _ENOUGH:
        os.environ.setdefault("TMPDIR", str(MEMORY))
        tempfile.tempdir = None  # it is read again


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for doctests in the package alone: a file here is only what it is called."""
    found = yield
    return [one for one in found if type(one) is pytest.Module]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    for path, inside in itertools.groupby(items, lambda item: item.path):
        marks = [pytest.mark.vllm] if any(map(path.is_relative_to, ON_VLLM)) else []
        marks += [pytest.mark.real] if path.is_relative_to(ON_REAL) else []
        if any(map(path.is_relative_to, OF_RUNS)):
            marks.append(pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning"))
        for item, mark in itertools.product(inside, marks):
            item.add_marker(mark, append=False)
    yield  # `-m` leaves out others, which `quick` does not count
    if settings().max_examples == QUICK:
        _leave_out(config, items)


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that have the mark `quick` beyond its number, of each fixture file."""
    seen: Counter[object] = Counter()
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("quick")
        if mark is not None:
            assert isinstance(item, pytest.Function)
            case = item.callspec.params.get("case")
            family = (item.function, case.path if isinstance(case, Case) else None)
            seen[family] += 1
            if seen[family] > mark.args[0]:
                left_out.append(item)
                continue
        kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep Python's collector from walking thousands of tests, now and later, and from it often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        gc.enable()


@pytest.fixture(autouse=True)
def _engines_closed(request: pytest.FixtureRequest) -> Generator[None]:
    """Close the engines that a test has opened by their names, so that the next one opens its own.

    Those of vLLM stay open, since the tests on it share them.
    """
    yield
    opened = sys.modules.get("chainlang.models.open_engines")
    if opened is not None and "vllm" not in request.keywords and opened.engines():
        opened.close_engines()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of its own with the examples in it; it is the current folder."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
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
