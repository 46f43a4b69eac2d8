"""Programs that are measured side by side: each in a process of its own, one after another."""

from __future__ import annotations

import json
import select
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

HERE = Path(__file__).parent
OURS = Path(sys.executable)
THEIRS = HERE.parent / ".venv-bench" / "bin" / "python"
"""Python with the packages of requirements.txt; `make bench` makes it."""

Report = dict[str, Any]
LONGEST = 1800
"""Seconds that a job may take: a million rows take a quarter of it."""


class ProgramError(Exception):
    """A program ended before its report; the text is what it said."""


@frozen
class Program:
    """A program that is running, and waits for its next job."""

    name: str
    process: subprocess.Popen[str]

    def report(self) -> Report:
        """Return its next report."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], LONGEST)[0]:
            raise ProgramError(f"{self.name} has said nothing for {LONGEST} seconds")
        line = self.process.stdout.readline()
        if not line:
            raise ProgramError(f"{self.name} ended with {self.process.wait()}")
        found: Report = json.loads(line)
        return found

    def run(self, job: Mapping[str, Any]) -> Report:
        """Have it do a job, and return what it reports."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.report()


@contextmanager
def started(name: str, python: Path, *command: str) -> Iterator[Program]:
    """Start a program of the folder `programs`, and stop it at the end."""
    script, *arguments = command
    with subprocess.Popen(
        [python, HERE / "programs" / script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        program = Program(name, process)
        program.report()  # it is ready
        try:
            yield program
        finally:
            process.kill()


def in_turns(
    commands: Mapping[str, tuple[Path | str, ...]], jobs: Sequence[Mapping[str, Any]]
) -> dict[str, list[Report]]:
    """Return what each program reports of each job; the first job, which warms up, is left out.

    Each job is done by all, one after another; who is first changes from job to job.
    """
    found: dict[str, list[Report]] = {name: [] for name in commands}
    with ExitStack() as stack:
        programs = [
            stack.enter_context(started(name, Path(python), *map(str, command)))
            for name, (python, *command) in commands.items()
        ]
        for number, job in enumerate(jobs):
            at = number % len(programs)
            for program in programs[at:] + programs[:at]:
                report = program.run(job)
                if number:
                    found[program.name].append(report)
    return found


def median(reports: list[Report], key: str) -> float:
    """Return the median of a figure over reports."""
    return statistics.median(report[key] for report in reports)


def least(reports: list[Report], key: str) -> float:
    """Return the smallest of a figure over reports."""
    found: float = min(report[key] for report in reports)
    return found
