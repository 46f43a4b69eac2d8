"""The files of a run: its folder, its journal, and the sample cache."""

from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal import Journal
from chainlang.store.resume import Source
from chainlang.store.run_folder import About, RunFolder

__all__ = ["JOURNAL", "About", "Journal", "RunFolder", "Source"]
