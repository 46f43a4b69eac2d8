"""``chainlang run ... -o -``: the results on stdout, and no run folder that is kept."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from chainlang.cli.flags import given
from chainlang.cli.output import emit
from chainlang.errors import error_of

STDOUT = Path("-")
_OF_FOLDER = ("shard", "part_rows", "overwrite", "retry_failed", "changed")
"""Settings of a run folder, which have no effect without one."""
_ONE_PART = (1 << 63) - 1
_LINES = 1000


def _format(options: argparse.Namespace) -> str:
    """Return the format of the results. Raises `SettingError` for options of a run folder."""
    from chainlang.settings import RunSettings

    hint = "name one: -o FOLDER; or leave out "
    for name in _OF_FOLDER:
        if getattr(options, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            message = f"{flag} is for a run folder, and -o - keeps none"
            raise error_of("setting", message, hint + flag, setting=name)
    settings = RunSettings.of(given(options, RunSettings))
    if settings.store is not None:  # the journal would stay there, and no run would find it
        message = "store is for the journal of a run folder, and -o - keeps none"
        raise error_of("setting", message, hint + "store", setting="store")
    if settings.format == "parquet":
        message = "Parquet is no text, so it can't go to stdout"
        hint = "name a folder: -o FOLDER; or write --format csv"
        raise error_of("setting", message, hint, setting="format")
    return settings.format


@contextmanager
def folder_of(options: argparse.Namespace) -> Iterator[None]:
    """Give a run a temporary folder in the block; at its end, write the results to stdout.

    Raises `SettingError` for options that need a run folder.
    """
    ending = _format(options)
    with tempfile.TemporaryDirectory(prefix="chainlang-") as home:
        folder = Path(home) / "run"
        options.output, options.is_kept = folder, False
        options.part_rows = _ONE_PART  # CSV has one header
        yield
        for part in (folder / "flattened").glob(f"*.{ending}"):
            with part.open(encoding="utf-8") as lines:
                while several := "".join(islice(lines, _LINES)):
                    emit(several.removesuffix("\n"), raw=True)
