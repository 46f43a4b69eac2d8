"""Commands in bubblewrap: servers beside a chain, with the files and the network that they name.

Inside are the system's programs, the folder that the command is installed in, and what is declared;
no other file, no process of this machine, no network unless it is declared, and no variable but
those it is given. The filter of system calls is that of programs (`seccomp.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chainlang.sandboxes.bwrap import installed, system_folders
from chainlang.sandboxes.seccomp import filter_program

_NOBODY = 65534
_TEMPORARY = 256 << 20  # bytes of /tmp
_ALWAYS = ("/etc/ssl", "/etc/pki", "/etc/alternatives", "/etc/ld.so.cache")
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/run/systemd/resolve")


@contextmanager
def confined(
    argv: list[str],
    *,
    folder: Path,
    read: Iterable[Path] = (),
    write: Iterable[Path] = (),
    network: bool = False,
) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Yield the command line that runs a command inside, and the descriptors that it inherits.

    `folder`: where it starts; it is empty but for what `read` and `write` name. The variables of
    the process are those of the command.
    """
    rules, feed = os.pipe()
    try:
        os.write(feed, filter_program())
        os.close(feed)
        yield _command(argv, rules, folder, tuple(read), tuple(write), network=network), (rules,)
    finally:
        os.close(rules)


def _command(
    argv: list[str],
    rules: int,
    folder: Path,
    read: tuple[Path, ...],
    write: tuple[Path, ...],
    *,
    network: bool,
) -> list[str]:
    shown = [*_ALWAYS, *(_NETWORK if network else ())]
    bound = [it for one in shown for it in ("--ro-bind-try", one, one)]
    for one in (*homes(Path(argv[0])), *read):
        bound += ["--ro-bind", str(one), str(one)]
    for one in write:
        bound += ["--bind", str(one), str(one)]
    return [
        str(installed()),
        *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent"),
        *(("--share-net",) if network else ()),
        *("--new-session", "--seccomp", str(rules), "--cap-drop", "ALL"),
        *("--uid", str(_NOBODY), "--gid", str(_NOBODY), "--hostname", "sandbox"),
        *("--ro-bind", "/usr", "/usr", *system_folders()),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(_TEMPORARY), "--tmpfs", "/tmp"),  # noqa: S108  # its own
        *bound,
        *("--dir", str(folder), "--chdir", str(folder), "--remount-ro", "/", "--"),
        *argv,
    ]


def homes(command: Path) -> list[Path]:
    """Return the folders that an installed command needs: its own, and that of its interpreter.

    A command in no such folder, as one in a user's home, is there alone.
    """
    found: list[Path] = []
    for path in dict.fromkeys((command.absolute(), command.resolve())):
        root = path.parent.parent
        if path.is_relative_to("/usr") or path.is_relative_to("/bin"):
            continue
        is_own = path.parent.name == "bin" and root not in (Path("/"), Path.home())
        found.append(root if is_own else path)
        if is_own and (root / "pyvenv.cfg").is_file():
            found += _base(root / "pyvenv.cfg")
    return list(dict.fromkeys(found))


def _base(configuration: Path) -> list[Path]:
    """Return the folder of the Python that a virtual environment is of."""
    for line in configuration.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home":
            home = Path(value.strip()).resolve()
            return [] if home.is_relative_to("/usr") else [home.parent]
    return []
