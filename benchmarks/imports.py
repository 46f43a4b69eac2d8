"""The cost of `import chainlang` and of quick commands, beside importing what they need."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Mapping

ROUNDS = 15
CLAIM = 1.5
PROGRAMS = {
    "nothing": "",
    "lark and attrs": "import lark, attrs",
    "chainlang": "import chainlang",
    "chainlang, and a first chain": "import chainlang; chainlang.chain('3:E >> M')",
}
_NEEDED = "import lark, attrs, jinja2.sandbox, re2, argparse, chainlang.cli.check\n"
_NEEDED += "import chainlang.settings.model  # the file names a variable\n"
_NEEDED += "from chainlang.notation.grammar import grammar; grammar()"
_QUIET = "import contextlib, io, chainlang.cli\nwith contextlib.redirect_stdout(io.StringIO()), "
_QUIET += "contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit): "
COMMANDS = {
    "what `--help` needs: imports": "import argparse, chainlang.cli.interrupt",
    "`chainlang --help`": _QUIET + "chainlang.cli.main(['--help'])",
    "what `check` needs: imports, and the compiled grammar": _NEEDED,
    "`chainlang check`": _QUIET + "chainlang.cli.main(['check', 'examples/mixture.chain'])",
}
"""Commands that load no model, each after a program that imports what it needs."""
_MEASURE = "import time; a = time.process_time()\n{}\nprint(time.process_time() - a)"


def measure(programs: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of CPU of each program, run in turns in fresh processes."""
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):  # the first turn fills the caches of the disk
        for name, program in programs.items():
            command = [sys.executable, "-c", _MEASURE.format(program or "pass")]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            taken[name].append(float(done.stdout) * 1e3)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def table(*, quick: bool = False) -> str:
    rounds = 1 if quick else ROUNDS
    found = measure(PROGRAMS, rounds)
    base = found["lark and attrs"]
    lines = [
        (
            f"CPU of an import in a fresh process, the median of {rounds}, in turns (the claim: "
            f"`import chainlang` costs at most {CLAIM} times what lark and attrs alone cost). It "
            "imports a name when it is used, so a first chain pays for the language, its checks "
            "and the compiled grammar."
        ),
        "",
        "| | ms | beside lark and attrs |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {taken:.1f} | {taken / base:.2f} |"
        for name, taken in found.items()
        if taken > 0.5
    ]
    quick_commands = measure(COMMANDS, rounds)
    times = [*quick_commands.values()]
    lines += ["", "| | ms | beside what it needs |", "|---|---:|---:|"]
    lines += [
        f"| {name} | {taken:.1f} | {taken / times[at // 2 * 2]:.2f} |"
        for at, (name, taken) in enumerate(quick_commands.items())
    ]
    return "\n".join(lines)
