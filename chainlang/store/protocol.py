"""Protocols of what keeps samples: a level of the cache, and the store of a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from chainlang.errors import ChainlangError
from chainlang.store.sample_codec import Drawn


class Level(Protocol):
    """A level of the cache: samples by key, with eviction."""

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, replacing those under the same keys."""
        ...

    def close(self) -> None:
        """Release the resources of the level. Closing twice does nothing."""
        ...


class Store(Protocol):
    """Samples and notes of one run, each with a checksum; it belongs to a single process.

    What was recorded or saved when a method returns survives a crash of the process and of the
    machine. Methods raise `SourceError` for an entry that is damaged, and if the store fails.
    """

    @property
    def is_new(self) -> bool:
        """Whether this process has begun it, so that all keys in it are of the newest format."""
        ...

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn], notes: Mapping[str, bytes]) -> None:
        """Record samples and save notes, all or none. Samples of keys that are present stay."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the note of a name; None if there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the names of notes that begin with a prefix, sorted."""
        ...

    def damaged(self, what: str) -> ChainlangError:
        """Return the error of a damaged store."""
        ...

    def close(self) -> None:
        """Release the store. Closing twice does nothing."""
        ...

    def __len__(self) -> int:
        """Return the number of samples."""
        ...
