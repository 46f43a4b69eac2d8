"""Runs on disks that fill up, break, or write less than they were told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.crash import reference
from tests.crash.homes import HOME
from tests.crash.kill import REFUSED, Trial, chosen, place, points, whole_run
from tests.crash.world import Boundary, broken, build, full, short

MODES: dict[str, tuple[Callable[[str], None], bool]] = {
    "full": (full, False),
    "full from then on": (full, True),
    "broken": (broken, False),
    "broken from then on": (broken, True),
    "short": (short, False),
}


def at_every_call(modes: list[str], rows: int, part_rows: int, step: int = 1) -> Counter[str]:
    """Let each call of a run fail, or each so many and the first of each name.

    It ends with our error, and goes on when the disk is well. Returns how it ended, by mode.
    """
    ends: Counter[str] = Counter()
    settings: dict[str, Any] = {"rows": reference.ROWS[:rows], "part_rows": part_rows}
    with place() as root:
        whole, calls = whole_run(root / "whole", **settings)
        (root / "first").mkdir()
        names = points(root / "first", settings, within=True)
        for mode in modes:
            act, forever = MODES[mode]
            for at in chosen(names, 1 if act is short else step):
                name = names[at]
                if act is short and name != "half a write":
                    continue
                trial = Trial(HOME.fresh(root / "trial"), settings)
                boundary = Boundary(act, at, forever)
                try:
                    status = trial.run(lambda to=boundary: build(to, within=True))
                    assert status == 0 or act is not short
                    trial.finish(whole, calls)
                except AssertionError as error:
                    error.add_note(f"{mode} at point {at}: {name}")
                    raise
                ends[f"{mode}: {'refused' if status == REFUSED else 'went on'}"] += 1
    return ends
