"""A chain over a file of rows into a run folder, with the chainlang of a folder, and its memory."""

import resource
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

from serve import serve

from chainlang import chain
from chainlang.engines.fake import FakeEngine


def run(text: str, source: str, out: str) -> dict[str, Any]:
    summary = chain(text).run(source, out, engine=FakeEngine(), overwrite=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, on Linux
    return {"rows": summary.rows, "failed": summary.failed, "peak": peak / 1024}


chain("2:E >> M")("What is 17 + 25?", engine=FakeEngine())  # loads what is loaded when needed
serve(run)
