"""A program that is measured in a process of its own: it does a job for each line it is sent.

Jobs and reports are lines of JSON. The programs stand alone: some run where chainlang is not
installed, so they import nothing of this package.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

# Reports go where the output went when the program began; what libraries print is no report.
REPORTS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


Found = dict[str, Any]


def serve(run: Callable[..., Found | Callable[[], Found]]) -> None:
    """Call `run` with each job, and report the seconds it took, of the clock and of the CPU.

    What else there is to report `run` returns, or a function that finds it when the clock stands.
    """
    print("{}", file=REPORTS, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        gc.collect()
        started, cpu = time.perf_counter(), time.process_time()
        found = run(**job)
        taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        more = found() if callable(found) else found
        print(json.dumps({**taken, **more}), file=REPORTS, flush=True)
