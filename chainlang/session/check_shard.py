"""Check that a run can be split: that no row depends on what became of other rows."""

from __future__ import annotations

from chainlang.analysis.program import Program
from chainlang.errors import error_of
from chainlang.ir.declarations import Model
from chainlang.settings import RunSettings


def check_shard(program: Program, settings: RunSettings, what: str = "") -> None:
    """Raise `SettingError` if the shards of a run would not give the results of one run.

    `what` splits the run; by default the setting.

    So it is with a policy that learns as the rows run. The tables of a shard are JSON lines, since
    other formats forget the types that merging needs.
    """
    split = what or f"shard {settings.shard}"
    if program.variants:
        message = (
            f"{split}: {program.policy} learns as the rows run, so results depend on their order"
        )
        hint = "run it whole; or let it learn first, and freeze it: learnt='FOLDER' of the policy"
        raise error_of("setting", message, hint, setting="shard")
    if settings.format != "jsonl":
        message = f"{split}: the tables of a shard are JSON lines, not {settings.format}"
        hint = (
            "leave the format to the merged folder: --format jsonl here, and then "
            f"chainlang merge FOLDER --format {settings.format}"
        )
        raise error_of("setting", message, hint, setting="format")


_RATES = {"requests_per_minute", "tokens_per_minute"}


def check_rates(program: Program, settings: RunSettings, what: str) -> None:
    """Raise `SettingError` for limits a minute that several processes would each use in full.

    `what` splits the run; `program` declares its models.
    """
    if settings.limits_redis is not None:
        return
    for one in program.items:
        given = one.settings if isinstance(one, Model) else ()
        found = next((each for each in given if each.name in _RATES), None)
        if isinstance(one, Model) and found is not None:
            message = f"{what}: each process would use up {found.name} of {one.name} by itself"
            hint = (
                "share the limits: limits_redis, in the environment CHAINLANG_LIMITS_REDIS\n"
                "or leave out what splits the run: one process sends as many requests to a server"
            )
            raise error_of("setting", message, hint, span=found.span, setting="limits_redis")
