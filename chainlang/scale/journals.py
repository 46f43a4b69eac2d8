"""Journals of shards: files of their folders, or in the database that their runs had as a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from attrs import frozen

from chainlang.errors import error_of
from chainlang.protocol.secret import Secret
from chainlang.session.journal_home import store_url
from chainlang.settings import RunSettings
from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal import Journal
from chainlang.store.postgres import Postgres
from chainlang.store.postgres_store import PostgresStore
from chainlang.store.safe_files import Folder
from chainlang.store.sqlite_store import SqliteStore

_STORE = "name the database: --store 'env(\"DATABASE_URL\")', in Python store=..."


@frozen
class Journals:
    """The journals of shards, and the address of a database that may have them."""

    url: Secret | None
    patience: float

    @staticmethod
    def of_store(store: str | None) -> Journals:
        """Return the journals with a `store`, else with that of the environment or a file."""
        settings = RunSettings.of({} if store is None else {"store": store})
        return Journals(store_url(settings), settings.patience)

    @contextmanager
    def of(self, root: Folder, metadata: Mapping[str, Any]) -> Iterator[Journal]:
        """Open the journal of a shard for reading, until the block ends.

        Raises `SourceError` if it is neither in the folder nor in the database.
        """
        if root.kind(JOURNAL) == "file":
            with closing(Journal.open(root)) as journal:
                yield journal
            return
        with self._stored(root, metadata) as store:
            yield Journal(store)

    def copy(self, root: Folder, metadata: Mapping[str, Any], store: SqliteStore) -> None:
        """Add the samples of a shard to a store."""
        if root.kind(JOURNAL) == "file":
            store.adopt(f"/proc/self/fd/{root.fd}/{JOURNAL}")
            return
        with self._stored(root, metadata) as found:
            for rows in found.samples():
                store.add(rows)

    @contextmanager
    def _stored(self, root: Folder, metadata: Mapping[str, Any]) -> Iterator[PostgresStore]:
        said = metadata.get("journal")
        if not isinstance(said, Mapping) or not isinstance(said.get("run"), str):
            what = f"{root.path}: the journal of this shard is missing"
            raise error_of("file", what, "one in a database is known once its shard is complete")
        if self.url is None:
            what = f"{root.path}: the journal of this shard is in {said.get('at')}"
            raise error_of("file", what, _STORE, setting="store")
        again = "merge again: the shards are not changed"
        opened = Postgres.open(self.url, patience=self.patience, if_failed=again)
        with closing(opened):
            store = PostgresStore.open(opened, said["run"])
            if not store.has_notes():
                what = f"{root.path}: {opened.name} has no journal of the run {said['run']}"
                raise error_of("file", what, _STORE, setting="store")
            yield store
