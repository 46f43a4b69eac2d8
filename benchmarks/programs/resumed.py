"""A run over rows of which some are done: the time to the first new one, and the memory."""

import resource
import time
from typing import Any

from serve import serve

from chainlang import chain
from chainlang.engines.fake import FakeEngine


def run(text: str, source: str, out: str, done: int) -> dict[str, Any]:
    began = time.monotonic()
    first: list[float] = []

    def on_row(*_: object) -> None:
        if not first:
            first.append(time.monotonic() - began)

    summary = chain(text).run(source, out, engine=FakeEngine(), on_row=on_row)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, on Linux
    drawn = summary.usage.calls - summary.recorded
    return {"rows": summary.rows - done, "drawn": drawn, "first": first[0], "peak": peak / 1024}


serve(run)
