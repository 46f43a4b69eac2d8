"""A run over rows of which some are done: the time to the first new one, and the memory.

The chainlang is that of a folder.
"""

import resource
import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from serve import serve

from chainlang import chain
from chainlang.engines.fake import FakeEngine


def run(text: str, source: str, out: str, done: int) -> dict[str, Any]:
    began, cpu = time.monotonic(), time.process_time()
    first: list[float] = []

    def on_row(*_: object) -> None:
        if not first:
            first.extend((time.monotonic() - began, time.process_time() - cpu))

    summary = chain(text).run(source, out, engine=FakeEngine(), on_row=on_row)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, on Linux
    drawn = summary.usage.calls - summary.recorded
    found = {"rows": summary.rows - done, "drawn": drawn, "peak": peak / 1024}
    return {**found, "first": first[0], "first_cpu": first[1]}


serve(run)
