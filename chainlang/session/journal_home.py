"""The home of a run's journal, and the address of a store, as the settings configure them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chainlang.errors import error_of
from chainlang.protocol.secret import Secret
from chainlang.settings import RowSettings
from chainlang.settings.setting import FROM_ENV
from chainlang.store.journal_home import IN_FOLDER, InPostgres, JournalHome


@contextmanager
def home_of(settings: RowSettings, folder: Path) -> Iterator[JournalHome]:
    """Open the home of the journal of a folder, until the block ends.

    Raises `SourceError` if a database can't be reached.
    """
    url = store_url(settings)
    if url is None:
        yield IN_FOLDER
        return
    from chainlang.store.postgres import Postgres

    again = "finished samples are saved; re-run the same command to resume"
    opened = Postgres.open(url, patience=settings.patience, if_failed=again, say=settings.say)
    with closing(opened):
        yield InPostgres.of(opened, folder)


def store_url(settings: RowSettings) -> Secret | None:
    """Return the address of the store, which a variable of the environment may have.

    Raises `SettingError` if there is no such variable.
    """
    if settings.store is None:
        return None
    text = settings.store.get_secret_value()
    named = re.fullmatch(FROM_ENV, text)
    if named is None:
        return Secret(text)
    found = os.environ.get(named[1], "")
    if not found:
        what = f"the variable {named[1]} of the environment, which store names, is not set"
        raise error_of("setting", what, "set it to an address of PostgreSQL", setting="store")
    return Secret(found)
