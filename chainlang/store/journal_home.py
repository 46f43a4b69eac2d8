"""Homes of journals: a file in the folder of the run, or a database that machines share."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Protocol

from attrs import define, frozen

from chainlang.errors import error_of
from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal import Journal
from chainlang.store.postgres import Postgres
from chainlang.store.postgres_store import PostgresStore
from chainlang.store.safe_files import Folder


class JournalHome(Protocol):
    """The place of the journal of a run: it belongs to the folder of the run."""

    def holds(self, root: Folder) -> bool:
        """Return whether there is a journal of a run in this folder."""
        ...

    def has_elsewhere(self, root: Folder) -> bool:
        """Return whether there is a journal of the folder that is not in it."""
        ...

    def open(self, root: Folder, *, private: bool = False) -> Journal:
        """Open the journal for writing; create it if missing, with `private` for its owner only."""
        ...

    def read(self, root: Folder) -> AbstractContextManager[Journal]:
        """Open the journal for reading, until the block ends."""
        ...

    def erase(self) -> None:
        """Remove the journal, where it is no file that `cleanup.clear` removes."""
        ...

    def metadata(self) -> dict[str, object]:
        """Return what the metadata of a run say about its journal."""
        ...

    @property
    def waited(self) -> float:
        """Seconds of waiting for a database."""
        ...


@frozen
class InFolder:
    """The home of a journal that is a file in the folder of its run."""

    def holds(self, root: Folder) -> bool:
        """Return whether the folder has the file."""
        return root.kind(JOURNAL) == "file"

    def has_elsewhere(self, root: Folder) -> bool:  # noqa: ARG002  # of the protocol
        """Return that there is none."""
        return False

    def open(self, root: Folder, *, private: bool = False) -> Journal:
        """Open the file; create it if missing."""
        return Journal.open(root, private=private)

    def read(self, root: Folder) -> AbstractContextManager[Journal]:
        """Open the file, until the block ends."""
        return closing(Journal.open(root))

    def erase(self) -> None:
        """Do nothing: the file is removed with the others."""

    def metadata(self) -> dict[str, object]:
        """Return nothing: the file is in the folder."""
        return {}

    @property
    def waited(self) -> float:
        """None: it is no database."""
        return 0.0


IN_FOLDER = InFolder()


@define(eq=False)
class InPostgres:
    """The home of journals in a database, each under the absolute path of its folder.

    So a run is resumed on another machine in a folder with the same path.
    """

    store: PostgresStore

    @staticmethod
    def of(database: Postgres, folder: str | os.PathLike[str]) -> InPostgres:
        """Return the home in a database of the run in a folder."""
        return InPostgres(PostgresStore.open(database, os.path.abspath(folder)))  # noqa: PTH100

    def holds(self, root: Folder) -> bool:
        """Return whether the database has notes of the run.

        Raises `SourceError` for a folder that has a journal of its own.
        """
        if root.kind(JOURNAL) == "file":
            what = f"{root.path}: the journal of the run in this folder is {JOURNAL}"
            hint = "leave out store, or name a new folder"
            raise error_of("file", what, hint)
        return self.store.has_notes()

    def has_elsewhere(self, root: Folder) -> bool:
        """Return whether the database has notes of the run, and the folder no journal."""
        return root.kind(JOURNAL) != "file" and self.store.has_notes()

    def open(self, root: Folder, *, private: bool = False) -> Journal:  # noqa: ARG002  # of files
        """Make this process the owner of the run."""
        self.store.own()
        return Journal(self.store)

    def read(self, root: Folder) -> AbstractContextManager[Journal]:  # noqa: ARG002
        """Return the journal without owning it; the database stays open."""
        return nullcontext(Journal(self.store))

    def erase(self) -> None:
        """Make this process the owner of the run, and remove all its samples and notes."""
        self.store.own()
        self.store.erase()

    def metadata(self) -> dict[str, object]:
        """Return the database, and how often and how long it was away."""
        database = self.store.database
        return {
            "journal": {
                "at": database.name,
                "run": self.store.run,
                "waits": database.waits,
                "waited": round(database.waited, 3),
            }
        }

    @property
    def waited(self) -> float:
        """Seconds of waiting for the database."""
        return self.store.database.waited
