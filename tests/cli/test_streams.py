"""Standard streams: terminals obey nothing that a model says, and streams may be closed or full."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from chainlang.diagnostics.render import escaped
from tests.engines.server import Answer, Server, good

EVIL = {
    "the clipboard": "\x1b]52;c;aGk=\x07",
    "a colour": "\x1b[31mred",
    "an escape of one byte": "\x9b31m",
    "the line again": "harmless\rrm -rf",
    "another direction": "abc\u202edef",
    "a bell": "\x07",
}
FILE = 'model m = openai("x", base_url="{url}")\nmain = E:m\n'


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chainlang", *arguments]


def on_terminal(folder: Path, *arguments: str, both: bool = True) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    err = theirs if both else subprocess.DEVNULL
    with subprocess.Popen(
        command(*arguments), cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=err
    ) as process:
        os.close(theirs)
        found = b""
        try:
            while part := os.read(ours, 4096):
                found += part
        except OSError:  # the end of a terminal
            pass
        process.wait()
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


@pytest.mark.slow
def test_an_answer_is_escaped_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    """One answer has them all: the three commands take most of the time."""
    answer = "".join(f"a\n{evil}z\n" for evil in EVIL.values()) + "b"
    with Server(lambda _: good(answer)) as server:
        (tmp_path / "a.chain").write_text(FILE.format(url=server.url))
        ask = ("ask", "a.chain", "q")
        shown = on_terminal(tmp_path, *ask, both=False)
        raw = on_terminal(tmp_path, *ask, "--raw", both=False)
        piped = subprocess.run(
            command(*ask), cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert shown == "".join(f"a\n{escaped(evil)}z\n" for evil in EVIL.values()) + "b\n"
    for evil in EVIL.values():
        assert evil not in shown
        assert evil in raw
        assert evil in piped.stdout or "\r" in evil


@pytest.mark.slow
def test_nor_does_a_terminal_obey_messages_and_names(tmp_path: Path) -> None:
    answer = Answer(b"{}", 400, type="text/\x1b]52;c;aGk=\x07")
    with Server(lambda _: answer, answer) as server:
        (tmp_path / "a.chain").write_text(FILE.format(url=server.url))
        shown = on_terminal(tmp_path, "ask", "a.chain", "q")
        chain = "\"E:'\x1b]52;c;aGk=\x07'\""
        shown += on_terminal(tmp_path, "show", "--as", "notation", chain.strip('"'))
        shown += on_terminal(tmp_path, "explain", chain.strip('"'))
    assert "aGk=" in shown
    assert "\x1b]52" not in shown
    assert "\x07" not in shown


# ---------------------------------------------------------------- closed, and full


def run(folder: Path, shell: str) -> subprocess.CompletedProcess[str]:
    line = f"{sys.executable} -m chainlang {shell}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.chain").write_text('model m = fake("x")\nmain = E:m\n')
    (tmp_path / "rows.jsonl").write_text('{"query": "q"}\n{"query": 5}\n')
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["ask a.chain q", "show a.chain", "explain a.chain",
                                   "check --json a.chain"])  # fmt: skip
@pytest.mark.parametrize("end", [">&-", "> /dev/full"])
def test_a_result_without_a_place_is_an_error(shell: str, end: str, folder: Path) -> None:
    found = run(folder, f"{shell} {end}")
    assert found.returncode == 2
    assert "stdout" in found.stderr
    assert "error[file]: " in found.stderr
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("end", ["2>&-", ">&- 2>&-", "2> /dev/full", "<&- >&- 2>&-"])
def test_a_run_works_without_streams(end: str, folder: Path) -> None:
    found = run(folder, f"run a.chain -i rows.jsonl -o out {end}")
    assert found.returncode in (0, 1)
    assert (found.stdout, found.stderr) == ("", "")
    assert (folder / "out" / "flattened" / "000.jsonl").read_text().count("\n") == 2
    assert run(folder, f"check a.chain {end}").returncode == 0
    (folder / "b.chain").write_text("main = EE\n")
    assert run(folder, f"check b.chain {end}").returncode == 2


@pytest.mark.slow
def test_an_answer_needs_no_stderr(folder: Path) -> None:
    found = run(folder, "ask a.chain q 2>&-")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.strip()
