"""What is said to somebody who asks a server for the first time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainlang.cli import execute
from chainlang.sessions import close_engines
from tests.cases import Case, each_case
from tests.engines.server import Answer, Server, in_turn


@each_case("servers/*.cases")
def test_what_a_newcomer_reads(
    case: Case,
    golden: Callable[[Case, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("CHAINLANG_KEY", "sk-secret")
    monkeypatch.delenv("CHAINLANG_OTHER", raising=False)
    file = case.files(Path())
    with _somebody(*(_answer(Path(name)) for name in ("first", "then"))) as port:
        file.write_text(file.read_text().replace(":8000", f":{port}"))
        status = execute(["ask", str(file), "What is 17 + 25?"])
        close_engines()
    out, err = capsys.readouterr()
    assert not out
    golden(case, f"status {status}\n{err.strip()}".replace(f":{port}", ":8000"))


def _answer(path: Path) -> Answer | None:
    if not path.exists():
        return None
    first, _, body = path.read_text().partition("\n")
    status, kind, *location = first.split()
    headers = {"Location": location[0]} if location else {}
    return Answer(body.strip().encode(), int(status), kind, headers)


@contextmanager
def _somebody(first: Answer | None, then: Answer | None) -> Iterator[int]:
    """Yield the port of a server that answers so; of nobody, if it says nothing."""
    if first is None:
        with socket.socket() as taken:  # and nobody listens there
            taken.bind(("127.0.0.1", 0))
            yield taken.getsockname()[1]
        return
    with Server(in_turn(then or first), first) as server:
        yield server.port
