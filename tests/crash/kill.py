"""Runs that are killed, and gone on with: by what they leave, nobody could tell.

Each process of a run is a fork of this one, which has imported everything and has one thread.
"""

from __future__ import annotations

import gc
import os
import random
import select
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field

from chainlang.errors import ChainlangError
from chainlang.store import RunFolder
from tests.crash import reference
from tests.crash.homes import HOME
from tests.crash.reference import Found, found, samples
from tests.crash.world import Boundary, build, kill

IN_FLIGHT = reference.WINDOW * 5
"""Samples that are drawn at a time, at most: five for each row that is in flight."""


REFUSED = 3


def forked(work: Callable[[], object]) -> int:
    """Start a process that does something and ends: with `REFUSED` by our error, 1 by any other."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except ChainlangError:
        status = REFUSED
    except BaseException:  # noqa: BLE001  # the process ends here, whatever it was
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a process; return its exit status, or the negated signal that it died of."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def place() -> Iterator[Path]:
    """Return a folder in memory, where there is one: a kill is not a loss of power."""
    memory = Path("/dev/shm")
    above = memory if os.access(memory, os.W_OK) else None
    with TemporaryDirectory(dir=above) as path:
        # Whatever is loaded or made when it is first needed is there for all that are forked.
        reference.run(Path(path) / "warm", os.open(os.devnull, os.O_WRONLY))
        gc.freeze()
        yield Path(path)


@define
class Trial:
    """A run, the processes that it took, and what they asked for."""

    path: Path
    settings: dict[str, Any] = field(factory=dict)
    asked: int = 0
    lost: int = 0
    """Samples that were drawn and not recorded, because the process was killed in between."""
    kills: int = 0

    @property
    def folder(self) -> Path:
        return self.path / "run"

    def run(self, before: Callable[[], object] = lambda: None, stop: Any = None) -> int:
        """Go on with the run in a new process, which does something `before`; return its end."""
        recorded = len(samples(self.folder))
        calls = os.open(self.path / "calls", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

        def work() -> None:
            before()
            reference.run(self.folder, calls, **self.settings)

        pid = forked(work)
        if stop is not None:
            stop(pid)
        status = ended(pid)
        os.close(calls)
        asked = (self.path / "calls").stat().st_size - self.asked
        lost = asked - (len(samples(self.folder)) - recorded)
        assert status in (0, REFUSED, -signal.SIGKILL), f"it ended with {status}"
        assert 0 <= lost <= (IN_FLIGHT if status else 0), f"{lost} samples were drawn for nothing"
        self.asked, self.lost = self.asked + asked, self.lost + lost
        self.kills += status == -signal.SIGKILL
        return status

    def finish(self, whole: Found, calls: int) -> None:
        """Go on to the end, and compare with a run that was never killed."""
        assert self.run() == 0
        left = found(self.folder)
        assert left.files.keys() == whole.files.keys()
        for name, data in left.files.items():
            assert data == whole.files[name], f"{name} is another file"
        assert left == whole
        assert self.asked == calls + self.lost, "a sample that was recorded was drawn again"


def whole_run(path: Path, **settings: Any) -> tuple[Found, int]:
    """Return what an uninterrupted run leaves, and how many samples it draws."""
    path.mkdir()
    trial = Trial(path, settings)
    assert trial.run() == 0
    return found(trial.folder), trial.asked


def points(path: Path, settings: dict[str, Any], *, within: bool = False) -> list[str]:
    """Return the points of the process that would go on with a run. It does."""
    told = path / "points"
    boundary = Boundary()

    def tell() -> None:
        build(boundary, within=within)
        with (path / "calls").open("ab") as calls:
            reference.run(path / "run", calls.fileno(), **settings)
        told.write_text("\n".join(boundary.names))

    assert ended(forked(tell)) == 0
    return told.read_text().split("\n")


def chosen(names: list[str], step: int) -> list[int]:
    """Return each so many points, and the first of each name."""
    first = {name: at for at, name in reversed([*enumerate(names)])}
    return sorted({*range(0, len(names), step), *first.values()})


def at_every_boundary(settings: dict[str, Any], step: int = 1) -> Counter[str]:
    """Kill a run at its points, and a run that goes on at its own; return what was hit.

    These are all points, or each so many and the first of each name.
    """
    hit: Counter[str] = Counter()
    with place() as root:
        whole, calls = whole_run(root / "whole", **settings)
        (root / "first").mkdir()
        names = points(root / "first", settings)
        for at in chosen(names, step):
            trial = Trial(HOME.fresh(root / "trial"), settings)
            assert trial.run(lambda at=at: build(Boundary(kill, at))) == -signal.SIGKILL
            trial.finish(whole, calls)
            hit[names[at]] += 1

        # What a run does that goes on: behind half of the rows, with a part that is half written.
        killed = Trial(HOME.fresh(root / "killed"), settings)
        at = len(names) * 5 // 8
        assert killed.run(lambda: build(Boundary(kill, at))) == -signal.SIGKILL
        HOME.copy(killed.path, root / "second")
        again = points(root / "second", settings)
        for at in chosen(again, step):
            HOME.copy(killed.path, root / "trial")
            trial = Trial(root / "trial", settings, killed.asked, killed.lost)
            assert trial.run(lambda at=at: build(Boundary(kill, at))) == -signal.SIGKILL
            trial.finish(whole, calls)
            hit[f"{again[at]}, going on"] += 1
    return hit


def at_random(kills: int, seed: str) -> tuple[int, int, int]:
    """Kill runs at any moment, a fifth of them while a run takes up what is there.

    Returns how many kills there were, how many of them during recovery, and how many runs.
    """
    draws = random.Random(seed)
    done = recovering = runs = 0
    with place() as root:
        started = time.monotonic()
        whole, calls = whole_run(root / "whole")
        seconds = time.monotonic() - started
        while done < kills or 5 * recovering < kills:
            trial = Trial(HOME.fresh(root / "trial"))
            for _ in range(draws.randint(1, 8)):
                in_recovery = 5 * recovering < done and trial.kills > 0
                stop = _Stop(draws, seconds, in_recovery=in_recovery)
                before = trial.kills
                status = trial.run(stop.tell, stop)
                if status == 0:
                    break
                done += trial.kills - before
                recovering += stop.was_recovering and before > 0
            trial.finish(whole, calls)
            runs += 1
    return done, recovering, runs


class _Stop:
    """Kills a process at a random moment of its run, or of what comes before its first row."""

    def __init__(self, draws: random.Random, seconds: float, *, in_recovery: bool) -> None:
        self.heard, self.said = os.pipe()
        self.in_recovery = in_recovery
        self.delay = draws.random() * (0.005 if in_recovery else 1.2 * seconds)
        self.was_recovering = False

    def tell(self) -> None:
        """Tell, in the process, when it begins to take up what is there, and when it is done."""
        create = RunFolder.create

        def telling(*args: Any, **settings: Any) -> RunFolder:
            os.write(self.said, b"<")
            folder = create(*args, **settings)
            os.write(self.said, b">")
            return folder

        telling.__kwdefaults__ = create.__kwdefaults__
        RunFolder.create = staticmethod(telling)

    def __call__(self, pid: int) -> None:
        os.close(self.said)
        if self.in_recovery:
            os.read(self.heard, 1)
        select.select([], [], [], self.delay)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        told = b""
        while more := os.read(self.heard, 100):
            told += more
        os.close(self.heard)
        self.was_recovering = b">" not in told and (self.in_recovery or b"<" in told)
