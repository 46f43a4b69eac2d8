"""What stays of a run: its folder of files."""

from chainlang.store.clear import JOURNAL
from chainlang.store.folder import About, RunFolder
from chainlang.store.journal import Journal

__all__ = ["JOURNAL", "About", "Journal", "RunFolder"]
