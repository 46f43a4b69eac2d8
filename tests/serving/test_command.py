"""The command: what it says, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.serving.served import PATIENCE, asked, until

CHAIN = 'model m = fake("x")\nother = E:m\npanel = 3:E:m\nmain = $panel >> M\n'


@contextmanager
def command(
    folder: Path, *flags: str, chain: str = CHAIN
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command until its address is there."""
    (folder / "qa.chain").write_text(chain)
    words = [sys.executable, "-m", "chainlang", "serve", "qa.chain", "--port", "0", *flags]
    process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("serving qa at http://127.0.0.1:"), line
            yield process, line.split()[-1]
        finally:
            process.kill()


def posted(url: str, **headers: str) -> httpx2.Response:
    """Return the response to a request for a completion."""
    body = {**asked("Why?"), "model": "qa"}
    return httpx2.post(f"{url}/chat/completions", json=body, headers=headers, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, sent: int, status: int) -> None:
    with command(tmp_path) as (process, url):
        found = posted(url)
        assert found.json()["chainlang"]["calls"] == 3
        process.send_signal(sent)
        assert process.wait(PATIENCE) == status
        assert process.stderr is not None
        assert process.stderr.read() == ("interrupted\n" if sent == signal.SIGINT else "")


SLOW = """
import pathlib
import time


def slow(answer):
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return answer
"""


@pytest.mark.slow
def test_a_row_in_flight_is_answered_after_sigterm(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    chain = CHAIN.replace("$panel >> M", "$panel >> M >> @slow")
    with command(tmp_path, "--functions", "slow.py", chain=chain) as (process, url):
        found: list[httpx2.Response] = []
        asking = threading.Thread(target=lambda: found.append(posted(url)))
        asking.start()
        until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        expected = "requests in flight: 1; they have 30 s, Ctrl-C ends them\n"
        assert process.stderr.readline() == expected
        (tmp_path / "go").touch()
        asking.join()
        assert process.wait(PATIENCE) == 0
    assert found[0].status_code == 200


@pytest.mark.slow
def test_keys_and_bounds_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "a")
    monkeypatch.setenv("KEY_B", "b")
    flags = ["--key", "one=env:KEY_A", "--key", "two=env:KEY_B", "--rate", "0.01"]
    flags += ["--rate", "two=6000", "--burst", "two=9", "--offered", "two=qa,qa/panel", "--strict"]
    with command(tmp_path, *flags) as (_, url):
        for key, expected in (("a", [200, 429]), ("b", [200, 200]), ("c", [401, 401])):
            several = [posted(url, authorization=f"Bearer {key}") for _ in range(2)]
            assert [one.status_code for one in several] == expected


def refused(*flags: str) -> str:
    words = [sys.executable, "-m", "chainlang", "serve", "E", *flags]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert found.returncode == 2
    return found.stderr


WRONG = {
    ("--rate", "x"): "--rate 'x' is no number",
    ("--rate", "a=1"): "no key is called 'a'",
    ("--rate", "1", "--rate", "2"): "--rate is there twice",
    ("--key", "sk-1"): "write --key NAME=env:VARIABLE",
    ("--key", "a=sk-1"): "write a=env:NAME",
    ("--drain", "-1"): "drain= takes a number of seconds",
    ("--origin", "*"): "is no origin",
    ("--trace-endpoint", "nowhere"): "is no address of a collector",
}


@pytest.mark.slow
@pytest.mark.parametrize("flags", WRONG)
def test_wrong_flags_are_refused(flags: tuple[str, ...]) -> None:
    found = refused(*flags)
    assert WRONG[flags] in found
    assert "sk-1" not in found


@pytest.mark.slow
def test_a_port_that_is_taken_is_refused_before_a_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = refused("--port", str(taken.getsockname()[1]))
    assert "Address already in use" in found
    assert "loading" not in found
