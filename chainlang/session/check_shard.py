"""Check that a run can be split: that no row depends on what became of other rows."""

from __future__ import annotations

from chainlang.analysis.program import Program
from chainlang.errors import error_of
from chainlang.settings import RunSettings


def check_shard(program: Program, settings: RunSettings) -> None:
    """Raise `SettingError` if the shards of a run would not give the results of one run.

    So it is with a policy that learns as the rows run. The tables of a shard are JSON lines, since
    other formats forget the types that merging needs.
    """
    shard = f"shard {settings.shard}"
    if program.variants:
        what = f"{shard}: {program.policy} learns as the rows run, so results depend on their order"
        hint = "run it whole; or let it learn first, and freeze it: learnt='FOLDER' of the policy"
        raise error_of("setting", what, hint, setting="shard")
    if settings.store is not None:
        what = f"{shard}: the journal of a shard is a file of its folder, which merging copies"
        raise error_of("setting", what, "leave out the store", setting="store")
    if settings.format != "jsonl":
        what = f"{shard}: the tables of a shard are JSON lines, not {settings.format}"
        hint = (
            "leave the format to the merged folder: --format jsonl here, and then "
            f"chainlang merge FOLDER --format {settings.format}"
        )
        raise error_of("setting", what, hint, setting="format")
