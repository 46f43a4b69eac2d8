"""The long run: every law, fuzz, kill and chaos test at full counts, and a page of what it found.

`python -m tests.soak [--scale 0.1] [--seed SEED] [SUITE[@SCALE] ...]` writes `docs/soak.md`. A
suite has the scale of the run, or one of its own: `kills@0.01`. Suites that are not run keep their
rows. One that fails does not end the run; the status is 1 if one did.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import evolve, frozen

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "soak.md"
LOGS = ROOT / "build" / "soak"
_SHOWN_LINES = 15  # of the output of a suite that failed


@frozen
class Size:
    """How large a run is, and the seed that repeats it."""

    scale: float
    seed: str

    def of(self, full: int) -> int:
        """Return a count of this run where the full count is given."""
        return max(1, round(full * self.scale))

    @property
    def number(self) -> int:
        """The seed, for programs that take a number."""
        return int(self.seed, 16)


@frozen
class Suite:
    """One program of the long run: what it tries, and its arguments at a size."""

    tries: str
    arguments: Callable[[Size], list[str]]


@frozen
class Result:
    """How a suite ended."""

    name: str
    command: str
    scale: float
    status: int
    seconds: float
    output: str

    @property
    def last_line(self) -> str:
        """The line in which a suite counts what it has tried."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return re.sub(r"^=+ | =+$", "", lines[-1]) if lines else "no output"


def _crash(what: str, count: int | None = None, *more: str) -> Callable[[Size], list[str]]:
    """Return the arguments of `tests.crash`; what has no count takes each so many steps."""

    def arguments(size: Size) -> list[str]:
        counted = [] if count is None else [str(size.of(count))]
        few = what in ("boundaries", "faults")
        stepped = ["--step", str(max(1, round(1 / size.scale)))] if few else []
        rows = ["--rows", str(min(20, size.of(20)))] if what == "faults" else []
        return ["tests.crash", what, *counted, "--seed", size.seed, *more, *stepped, *rows]

    return arguments


def _laws(*arguments: str) -> Callable[[Size], list[str]]:
    """Return the arguments of pytest for laws."""
    return lambda size: [
        *("pytest", "-q", "--hypothesis-profile=soak", f"--hypothesis-seed={size.number}"),
        *arguments,
    ]


def _replies(stage: str) -> Suite:
    """Return the suite of a type of stage whose replies end."""
    return Suite(
        f"replies of `{stage}` over 200 rows: no row fails by a cut, on `tiny` none is closed",
        lambda size: ["tests.real.replies_end", stage, str(size.of(200))],
    )


def _served(what: str, count: int) -> Callable[[Size], list[str]]:
    """Return the arguments of a long check of the server."""
    return lambda size: ["tests.serving.long", what, str(size.of(count)), "--seed", size.seed]


ALONE = {
    "hash seeds": ("three hash seeds give the same bytes, of 2,000 values", "hash_seeds"),
    "failures": ("a failure keeps the identity of its row, in 2,000 runs", "bad_rows"),
    "counts": ("event counts equal what happened, in 2,000 chains each", "happened"),
    "graphs": ("2,000 graphs mean what is written, 500 take their critical path", "graphs"),
    "bounds": ("larger bounds resample what was cut, in 2,000 chains", "raised_bounds"),
}
"""Laws that are suites by themselves: what each tries, and its file."""
_FILES_ALONE = {name: f"tests/laws/test_{file}.py" for name, (_, file) in ALONE.items()}

SUITES: dict[str, Suite] = {
    "laws": Suite(
        "each law with 2,000 examples, each test over seeds with ten times as many",
        _laws(
            *("-n", "auto", "--dist", "worksteal", "-m", "law and not vllm"),
            *(f"--ignore={file}" for file in _FILES_ALONE.values()),
        ),
    ),
    **{
        name: Suite(tries, _laws(_FILES_ALONE[name], "-m", "law"))
        for name, (tries, _) in ALONE.items()
    },
    "laws on vLLM": Suite(
        "the same, of what needs vLLM",
        _laws("-m", "law and vllm and not real"),
    ),
    "real model": Suite(
        "12 chains and 200 questions on a real model, and its demo",
        _laws("-m", "law and real", "--ignore=tests/real/test_auto.py"),
    ),
    "auto": Suite(
        "40 values of 20 kinds that a real model decides: they fit, and are the same again",
        _laws("tests/real/test_auto.py", "-m", "law"),
    ),
    **{f"replies of {stage} end": _replies(stage) for stage in ("J", "V", "S")},
    "free texts": Suite(
        "replies of `E` to 100 questions of each of six kinds: how many are cut",
        lambda size: ["tests.real.replies_end", "E", str(size.of(100))],
    ),
    "fuzz": Suite(
        "1,000,000 mutated inputs into each entry",
        lambda size: ["tests.fuzz", str(size.of(1_000_000)), "--seed", size.seed],
    ),
    "simulation": Suite(
        "5,000 seeds of a server that misbehaves, on a virtual clock",
        lambda size: [
            *("tests.simulation", str(size.of(5_000))),
            *("--first", str(size.number % 1_000_000)),
        ],
    ),
    "kills": Suite("1,000 kills at random moments", _crash("kills", 1_000)),
    **{
        f"boundaries, {kind}": Suite(
            "a kill at each step that the disk sees", _crash("boundaries", None, "--format", kind)
        )
        for kind in ("jsonl", "csv", "parquet")
    },
    "faults": Suite("each call of the disk fails once, in five ways", _crash("faults")),
    "damage": Suite("1,000 damaged run folders", _crash("damage", 1_000)),
    "races": Suite(
        "1,000 tables of equal chains, and 200 of others, of which a race keeps the best",
        lambda size: ["tests.evaluation.races", str(size.of(1_000)), str(size.of(200))],
    ),
    "edits": Suite(
        "10,000 edits of a file in the language server, which must not grow",
        lambda size: ["tests.cli.lsp_edits", str(size.of(10_000)), "--seed", size.seed],
    ),
    "steps in an editor": Suite(
        "files of steps in the YAML language server: each mistake of a key is found",
        lambda _: ["tests.editors.steps"],
    ),
    "jupyterlab": Suite(
        "four notebooks in JupyterLab, light and dark, and by nbconvert",
        lambda _: ["tests.notebook.jupyterlab"],
    ),
    "switches": Suite(
        "1,000 rows over servers that die, deny or are over quota at half: no row fails",
        lambda size: ["tests.running.switched_rows", str(size.of(1_000))],
    ),
    "addresses": Suite(
        "2,000 rows over three addresses, one of which dies and comes back at random",
        lambda size: ["tests.engines.dying", str(max(100, size.of(2_000))), "--seed", size.seed],
    ),
    "shards": Suite(
        "5,000 rows in 1, 2 and 7 shards, killed, are one run; 1,000,000 merge in 500 MB",
        lambda size: [
            *("tests.scale.killed", str(max(100, size.of(5_000))), str(size.of(1_000_000))),
            *("--seed", size.seed),
        ],
    ),
    "escapes": Suite(
        "249 programs that try to get out of each sandbox, as root and as an ordinary user",
        lambda size: ["tests.sandboxes.escapes", "--scale", str(min(1, size.scale))],
    ),
    "mcp clients": Suite(
        "the official inspector and the TypeScript SDK call a served chain, 600 calls a session",
        lambda size: ["tests.mcp.clients", str(size.of(600))],
    ),
    "HumanEval": Suite(
        "164 right programs and 164 wrong ones in each sandbox",
        lambda size: ["tests.sandboxes.human_eval", "--scale", str(min(1, size.scale))],
    ),
    "HumanEval on a model": Suite(
        "programs of a real model for 20 problems, run, stopped at half and resumed",
        lambda size: ["tests.sandboxes.human_eval", "--model", str(size.of(20))],
    ),
    "served streams": Suite("1,000 streams at once in 500 MB", _served("streams", 1_000)),
    "served bodies": Suite(
        "10,000 hostile bodies: each has an answer of the protocol", _served("bodies", 10_000)
    ),
    "served page": Suite(
        "schemathesis over the OpenAPI page, 1,000 examples of each path", _served("schema", 1_000)
    ),
    "served to JavaScript": Suite(
        "OpenAI's client for Node.js and Vercel's AI SDK", _served("javascript", 1)
    ),
    "half": Suite("100,000 rows, killed at half", _crash("half", 100_000)),
    "ray": Suite(
        "20,000 rows in two actors of Ray and in batches, an actor of each killed: as one process",
        lambda size: ["tests.scale.on_ray", str(size.of(20_000))],
    ),
    "boundaries, postgres": Suite(
        "a kill at each step of a run whose journal is in PostgreSQL",
        _crash("boundaries", None, "--home", "postgres"),
    ),
    "kills, postgres": Suite(
        "1,000 kills at random moments of such a run",
        _crash("kills", 1_000, "--home", "postgres"),
    ),
    "restarts": Suite(
        "5,000 rows over a PostgreSQL that is killed every 2 s: none lost, none twice, equal bytes",
        _crash("restarts", 5_000),
    ),
}


def run(name: str, size: Size) -> Result:
    """Run a suite to its end, with its output in a file of its own."""
    command = ["-m", *SUITES[name].arguments(size)]
    shown = " ".join(f'"{one}"' if " " in one else one for one in ("python", *command))
    print(f"{name}: {shown}", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{re.sub(r'[^a-z]+', '-', name.lower())}.log"
    started = time.monotonic()
    with path.open("wb") as log:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "SCALE": str(size.scale)},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    output = path.read_text(encoding="utf-8", errors="replace")
    seconds = time.monotonic() - started
    result = Result(name, shown, size.scale, done.returncode, seconds, output)
    print(f"  {'failed' if result.status else 'ok'}: {result.last_line}", flush=True)
    return result


def row(result: Result, size: Size, commit: str) -> str:
    """Return the row of a suite in the report."""
    told = result.last_line.replace("|", "\\|")
    tries = SUITES[result.name].tries
    of = f"{commit}, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, `{size.seed}`"
    end = f"{result.seconds / 60:.1f} | {'failed' if result.status else 'ok'}"
    return f"| {result.name} | {tries} | {result.scale:g} | {told} | {of} | {end} |"


def rows_of(page: str) -> dict[str, str]:
    """Return the rows of a report, by suite."""
    lines = (line for line in page.splitlines() if line.startswith("| "))
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    return {name: line for name, line in found.items() if name in SUITES}


def page(rows: Mapping[str, str], failed: Iterable[Result]) -> Iterable[str]:
    """Return the lines of the report."""
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    yield "# The long run"
    yield ""
    yield "`make soak` writes this page: every law, fuzz, kill and chaos test, at `SCALE` times its"
    yield "full counts. `SCALE=0.01 make soak` takes minutes, `SCALE=1` some hours on two cores. A"
    yield "suite may have a scale of its own, and the others keep their rows:"
    yield "`make soak SUITES=kills@0.1`."
    yield ""
    yield f"The last suite ran on {machine}. Minutes are those of the clock, other work included."
    yield ""
    head = ("suite", "tries at full counts", "scale", "what it counted", "commit, date, seed")
    yield f"| {' | '.join(head)} | minutes | |"
    yield "|---|---|---:|---|---|---:|---|"
    yield from (rows[name] for name in SUITES if name in rows)
    for one in failed:
        yield ""
        yield f"## {one.name} failed"
        yield ""
        yield "```text"
        yield f"$ {one.command}"
        yield from one.output.rstrip().splitlines()[-_SHOWN_LINES:]
        yield "```"


def commit() -> str:
    """Return the commit that the tests are of, and whether files differ from it."""
    shown = []
    for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"]):
        done = subprocess.run(
            ["git", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        shown.append(done.stdout.strip())
    return f"{shown[0] or 'unknown'}{' and changes' if shown[1] else ''}"


def main() -> int:
    """Run the suites one after another and write the page; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE[@SCALE]", help=", ".join(SUITES))
    parser.add_argument("--scale", type=float, default=1.0, help="how many times the full counts")
    parser.add_argument("--seed", default=None, help="hexadecimal: repeat the run that had it")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write the report")
    options = parser.parse_args()
    size = Size(options.scale, options.seed or secrets.token_hex(4))
    chosen = []
    for given in options.suites or SUITES:
        name, _, scale = given.partition("@")
        if name not in SUITES:
            parser.error(f"unknown suite: {name}")
        try:
            chosen.append((name, evolve(size, scale=float(scale)) if scale else size))
        except ValueError:
            parser.error(f"a scale is a number, not {scale!r}")
    print(f"seed {size.seed}, scale {size.scale:g}", flush=True)
    before = options.page.read_text(encoding="utf-8") if options.page.exists() else ""
    rows, failed, tested = rows_of(before), list[Result](), commit()
    for name, its in chosen:
        result = run(name, its)
        rows[name] = row(result, its, tested)
        failed += [result] if result.status else []
        options.page.write_text("\n".join(page(rows, failed)) + "\n", encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
