"""The REPL in a pipe: each statement of a text is printed and run."""

from __future__ import annotations

from collections.abc import Iterable

from chainlang.cli.output import emit
from chainlang.cli.repl.session import Session
from chainlang.cli.repl.statements import is_whole


def run_lines(session: Session, lines: Iterable[str]) -> bool:
    """Run the statements of some lines; return whether all succeeded."""
    ok = True
    pending = ""
    for line in lines:
        pending += line
        if not is_whole(pending):
            continue
        ok &= _run(session, pending)
        pending = ""
        if session.is_over:
            return ok
    return _run(session, pending) and ok


def _run(session: Session, text: str) -> bool:
    if not text.strip():
        return True
    emit("> " + text.rstrip().replace("\n", "\n. "))
    return session.execute(text)
