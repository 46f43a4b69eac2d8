"""The long run: `python -m tests.fuzz COUNT [--seed SEED] [--entry NAME] [--total]`."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from .entries import ENTRIES, hunt, shrunk

_CHUNK = 5_000


def main() -> int:
    """Run until all inputs are done or one fails; 1 if one did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "count", type=int, nargs="?", default=100_000, help="inputs into each entry"
    )
    parser.add_argument("--seed", default=None, help="repeat the run that printed this seed")
    parser.add_argument("--entry", choices=sorted(ENTRIES), action="append", help="only this one")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    for name in options.entry or ENTRIES:
        started, busy = time.monotonic(), time.process_time()
        print(f"{name}: {options.count:,} inputs, seed {seed}", flush=True)
        for done in range(0, options.count, _CHUNK):
            size = min(_CHUNK, options.count - done)
            failure = hunt(name, f"{seed} {done // _CHUNK}", size)
            if failure is not None:
                least = shrunk(name, failure)
                print(f"\n{name}: an input of chunk {done // _CHUNK} failed, seed {seed}")
                print(
                    f"input:   {failure.text!r}\nminimal: {least.text!r}\n{least.shown}", flush=True
                )
                return 1
            seconds = max(time.monotonic() - started, 1e-9)
            rate = (done + size) / max(time.process_time() - busy, 1e-9)
            line = f"  {done + size:,} in {seconds:,.0f} s; {rate:,.0f} per second of CPU"
            print(line, end="\r" if sys.stdout.isatty() else "\n", flush=True)
        print(flush=True)
    entries = len(options.entry or ENTRIES)
    print(f"{options.count:,} inputs into each of {entries} entries, none failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
