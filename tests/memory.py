"""The most memory that this process has held."""

from __future__ import annotations

import re
from pathlib import Path


def peak() -> int:
    """Return bytes: those of this program alone.

    `resource.getrusage` has the peak of the process that this one was forked from, too.
    """
    said = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", said, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
