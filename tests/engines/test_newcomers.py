"""What is said to somebody who asks a server for the first time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainlang.cli import execute
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.models.open_engines import close_engines
from tests.cases import Case, each_case
from tests.engines.server import Answer, Server, as_json, echo, error, in_turn
from tests.engines.test_openai import ask, finish, texts


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
    monkeypatch.delenv("CHAINLANG_OTHER_KEY", raising=False)
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


@pytest.mark.parametrize(
    "first",
    [
        error(400, "messages: Field required"),
        as_json({"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}, 422),
        error(404, "there is no model ''"),
        error(429, "slow down"),
        error(500, "KeyError: 'messages'"),
        Answer(b"<html>Bad gateway</html>", 502, type="text/html"),
        Answer(b"the model is loading", 503, type="text/plain"),
        Answer(cut=0),
    ],
    ids=lambda first: f"{first.status} {first.type}",
)
def test_a_server_that_knows_no_empty_question_or_is_in_trouble_is_asked(first: Answer) -> None:
    with Server(echo, first) as server:
        engine = OpenAIEngine(base_url=server.url)
        for name in ("1", "2"):
            assert texts(finish(engine, ask(name))[name]) == [f"{name}/100"]
        engine.close()
        assert server.probed == 1
