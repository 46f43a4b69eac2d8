"""Homes of the journals of the runs that are killed: files, or a database that survives them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define

from tests.postgres_server import LONGEST, Server, running


@define
class Home:
    """Home of the journals: the folders of the runs, or the database of a server."""

    server: Server | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a run."""
        return {} if self.server is None else {"store": self.server.url}

    def keys(self, run: Path) -> list[bytes]:
        """Return the keys of the samples that are recorded. Raises if a file is damaged.

        Of a copy of the file: looking would recover it, and leave less to the run that goes on.
        """
        if self.server is not None:
            self._wait()
            found = "SELECT key FROM chainlang_samples WHERE run = %s"
            is_there = self.server.execute("SELECT to_regclass('chainlang_samples') IS NOT NULL")
            rows = self.server.execute(found, [str(run)]) if is_there == [(True,)] else []
            return [key for (key,) in rows]
        with TemporaryDirectory(dir=run.parent) as copies:
            for one in run.glob("journal.sqlite*"):
                shutil.copy(one, copies)
            database = sqlite3.connect(f"{copies}/journal.sqlite")
            try:
                if not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                    return []
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                return [key for (key,) in database.execute("SELECT key FROM samples")]
            finally:
                database.close()

    def _wait(self) -> None:
        """Wait until the server has noticed that a process is gone."""
        assert self.server is not None
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        end = time.monotonic() + LONGEST
        while self.server.execute(locks) != [(0,)]:
            assert time.monotonic() < end, "a process that is gone still owns its run"
            time.sleep(0.01)

    def fresh(self, path: Path) -> Path:
        """Return the folder of a trial, empty; its run is in no database either."""
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        for table in self._tables():
            self._execute(f"DELETE FROM {table} WHERE run = %s", [str(path / "run")])
        return path

    def copy(self, source: Path, target: Path) -> None:
        """Copy the folder of a trial, with what the database has of its run."""
        if target.exists():
            self.fresh(target)
            target.rmdir()
        shutil.copytree(source, target)
        for table, columns in self._tables().items():
            self._execute(
                f"INSERT INTO {table} (run, {columns}) SELECT %s, {columns} FROM {table} "
                "WHERE run = %s",
                [str(target / "run"), str(source / "run")],
            )

    def _tables(self) -> dict[str, str]:
        if self.server is None:
            return {}
        return {
            "chainlang_samples": "key, entry, sum, owner, model, tokens, made",
            "chainlang_notes": "name, entry, sum",
            "chainlang_runs": "owner, holder, since",
        }

    def _execute(self, command: str, values: list[Any]) -> None:
        assert self.server is not None
        if self.server.execute("SELECT to_regclass('chainlang_samples') IS NOT NULL") == [(True,)]:
            self.server.execute(command, values)


HOME = Home()
"""The home of all runs of this process."""


@contextmanager
def home(name: str) -> Iterator[None]:
    """Let the journals of a block be in files (``sqlite``), or in a database (``postgres``)."""
    if name == "sqlite":
        yield
        return
    with running() as server:
        HOME.server = server
        try:
            yield
        finally:
            HOME.server = None
