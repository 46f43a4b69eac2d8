"""Many seeds by hand: `python -m tests.simulation COUNT [--first SEED]`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from tests.simulation.scenario import simulate


def main() -> int:
    """Run seeds; 1 if one failed, which is printed with the command that repeats it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=5_000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    options = parser.parse_args()
    started, virtual, failed = time.process_time(), 0.0, 0
    ends, faults, duplicates = Counter[str](), Counter[str](), 0
    for seed in range(options.first, options.first + options.count):
        try:
            told = simulate(seed)
        except Exception:  # noqa: BLE001  # whatever it is, the seed has failed
            failed += 1
            traceback.print_exc()
            print(f"repeat it: python -m tests.simulation 1 --first {seed}", flush=True)
            continue
        virtual += told.world.loop.time()
        ends += told.ends
        faults += told.world.faults
        duplicates += told.world.duplicates
    seconds = time.process_time() - started
    print(f"runs ended: {dict(ends)}; late duplicates: {duplicates}; faults: {dict(faults)}")
    print(f"{options.count} seeds, {failed} failed, {seconds:.0f} s of CPU, {virtual:,.0f} virtual")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
