"""Files below one folder, opened without following links. All files of a run are opened here.

The path of the folder itself may contain links, as the user chose it. Everything in it is opened
relative to it, one name at a time, so that links inside are not followed. A file is written under a
temporary name, and renamed when it is complete.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal
from weakref import WeakSet

from attrs import define

from chainlang.diagnostics.render import shown
from chainlang.errors import ChainlangError, error_of
from chainlang.store.io_errors import file_errors

TEMPORARY = ".tmp"
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = "a file with this name exists"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
_MORE = os.O_WRONLY | os.O_APPEND | _FLAGS


@define(eq=False)
class Folder:
    """An open folder. Its files and folders are addressed by plain names, not by paths."""

    path: str
    """Path for messages only."""
    fd: int

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Folder:
        """Open a folder; create it if missing, with the permissions of the umask.

        Raises `SourceError` on failure.
        """
        where = Path(path)
        is_there(where)
        try:
            where.mkdir(parents=True, exist_ok=True)
            fd = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileExistsError, NotADirectoryError) as error:
            raise _no_folder(where, _FILE) from error
        except OSError as error:
            raise _no_folder(where, error.strerror or type(error).__name__) from error
        except ValueError as error:  # a NUL in the path
            raise _no_folder(where, "it is not a path") from error
        return Folder(str(where), fd)

    def lock(self) -> None:
        """Lock the folder until it is closed or this process ends.

        Raises `SourceError` if another run has locked it.
        """
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _LOCKED.add(self)
        except BlockingIOError as error:
            what = f"{self.path}: another run is writing to this folder"
            raise error_of("file", what, "wait for it, or name another folder") from error
        except OSError:  # a file system without locks
            return

    def close(self) -> None:
        """Close and unlock the folder. Closing twice does nothing."""
        _LOCKED.discard(self)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @contextmanager
    def inside(self, name: str) -> Iterator[Folder]:
        """Open a folder in this one; create it if missing."""
        _plain(name)
        with file_errors(f"{self.path}/{name}"):
            if not self.kind(name):
                os.mkdir(name, dir_fd=self.fd)
                os.fsync(self.fd)
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=self.fd)
        folder = Folder(f"{self.path}/{name}", fd)
        try:
            yield folder
        finally:
            folder.close()

    def create(self, name: str, *, private: bool = False) -> BinaryIO:
        """Open a new file for writing; it must not exist.

        It has the permissions of the umask, or with `private` only those of its owner.
        """
        return self._opened(name, _NEW, "wb", 0o600 if private else 0o666)

    def append(self, name: str) -> BinaryIO:
        """Open a file that exists, for writing at its end."""
        return self._opened(name, _MORE, "ab")

    def read(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return self._opened(name, os.O_RDONLY | _FLAGS, "rb")

    def _opened(
        self, name: str, flags: int, mode: Literal["wb", "ab", "rb"], permissions: int = 0o666
    ) -> BinaryIO:
        _plain(name)
        with file_errors(f"{self.path}/{name}"):
            fd = os.open(name, flags, permissions, dir_fd=self.fd)
            return os.fdopen(fd, mode)

    def sync(self, name: str) -> None:
        """Sync a file and its directory entry to the disk."""
        with file_errors(f"{self.path}/{name}"), self.append(name) as file:
            os.fsync(file.fileno())
            os.fsync(self.fd)

    def commit(self, temporary: str, name: str) -> None:
        """Sync a complete file, and rename it atomically, replacing an existing file."""
        with file_errors(f"{self.path}/{temporary}"), self.append(temporary) as file:
            os.fsync(file.fileno())
        self.rename(temporary, name)

    def rename(self, before: str, name: str) -> None:
        """Rename a file atomically, replacing an existing file."""
        _plain(before)
        _plain(name)
        with file_errors(f"{self.path}/{name}"):
            os.rename(before, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            os.fsync(self.fd)

    def truncate(self, name: str, length: int) -> None:
        """Truncate an existing file to a length."""
        with file_errors(f"{self.path}/{name}"), self.append(name) as file:
            os.ftruncate(file.fileno(), length)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        _plain(name)
        with file_errors(f"{self.path}/{name}"):
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file atomically."""
        with file_errors(f"{self.path}/{name}"), self.create(name + TEMPORARY) as file:
            file.write(data)
        self.commit(name + TEMPORARY, name)

    def remove(self, name: str) -> None:
        """Remove a file or an empty folder. Of a link, only the link is removed."""
        _plain(name)
        with file_errors(f"{self.path}/{name}"):
            if self.kind(name) == "folder":
                os.rmdir(name, dir_fd=self.fd)
            else:
                os.unlink(name, dir_fd=self.fd)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted."""
        with file_errors(self.path):
            return sorted(os.listdir(self.fd))  # noqa: PTH208  # of an open folder

    def kind(self, name: str) -> Literal["file", "folder", "link", "other", ""]:
        """Return the kind of a name; empty if it does not exist."""
        try:
            mode = os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return ""
        if stat.S_ISDIR(mode):
            return "folder"
        if stat.S_ISREG(mode):
            return "file"
        return "link" if stat.S_ISLNK(mode) else "other"


_LOCKED: WeakSet[Folder] = WeakSet()
"""Folders that this process has locked."""


def _let_go() -> None:
    """Close the locked folders in a forked process: it would keep the lock of its parent's run.

    The lock is the parent's, and holds until the parent ends.
    """
    for folder in tuple(_LOCKED):
        folder.close()


os.register_at_fork(after_in_child=_let_go)


def is_there(path: Path) -> bool:
    """Return whether a path exists; raise `SourceError` if no folder can be created there.

    That is, as far as is known without creating it.
    """
    try:
        if path.exists():
            return True
        above = next(one for one in path.parents if one.exists())
    except (OSError, ValueError) as error:  # a name that is too long, a NUL
        raise _no_folder(path, getattr(error, "strerror", None) or "it is not a path") from error
    if not above.is_dir():
        raise _no_folder(path, f"{above} is a file")
    if not os.access(above, os.W_OK | os.X_OK):
        raise _no_folder(path, f"you may not write to {above}")
    return False


def _no_folder(path: Path, why: str) -> ChainlangError:
    what = f"{path}: can't create this folder: {why}"
    return error_of("file", what, "name another folder for the run")


def _plain(name: str) -> None:
    """Refuse a name that is a path. Callers check names too; this is the last line of defence."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        message = f"{shown(name)} can't be the name of a file in a run folder"
        raise error_of("path", message)
