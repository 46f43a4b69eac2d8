"""The long runs: `python -m tests.crash WHAT [COUNT] [--seed SEED]`.

boundaries: kill at each step that the disk sees. kills: COUNT kills at random. faults: let each
call of the disk fail. damage: go on with COUNT damaged folders. half: kill COUNT rows at half.
restarts: kill the database of COUNT rows every few seconds.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.crash import damage, faults, half, kill, restarts
from tests.crash.homes import home

WHAT = ("boundaries", "kills", "faults", "damage", "half", "restarts")


def main() -> int:
    """Run one of them, and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("what", choices=[*WHAT])
    parser.add_argument("count", type=int, nargs="?", default=1_000)
    parser.add_argument("--seed", default=None, help="repeat the run that printed this seed")
    parser.add_argument("--format", default="jsonl", help="of the results")
    parser.add_argument(
        "--step",
        type=int,
        default=1,
        help="take each so many boundaries or calls, and the first of each kind",
    )
    parser.add_argument("--mode", action="append", choices=list(faults.MODES), help="of faults")
    parser.add_argument("--rows", type=int, default=20, help="of a run with faults")
    parser.add_argument("--part-rows", type=int, default=8, help="of a part of such a run")
    parser.add_argument(
        "--home", choices=("sqlite", "postgres"), default="sqlite", help="of journals"
    )
    parser.add_argument("--every", type=float, default=2.0, help="seconds between restarts")
    parser.add_argument(
        "--times", type=int, default=0, help="restarts, at equal shares of the samples instead"
    )
    parser.add_argument("--window", type=int, default=64, help="of the run that half is done of")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    print(f"seed {seed}", flush=True)
    started = time.monotonic()
    if options.what == "boundaries":
        with home(options.home):
            hit = kill.at_every_boundary({"format": options.format}, options.step)
        told = f"{sum(hit.values())} boundaries: {dict(sorted(hit.items()))}"
    elif options.what == "faults":
        modes = options.mode or list(faults.MODES)
        ends = faults.at_every_call(modes, options.rows, options.part_rows, options.step)
        told = f"{sum(ends.values())} faults: {dict(sorted(ends.items()))}"
    elif options.what == "damage":
        ends = damage.damaged(options.count, seed)
        told = f"{sum(ends.values())} folders: {dict(sorted(ends.items()))}"
    elif options.what == "half":
        asked = half.calls(options.count, options.window)
        told = f"{asked:,} calls for {options.count:,} rows, {options.window} of them in flight"
    elif options.what == "restarts":
        times, samples, waited = restarts.restarted(options.count, options.every, options.times)
        told = f"{options.count:,} rows, {samples:,} samples, {times} restarts, 0 lost, 0 twice"
        told += f", {waited:.0f} s of waiting"
    else:
        with home(options.home):
            done, recovering, runs = kill.at_random(options.count, seed)
        told = f"{done} kills, {recovering} of them during recovery, in {runs} runs"
    print(f"{told}; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
