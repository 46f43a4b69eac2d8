"""Runs of two workers beside runs of one process: files, counts, exit status and lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from chainlang.cli import execute
from tests.cli.collector import collected
from tests.scale.shards import assert_equal, files, metadata, written

Steps: TypeAlias = "Sequence[Sequence[str] | Callable[[], object]]"
"""Arguments of `chainlang run`, one command after another, and what happens in between."""

FUNCTIONS = """
import os

def check(candidates: list[str], *, n: int) -> str:
    if n % 10 == 7 and not os.path.exists("mended"):
        raise ValueError("seven")
    if n % 10 == 4 and not os.path.exists("mended"):
        raise KeyError("four")
    return candidates[0]
"""
SERVER = """
from mcp.server import MCPServer
server = MCPServer("shop", log_level="ERROR")
@server.tool()
def price(item: str) -> dict[str, float]:
    return {"total": 2.5 * len(item)}
server.run()
"""
MODELS = """
[models.small]
engine = "fake"
price = {input = 0.1, output = 0.1}
[models.large]
engine = "fake"
price = {input = 1, output = 1}
[policies.cheap]
strategy = "weighted"
models = ["small", "large"]
weights = {cost = 1}
[policies.pick]
strategy = "ucb"
models = ["small", "large"]
reward = "confidence"
"""
CHAINS = {
    "qa": "main = 3:E:m >> M",
    "other": "main = 4:E:m(max_tokens=3, need=1) >> M",
    "parts": "main = (a = 3:E:m(need=1, max_tokens=2)) >> ((b = J:m(max_tokens=9)) | (c = M))",
    "checked": "main = 2:E:m >> @check",
    "typed": "input { query: str, n: int }\nmain = 2:E:m >> M",
    "code": "main = 2:E:m >> with_fields(@value, value=\"print(len('{{ query }}'))\") >> code()",
    "tool": f'server shop = mcp("{sys.executable}", args=["server.py"], sandbox="none")\n'
    'op ask : tool -> { total: float } { server = shop tool = "price" '
    'args = {"item": "{{ query }}"} }\nmain = ask >> 2:E:m',
    "rates": 'model r = openai("r", requests_per_minute=5)\nmain = E:r',
}
ROWS = 24
QA = ["qa.chain", "-i", "rows.jsonl"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in CHAINS.items():
        model = 'model m = fake("m", price={"input": 1, "output": 2})\n'
        Path(f"{name}.chain").write_text(f"{model if ':m' in text else ''}{text}\n")
    Path("functions.py").write_text(FUNCTIONS)
    Path("server.py").write_text(SERVER)
    Path("models.toml").write_text(MODELS)
    rows = [{"id": f"r{n}", "query": f"question {n}", "n": n} for n in range(ROWS)]
    written(Path("rows.jsonl"), rows)
    written(Path("bad.jsonl"), [{**one, **({"query": 5} if one["n"] in (6, 8, 9) else {})}
                                for one in rows])  # fmt: skip
    return tmp_path


def lines(text: str, folder: str) -> str:
    text = re.sub(r".* rows/s .*\n", "", text)  # progress, on a machine that is slow
    return re.sub(rf"\b{folder}(?=[:/])", "out", re.sub(r"[0-9.]+ s\n", "X s\n", text))


def compared(steps: Steps, capfd: pytest.CaptureFixture[str]) -> list[int]:
    """Run the steps in one process and in two workers, compare, and return the exit statuses."""
    statuses = []
    for step in steps:
        if callable(step):
            step()
            continue
        one = execute(["run", *step, "-o", "one"])
        said = capfd.readouterr()
        two = execute(["run", *step, "-o", "two", "--workers", "2"])
        also = capfd.readouterr()
        assert two == one, also.err
        assert lines(also.err, "two") == lines(said.err, "one")
        assert lines(also.out, "two") == lines(said.out, "one")
        if one in (0, 1):
            assert_equal(Path("two"), Path("one"))
        statuses.append(one)
    return statuses


CHECKED = ["checked.chain", "-i", "rows.jsonl", "--functions", "functions.py"]
CASES: dict[str, tuple[Steps, list[int]]] = {
    "resumed with more rows": (
        [[*QA, "--limit", "7"], [*QA, "--limit", "3"], QA],
        [0, 2, 0],
    ),
    "failed rows": (
        [CHECKED, lambda: Path("mended").touch(), [*CHECKED, "--retry-failed"]],
        [1, 0],
    ),
    "bad rows": ([["typed.chain", "-i", "bad.jsonl", "--json", "--row-calls", "1"]], [1]),
    "branches": ([["parts.chain", "-i", "rows.jsonl", "--on-error", "skip"]], [1]),
    "program": ([["code.chain", "-i", "rows.jsonl", "--format", "csv", "--part-rows", "5"]], [0]),
    "tool": ([["tool.chain", "-i", "rows.jsonl", "--allow", "sandbox"]], [0]),
    "policy": ([["2:E:@cheap:0.7 >> M", "-i", "rows.jsonl", "--outputs", "answer"]], [0]),
    "formulas": ([[*QA, "--escape-formulas"]], [2]),
    "nothing to retry": ([[*QA, "--retry-failed"]], [2]),
    "port": ([[*QA, "--metrics-port", "99999"]], [2]),
    "address": ([[*QA, "--trace-endpoint", "nowhere"]], [2]),
    "format": ([[*QA, "--format", "xls"]], [2]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "statuses"), CASES.values(), ids=CASES)
def test_workers_are_one_process(
    steps: Steps, statuses: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    if "tool.chain" in str(steps):
        assert execute(["mcp", "approve", "tool.chain", "--allow", "sandbox", "--yes"]) == 0
        capfd.readouterr()
    assert compared(steps, capfd) == statuses


@pytest.mark.slow
def test_a_changed_chain_replaces_the_merged_run(capfd: pytest.CaptureFixture[str]) -> None:
    other = ["other.chain", "-i", "rows.jsonl", "--changed"]
    for out, more in (("one", []), ("two", ["--workers", "2"])):
        assert execute(["run", *QA, "-o", out, *more]) == 0
        assert execute(["run", *other, "-o", out, *more]) == 0
    assert_equal(Path("two"), Path("one"))
    said = capfd.readouterr().err
    assert "samples in shard 2/2: 36; 36 fit, 12 are sampled anew" in said
    assert execute(["run", *other, "-o", "two", "--workers", "3"]) == 2
    assert "has 2 shards, which 3 workers can't resume" in capfd.readouterr().err


@pytest.mark.slow
def test_workers_share_a_cache(capfd: pytest.CaptureFixture[str]) -> None:
    cached = [*QA, "--cache", "write", "--cache-folder", "cache"]
    assert execute(["run", *cached, "-o", "none"]) == 0
    assert execute(["run", *cached, "-o", "one"]) == 0
    assert execute(["run", *cached, "-o", "two", "--workers", "2"]) == 0
    assert capfd.readouterr().err.count(f"from the cache: {3 * ROWS} samples") == 2
    assert_equal(Path("two"), Path("one"))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (["2:E:@pick:0.7 >> M"], "--workers 2: @pick learns as the rows run"),
        (["rates.chain"], "each process would use up requests_per_minute of r"),
    ],
)
def test_what_workers_can_not_do_is_said_once(
    step: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert execute(["run", *step, "-i", "rows.jsonl", "-o", "two", "--workers", "2"]) == 2
    assert capfd.readouterr().err.count(message) == 1
    assert not Path("two").exists()


@pytest.mark.slow
def test_metrics_and_spans_are_those_of_one_run() -> None:
    """Metrics are sums over the workers at one port; spans are of one trace."""
    Path("gate").touch()
    Path("wait.py").write_text(
        "import os, time\n"
        "def wait(candidates: list[str]) -> str:\n"
        "    while os.path.exists('gate') and candidates[0].endswith('23'):\n"
        "        time.sleep(0.01)\n"
        "    return candidates[0]\n"
    )
    Path("wait.chain").write_text(
        'model m = fake("m")\n'
        'main = 2:E:m >> with_fields(@value, value="{{ query }}") >> @wait\n'
    )  # fmt: skip
    with collected() as (url, spans):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chainlang", "run", "wait.chain", "-i", "rows.jsonl"),
                *("-o", "two", "--workers", "2", "--functions", "wait.py"),
                *("--metrics-port", "0", "--trace-endpoint", url),
            ],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "TRACEPARENT": PARENT},
        )  # fmt: skip
        assert process.stderr is not None
        address = next(line.split()[-1] for line in process.stderr if "metrics are at" in line)
        counted = counts(address, ROWS - 1)  # the last row waits
        Path("gate").unlink()
        rest = process.stderr.read()
        process.stderr.close()
        assert process.wait() == 0, rest
    assert rest.count("rows, 0 failed") == 1
    assert counted['chainlang:calls_total{model_name="wait",stage="E"}'] == 2 * (ROWS - 1)
    names = Counter(span.name for span in spans)
    assert names["row"] == ROWS
    assert (names["chainlang.workers"], names["chainlang.run"]) == (1, 2)
    assert {span.trace_id.hex() for span in spans} == {PARENT.split("-")[1]}


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def counts(address: str, rows: int) -> dict[str, float]:
    """Return the metrics at an address once they have a number of rows."""
    ended = 'chainlang:request_success_total{finished_reason="stop",model_name="wait"}'
    while True:
        with urllib.request.urlopen(address) as response:
            text = response.read().decode()
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        assert float(found.get(ended, 0)) <= rows
        if float(found.get(ended, 0)) == rows:
            return {name: float(value) for name, value in found.items()}


@pytest.mark.slow
def test_what_functions_write_is_shown_and_is_no_note(capfd: pytest.CaptureFixture[str]) -> None:
    """Programs log lines of JSON with an event, too."""
    lines_of = [{"event": name} for name in ("row", "summary", "progress", "error", "lost", "mine")]
    Path("functions.py").write_text(
        "import sys\n"
        "def say(candidates: list[str]) -> str:\n"
        + "".join(
            f"    print({json.dumps(json.dumps(one))}, file=sys.stderr)\n" for one in lines_of
        )
        + "    return candidates[0]\n"
    )
    Path("said.chain").write_text('model m = fake("m")\nmain = E:m >> @say\n')
    step = ["run", "said.chain", "-i", "rows.jsonl", "--functions", "functions.py", "-o", "two"]
    assert execute([*step, "--workers", "2"]) == 0
    said = capfd.readouterr().err
    for one in lines_of:
        assert said.count(f": {json.dumps(one)}") == 1
    assert f"{ROWS} rows, 0 failed, {ROWS} calls" in said


KILLED = """
import os, pathlib, signal
def kill(candidates: list[str]) -> str:
    if os.path.exists("dying"):
        os.kill(os.getpid(), signal.SIGKILL)
    return candidates[0]
"""


@pytest.mark.slow
def test_a_worker_that_dies_again_and_again_stops_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("functions.py").write_text(KILLED)
    Path("dying").touch()
    Path("killed.chain").write_text('model m = fake("m")\nmain = 2:E:m >> @kill\n')
    step = ["run", "killed.chain", "-i", "rows.jsonl", "--functions", "functions.py", "-o"]
    assert execute([*step, "two", "--workers", "1"]) == 3
    said = capfd.readouterr().err
    assert said.count("worker 1 died (SIGKILL), and is started again") == 3
    assert "worker 1 died (SIGKILL), and is not started again: it died 4 times" in said
    assert said.endswith("to resume, run the same command again\n")
    Path("dying").unlink()
    assert execute([*step, "two", "--workers", "1"]) == execute([*step, "one"]) == 0
    assert files(Path("two")) == files(Path("one"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A limit on the size of files, as a disk that is full: the folder of the runs."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, before[1]))
    try:
        yield tmp_path
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_run_and_it_resumes(
    home: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    long = [{"id": f"r{n}", "query": f"{n} " + "long " * 100, "n": n} for n in range(400)]
    written(Path("rows.jsonl"), long)
    request.getfixturevalue("small_disk")
    assert execute(["run", *QA, "-o", "one"]) == 3
    alone = capfd.readouterr().err
    assert execute(["run", *QA, "-o", "two", "--workers", "2"]) == 3
    assert "re-run the same command to resume" in alone
    assert "re-run the same command to resume" in capfd.readouterr().err
    import resource

    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    for out, more in (("one", []), ("two", ["--workers", "2"])):
        assert execute(["run", *QA, "-o", out, *more]) == 0
    assert files(Path("two")) == files(Path("one"))
    assert metadata(Path("two"))["rows"] == metadata(Path("one"))["rows"]
    assert json.loads((home / "two" / "metadata.json").read_text())["status"] == "complete"
