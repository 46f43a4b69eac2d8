"""``python -m chainlang``, and the program `chainlang`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run a command: `ask` in the ready process, if there is one for it, and else in this one."""
    if sys.argv[1:2] == ["ask"] and sys.platform == "linux":
        from chainlang.ready.command import run_ready

        run_ready(sys.argv[1:])
    from chainlang.cli import main as run

    run()


if __name__ == "__main__":
    main()
