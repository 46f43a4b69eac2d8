"""What stays of a run: its folder of files."""

from chainlang.store.clear import JOURNAL
from chainlang.store.folder import About, RunFolder

__all__ = ["JOURNAL", "About", "RunFolder"]
