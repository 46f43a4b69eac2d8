"""The ready process: a command in it does what it does in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import chainlang
from chainlang.cli import execute
from chainlang.ready import meeting
from chainlang.ready.control import Ready, end, ready_processes
from tests.cases import Case, cases
from tests.engines.server import Server, good

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="warm models are there on Linux alone"),
]
CHAINLANG = [sys.executable, "-m", "chainlang"]
FAKE = ["--models", 'f=fake("f")']
ASKING = [one for one in cases("cli/*.cases") if one.text.startswith("chainlang ask")]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a command, in which it finds this package alone."""
    root = str(Path(chainlang.__file__).parents[1])
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**own, "PYTHONPATH": root, "NO_COLOR": "1", "COLUMNS": "80", **more}


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    return subprocess.run(command, check=False, timeout=120, **options)


@contextmanager
def started(folder: Path, path: str | None = None) -> Iterator[str]:
    """Keep a process ready, and yield the cache folder in which commands find it."""
    warm = folder / "chainlang" / "warm"
    warm.mkdir(parents=True, mode=0o700)
    program = (  # a process like those of the commands starts it, as `warmup` is one
        "from chainlang.cli.ready_process import PROGRAM\n"
        "from chainlang.ready.control import start, wait\n"
        "print(wait(start(PROGRAM)).pid)"
    )
    environ = environment(
        XDG_CACHE_HOME=str(folder), **({} if path is None else {"PYTHONPATH": path})
    )
    done = run([sys.executable, "-c", program], env=environ, capture_output=True, cwd=path)
    assert done.returncode == 0, done.stderr
    try:
        yield str(folder)
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(done.stdout), signal.SIGKILL)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(tmp_path_factory.mktemp("cache")) as found:
        yield found


def ready(cache: str) -> list[Ready]:
    """Return the ready processes that a cache folder leads to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)
        return list(ready_processes())


def ask(cache: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `chainlang ask` beside the ready process."""
    more = options.pop("env", {})
    return run(
        [*CHAINLANG, "ask", *words],
        env=environment(XDG_CACHE_HOME=cache, **more),
        capture_output=True,
        text=True,
        **options,
    )


# ---------------------------------------------------------------- what a command says


@pytest.mark.quick(8)
@pytest.mark.parametrize("case", ASKING, ids=[f"{one.path.stem}: {one.name}" for one in ASKING])
def test_a_command_says_what_it_says_alone(case: Case, cache: str, tmp_path: Path) -> None:
    """The expected texts are those of commands in a process of their own."""
    first = case.files(tmp_path)
    command = first.read_text().splitlines()[0]
    first.unlink()
    done = run(
        ["/bin/sh", "-c", command.replace("chainlang ask", '"$0" -m chainlang ask'), CHAINLANG[0]],
        cwd=tmp_path,
        env=environment(XDG_CACHE_HOME=cache),
        capture_output=True,
        text=True,
    )
    shown = [f"status {done.returncode}"]
    shown += [f"stdout:\n{done.stdout.rstrip()}"] if done.stdout.strip() else []
    shown += [f"stderr:\n{done.stderr.rstrip()}"] if done.stderr.strip() else []
    assert "\n".join(shown) == case.expected


ABOUT = """
import json, os, sys
def about(answer):
    umask = os.umask(0); os.umask(umask)
    return json.dumps({
        "parent": os.getppid(), "folder": os.getcwd(), "words": sys.argv[1:4], "umask": umask,
        "environment": {k: v for k, v in os.environ.items() if k.startswith("OWN_")},
        "terminal": [os.isatty(n) for n in range(3)], "path": sys.path[0],
        "streams": [(s.encoding, s.errors, s.newlines, s.line_buffering, s.write_through)
                    for s in (sys.stdin, sys.stdout, sys.stderr)],
        "session": os.getsid(0) == os.getpid(), "files": sorted(os.listdir("/proc/self/fd"))[:3],
    })
"""


@pytest.fixture
def functions(tmp_path: Path) -> list[str]:
    """Return the words of a command that prints the process that it runs in."""
    (tmp_path / "about.py").write_text(ABOUT)
    return ["E:f >> @about", "x", "--functions", str(tmp_path / "about.py"), *FAKE]


def about(cache: str, words: list[str], **options: Any) -> dict[str, Any]:
    done = ask(cache, *words, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_command_has_its_folder_words_and_environment(
    cache: str, functions: list[str], tmp_path: Path
) -> None:
    ((_, pid, *_),) = ready(cache)
    there = about(cache, functions, cwd=tmp_path, env={"OWN_KEY": "sk-1"})
    alone = about(str(tmp_path), functions, cwd=tmp_path, env={"OWN_KEY": "sk-1"})
    assert there.pop("parent") == pid
    assert alone.pop("parent") == os.getpid()
    assert there.pop("session")
    assert not alone.pop("session")
    assert there == alone
    assert there["environment"] == {"OWN_KEY": "sk-1"}
    assert about(cache, functions, env={"OWN_URL": "http://x"})["environment"] == {
        "OWN_URL": "http://x"
    }


def test_it_has_no_key_of_the_one_who_started_it(cache: str) -> None:
    ((_, pid, *_),) = ready(cache)
    names = [
        one.partition(b"=")[0] for one in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    ]
    kept = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "OPENSSL_", "HOME", "PATH", "TMPDIR")
    assert [
        one for one in names if one and not one.decode().startswith((*kept, "VIRTUAL", "XDG"))
    ] == []


def test_stdin_is_the_command_s(cache: str) -> None:
    done = ask(cache, "E:f", "-", *FAKE, input="What is 2 + 2?")
    assert done.stdout == ask("/nowhere", "E:f", "What is 2 + 2?", *FAKE).stdout


def test_a_command_in_a_terminal_has_it(cache: str, functions: list[str]) -> None:
    ((_, pid, *_),) = ready(cache)
    parent, child = pty.openpty()
    environ = environment(XDG_CACHE_HOME=cache)
    process = subprocess.Popen(
        [*CHAINLANG, "ask", *functions], env=environ, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    said = b""
    with suppress(OSError):  # the terminal ends with its last process
        while more := os.read(parent, 4096):
            said += more
    os.close(parent)
    assert process.wait(60) == 0, said
    found = json.loads(said)
    assert found["parent"] == pid
    assert found["terminal"] == [True, True, True]
    assert found["streams"][1][3]


@pytest.mark.parametrize("name", ["ready", "alone"])
def test_a_reader_that_has_gone_is_no_error(name: str, cache: str, tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    home = cache if name == "ready" else str(tmp_path)
    process = run(
        [*CHAINLANG, "ask", "E:f", "x", *FAKE],
        env=environment(XDG_CACHE_HOME=home), stdout=writes, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writes)
    assert (process.returncode, process.stderr) == (0, b"")


# ---------------------------------------------------------------- signals


@frozen
class Silent:
    """A server that answers once it is let."""

    server: Server
    goes_on: threading.Event


@pytest.fixture
def silent() -> Iterator[Silent]:
    goes_on = threading.Event()

    def late(_: Any) -> Any:
        assert goes_on.wait(600)
        return good("late")

    with Server(late) as one:
        yield Silent(one, goes_on)
        goes_on.set()


def waiting(silent: Silent, cache: str) -> subprocess.Popen[bytes]:
    """Return a command whose request the server has."""
    model = f's=openai("s", base_url="{silent.server.url}")'
    process = subprocess.Popen(
        [*CHAINLANG, "ask", "E:s", "x", "--models", model],
        env=environment(XDG_CACHE_HOME=cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not silent.server.bodies:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("name", ["ready", "alone"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_signals_reach_the_command(
    name: str, number: signal.Signals, status: int, silent: Silent, cache: str, tmp_path: Path
) -> None:
    process = waiting(silent, cache if name == "ready" else str(tmp_path))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert out == b""
    assert err.endswith(b"\ninterrupted\n") == (number == signal.SIGINT)


def test_a_command_that_is_killed_ends(silent: Silent, cache: str) -> None:
    ((_, pid, *_),) = ready(cache)
    before = _children(pid)
    process = waiting(silent, cache)
    (child,) = _children(pid) - before
    process.kill()
    process.communicate()
    while child in _children(pid):
        time.sleep(0.01)


def test_a_command_is_stopped_and_goes_on(silent: Silent, cache: str) -> None:
    ((_, pid, *_),) = ready(cache)
    before = _children(pid)
    process = waiting(silent, cache)
    (child,) = _children(pid) - before
    process.send_signal(signal.SIGTSTP)
    while not _state(child) == _state(process.pid) == "T":
        time.sleep(0.01)
    process.send_signal(signal.SIGCONT)
    silent.goes_on.set()
    assert process.communicate(timeout=60)[0] == b"late\n"
    assert process.returncode == 0


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _children(pid: int) -> set[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(one) for one in text.split()}


# ---------------------------------------------------------------- where a command runs alone


def test_what_it_can_not_be_sent_runs_alone(
    cache: str, functions: list[str], tmp_path: Path
) -> None:
    def parent(**options: Any) -> int:
        return int(about(cache, functions, **options)["parent"])

    assert parent() != os.getpid()
    assert parent(env={"LC_ALL": "C"}) == os.getpid()
    assert parent(umask=0o077) == os.getpid()
    (tmp_path / "row").write_text("hi")
    with (tmp_path / "row").open() as file:
        words = [f"@/dev/fd/{file.fileno()}" if one == "x" else one for one in functions]
        assert about(cache, words, pass_fds=[file.fileno()])["parent"] == os.getpid()


def test_the_folder_is_of_one_user(cache: str, functions: list[str]) -> None:
    folder = Path(cache, "chainlang", "warm")
    folder.chmod(0o755)
    try:
        assert about(cache, functions)["parent"] == os.getpid()
        with pytest.raises(PermissionError):
            meeting.connected(str(folder / "ready-1.sock"))
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_not_served(cache: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Even one that has got a connection to the socket."""
    ((path, *_),) = ready(cache)
    program = (
        "import os, socket, sys\n"
        "from chainlang.ready.meeting import LOOK, send, short\n"
        "one = socket.socket(socket.AF_UNIX)\n"
        "with short(sys.argv[1]) as name:\n"
        "    os.setresuid(65534, 65534, 0)\n"
        "    one.connect(name)\n"
        "one.settimeout(60)\n"
        "try: send(one, LOOK, [], []); print(one.recv(1))\n"
        "except ConnectionError: print(b'')\n"
    )
    command = [sys.executable, "-c", program, path]
    Path(path).chmod(0o777)
    folder = Path(path).parent
    folder.chmod(0o777)
    try:
        done = run(command, env=environment(), capture_output=True, text=True)
    finally:
        folder.chmod(0o700)
    assert done.stdout == "b''\n", done.stderr
    assert ready(cache)


def test_a_file_that_has_changed_ends_it(tmp_path: Path, functions: list[str]) -> None:
    root = Path(chainlang.__file__).parents[1]
    for name in ("chainlang", "grammar"):
        shutil.copytree(root / name, tmp_path / name)
    prelude = tmp_path / "chainlang" / "semantics" / "prelude.chain"
    with started(tmp_path / "cache", str(tmp_path)) as cache:
        (first,) = ready(cache)
        words = [*CHAINLANG, "ask", *functions]
        environ = environment(XDG_CACHE_HOME=cache, PYTHONPATH=str(tmp_path))
        found = []
        for _ in range(2):
            done = run(words, env=environ, capture_output=True, cwd=tmp_path)
            found.append(json.loads(done.stdout)["parent"])
            prelude.write_text(prelude.read_text() + "\n")
        assert found == [first.pid, os.getpid()]
        assert not Path(first.path).exists()


# ---------------------------------------------------------------- its life


def test_commands_import_nothing_of_the_package(cache: str, tmp_path: Path) -> None:
    """Else each of them would import it anew."""
    (tmp_path / "loaded.py").write_text(
        "import json, sys\n"
        "def loaded(answer):\n"
        "    ours = ('chainlang', 'httpx2', 'anyio')\n"
        "    return json.dumps([one for one in sys.modules if one.startswith(ours)])\n"
    )
    with Server(lambda _: good("7")) as server:
        model = f's=openai("s", base_url="{server.url}")'
        words = ["3:E:s >> M >> @loaded", "x", "--functions", str(tmp_path / "loaded.py")]
        done = ask(cache, *words, "--models", model)
    assert done.returncode == 0, done.stderr
    program = "import json, sys, chainlang.cli.ready_process as one; one.prepared(); "
    program += "print(json.dumps([*sys.modules]))"
    had = run([sys.executable, "-c", program], env=environment(), capture_output=True)
    own = {"chainlang.semantics.functions_file"}
    assert set(json.loads(done.stdout)) - set(json.loads(had.stdout)) <= own


def test_one_that_is_killed_leaves_its_commands(silent: Silent, tmp_path: Path) -> None:
    with started(tmp_path) as cache:
        ((path, pid, *_),) = ready(cache)
        process = waiting(silent, cache)
        os.kill(pid, signal.SIGKILL)
        silent.goes_on.set()
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (1, b"late\n")
        assert err.endswith(b"has ended, and the exit status of the command is unknown\n")
        assert Path(path).exists()
        assert ask(cache, "E:f", "x", *FAKE).returncode == 0  # it runs alone


def test_kill_ends_it_after_its_commands(
    silent: Silent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with started(tmp_path) as cache:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        (one,) = ready_processes()
        process = waiting(silent, cache)
        assert execute(["doctor"]) in (0, 1)
        assert f"ready for ask: pid {one.pid}" in capsys.readouterr().out
        assert execute(["kill"]) == 0
        said = capsys.readouterr().out
        assert said == f"the ready process {one.pid} ends with the command that it runs\n"
        assert not list(ready_processes())
        silent.goes_on.set()
        assert process.communicate(timeout=60)[0] == b"late\n"
        assert process.returncode == 0
        assert execute(["kill", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == []


def test_one_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "SECONDS", 0.2)
    with started(tmp_path) as cache:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        (one,) = ready_processes()
        os.kill(one.pid, signal.SIGSTOP)
        (stopped,) = ready_processes()
        assert stopped.running is None
        end(stopped)
        assert not list(ready_processes())
