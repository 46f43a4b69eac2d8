"""Programs that try to get out of a sandbox, and what they are held against.

``python -m tests.sandboxes.escapes [--scale 0.2]`` runs `tests/fixtures/escapes` in each sandbox,
as the user who runs it and, if that is root, as an ordinary user too: two programs at once, beside
30 processes of the same user. It counts the programs that got out, those that ended later than a
second after their limit, and the processes that are left a second after the last.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from chainlang.sandboxes.bwrap import _SPARE, BwrapSandbox
from chainlang.sandboxes.monty import MontySandbox
from chainlang.sandboxes.program import NAMES, Program, Run, Sandbox

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "fixtures" / "escapes"
ORDINARY = 61_235
"""User of the programs' parent, where root starts them as an ordinary user."""


@frozen
class Attempt:
    """One program of the fixtures."""

    kind: str
    name: str
    source: str


@frozen
class Outcome:
    """Outcomes of the attempts."""

    tried: int
    out: tuple[str, ...]
    late: tuple[str, ...]
    left: tuple[str, ...]
    beside: tuple[str, ...] = field(default=())
    """Traces on the machine that any of the programs left."""


def attempts(step: int = 1) -> list[Attempt]:
    """Return the programs, of each kind one in `step`."""
    found = []
    for path in sorted(FOLDER.glob("*.cases")):
        blocks = path.read_text(encoding="utf-8").split("---- ")[1:]
        for block in blocks[::step]:
            name, _, text = block.partition("\n")
            found.append(Attempt(path.stem, name, text.rpartition("=>\n")[0].strip("\n")))
    return found


@frozen
class Host:
    """What is on the machine for programs to find: secrets, servers, a process."""

    token: str
    folder: Path
    port: int
    servers: tuple[socket.socket, ...]
    victim: subprocess.Popen[bytes]

    def filled(self, source: str) -> str:
        """Return a program with the places of this machine."""
        places: dict[str, object] = {
            "SECRET": self.folder / "secret",
            "SENTINEL": self.folder / "sentinel",
            "FOLDER": self.folder,
            "PORT": self.port,
            "ABSTRACT": self.token[:16],
            "VICTIM": self.victim.pid,
        }
        for name, value in places.items():
            source = source.replace(f"@{name}@", str(value))
        return source

    def touched(self) -> tuple[str, ...]:
        """Return what a program has reached."""
        found = []
        for server in self.servers:
            with suppress(BlockingIOError):
                server.accept()
                found.append(f"a server was reached: {server.getsockname()}")
        found += ["the sentinel was written"] if (self.folder / "sentinel").exists() else []
        found += [] if (self.folder / "secret").exists() else ["the secret was removed"]
        found += [] if self.victim.poll() is None else ["a process was killed"]
        return tuple(found)


@contextmanager
def host() -> Iterator[Host]:
    """Put secrets, servers and a process on the machine, which any user may reach."""
    token = secrets.token_hex(24)
    spare: dict[str, Any] = {"user": _SPARE, "group": _SPARE, "extra_groups": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o777)
        (folder / "secret").write_text(f"secret {token}\n")
        (folder / "secret").chmod(0o666)
        (folder / "secret.py").write_text(f"value = {token!r}\n")
        servers = [socket.create_server(("127.0.0.1", 0))]
        port = servers[0].getsockname()[1]
        with suppress(OSError):
            servers.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        for name in (f"\0{token[:16]}", str(folder / "server")):
            servers.append(socket.socket(socket.AF_UNIX))
            servers[-1].bind(name)
            servers[-1].listen()
        (folder / "server").chmod(0o777)
        for one in servers:
            one.setblocking(False)
            stack.enter_context(one)
        as_user = spare if os.geteuid() == 0 else {}
        victim = stack.enter_context(subprocess.Popen(["sleep", "1000"], **as_user))
        stack.callback(victim.kill)
        os.environ["SECRET"] = token
        stack.callback(os.environ.pop, "SECRET", None)
        yield Host(token, folder, port, tuple(servers), victim)


@contextmanager
def crowd(number: int) -> Iterator[list[int]]:
    """Run processes of the user whom programs run as."""
    user: dict[str, Any] = {"user": _SPARE} if os.geteuid() == 0 else {}
    others = [subprocess.Popen(["sleep", "1000"], **user) for _ in range(number)]
    try:
        yield [one.pid for one in others]
    finally:
        for one in others:
            one.kill()
            one.wait()


def is_out(attempt: Attempt, run: Run, token: str) -> bool:
    """Return whether the result of a program shows that it got out."""
    said = run.to_json()
    if attempt.kind == "results":  # its tests can't pass
        return run.ok or "FORGED" in json.dumps(run.value)
    return token in said or "OUT" in json.dumps(run.value) or "OUT" in run.stdout.split()


def tried(
    sandbox: Sandbox,
    programs: list[Attempt],
    *,
    seconds: float,
    closing: float,
    at_once: int = 1,
    beside: int = 0,
) -> Outcome:
    """Run programs in a sandbox, and return how many got out, were late, or are left.

    `closing` are the seconds after which no process may be left.
    """
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans become children of this process
    before = _children()
    out: list[str] = []
    late: list[str] = []
    with host() as machine, crowd(beside) as others:
        known = {machine.victim.pid, *others, *before}

        def attempt(one: Attempt) -> None:
            tests = "assert wins()" if one.kind == "results" else ""
            program = Program(
                source=machine.filled(one.source), tests=tests, seconds=seconds, memory=256
            )
            begun = time.monotonic()
            run = sandbox.run(program)
            if time.monotonic() - begun > seconds * (2 if tests else 1) + 1:
                late.append(f"{one.kind}: {one.name}")
            if is_out(one, run, machine.token):
                out.append(f"{one.kind}: {one.name}: {run.to_json()[:300]}")

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(attempt, programs))
        touched = machine.touched()
        sandbox.close()
        return Outcome(len(programs), tuple(out), tuple(late), _left(known, closing), touched)


def _left(known: set[int], closing: float) -> tuple[str, ...]:
    """Return the processes that this one has become the parent of, and that have not ended."""
    end = time.monotonic() + closing
    while True:
        found = _children() - known
        if not found or time.monotonic() > end:
            return tuple(map(_named, found))
        time.sleep(0.02)


def _children() -> set[int]:
    """Return the children of this process, zombies among them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
    return found


def _named(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()[:80]!r}"
    return str(pid)


def sandbox_of(name: str) -> Sandbox:
    """Return a new sandbox, which is closed at the end of its attempts."""
    return MontySandbox() if name == "monty" else BwrapSandbox()


def ordinary_python() -> str | None:
    """Return a Python of this version that an ordinary user may run; None if there is none."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (sys.executable, f"/usr/bin/python{version}"):
        user = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []}
        with suppress(OSError):
            found = subprocess.run([path, "-c", ""], check=False, capture_output=True, **user)  # type: ignore[call-overload]
            if found.returncode == 0:
                return path
    return None


def apart(
    name: str,
    step: int,
    *,
    seconds: float,
    closing: float,
    at_once: int,
    beside: int,
    ordinary: bool = False,
) -> Outcome:
    """Run programs from a process of its own, which has no children of other tests.

    It is of the same user, or of an ordinary one, whom root becomes.
    """
    python = ordinary_python() if ordinary else sys.executable
    assert python is not None
    packages = Path(attrs.__file__).parents[1]
    monty = shutil.which("monty", path=str(Path(sys.executable).parent)) or ""
    user = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if ordinary else {}
    found = subprocess.run(  # type: ignore[call-overload]
        [
            *(python, "-m", "tests.sandboxes.escapes", "--one", name, "--step", str(step)),
            *("--seconds", str(seconds), "--closing", str(closing)),
            *("--at-once", str(at_once), "--beside", str(beside)),
        ],
        env={
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PATH": "/usr/bin:/bin" if ordinary else os.environ["PATH"],
            "MONTY_BIN": monty,
        },
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    if found.returncode:
        raise RuntimeError(found.stderr[-2000:])
    return Outcome(**{key: value if key == "tried" else tuple(value)
                      for key, value in json.loads(found.stdout).items()})  # fmt: skip


def main() -> int:
    """Run the programs, print what became of them, and return 1 if one was not held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--one", choices=NAMES)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--closing", type=float, default=1.0)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--beside", type=int, default=30)
    options = parser.parse_args()
    how = {name: getattr(options, name) for name in ("seconds", "closing", "at_once", "beside")}
    if options.one:
        found = tried(sandbox_of(options.one), attempts(options.step), **how)
        print(
            json.dumps(
                {one: getattr(found, one) for one in Outcome.__slots__ if one != "__weakref__"}
            )
        )
        return 0
    step = max(1, round(1 / options.scale))
    total = [0, 0, 0, 0]
    for name in NAMES:
        outcomes = {"as this user": apart(name, step, **how)}
        if os.geteuid() == 0:
            outcomes = {"as root": outcomes.pop("as this user")}
            outcomes["as an ordinary user"] = apart(name, step, **how, ordinary=True)
        for who, one in outcomes.items():
            print(f"{name} {who}: {one.tried} programs")
            for words in (*one.out, *one.late, *one.left, *one.beside):
                print(f"  {words}")
            counts = (one.tried, len(one.out) + len(one.beside), len(one.late), len(one.left))
            total = [before + count for before, count in zip(total, counts, strict=True)]
    print(f"{total[0]} programs: {total[1]} out, {total[2]} late, {total[3]} processes left")
    return int(any(total[1:]))


if __name__ == "__main__":
    sys.exit(main())
