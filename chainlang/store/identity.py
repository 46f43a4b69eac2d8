"""Identity of the run in a folder: all that a rerun must have in common with it.

Bounds of length are not part of it: a rerun with other ones resamples what they cut. Nor are
capabilities of an engine that bear on no result, or that only one of two versions knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from chainlang.diagnostics.text_diff import difference
from chainlang.protocol.capabilities import RESULT_CAPABILITIES
from chainlang.protocol.fingerprints import is_dated, of_format_1, without_bounds

UNBOUNDED = "unbounded"
"""Entry with the hash of the chain and its plan without bounds of length."""
DATE = "date"
"""Entry with the date of the run, if the chat template of a model reads it."""
SHARD = "shard"
"""Entry of a shard: its number, and how many there are."""
TEXTS = ("chain", "plan")
"""Entries that are texts of several lines."""

Difference = tuple[str, Any, Any]
"""A name, the value of the run in the folder, and that of the new run."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return what makes two runs different, as values by dotted names."""
    known = before.get(UNBOUNDED)  # runs of earlier versions have none
    is_same = known is not None and known == now.get(UNBOUNDED)
    left_out = {UNBOUNDED, "models", *(TEXTS if is_same else ())}
    was, is_now = (_without(left_out, run) for run in (before, now))
    found = list(_differences("", was, is_now))
    found += _models(before.get("models", {}), now.get("models", {}))
    if any(name == "chain" for name, _, _ in found):  # its plan differs because of it
        found = [one for one in found if one[0] != "plan"]
    return found


def of_shards(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between two shards, which have other bounds in common too."""
    left_out = {UNBOUNDED, SHARD}
    was, is_now = (_without(left_out, run) for run in (one, other))
    found = differences(was, is_now)
    names = {name for name, _, _ in found}
    for name in [*was.get("models", {})]:
        old, new = (_fingerprint(run["models"].get(name, {})) for run in (was, is_now))
        more = _differences(f"models.{name}.fingerprint.", old, new)
        found += (one for one in more if one[0] not in names and f"models.{name}" not in names)
    return found


def dated(run: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run with its date: the one that is set, that of the run before, or else today's.

    It has none if no chat template reads it.
    """
    if not any(is_dated(_fingerprint(one)) for one in run.get("models", {}).values()):
        return _without({DATE}, run)
    set_or_before = run.get(DATE) or before.get(DATE)
    return {**run, DATE: set_or_before or date.today().isoformat()}


def text_difference(found: Iterable[Difference]) -> tuple[str, ...]:
    """Return the lines in which the texts among the differences differ."""
    return tuple(
        line for name, was, is_now in found if name in TEXTS for line in difference(was, is_now)
    )


def has_other_bounds(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two equal runs differ in bounds of length."""
    return any(before.get(name) != now.get(name) for name in TEXTS) or any(
        _fingerprint(one) != _fingerprint(now["models"].get(name, {}))
        for name, one in before.get("models", {}).items()
    )


def _models(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *now]):
        was, is_now = before.get(name), now.get(name)
        if was is None or is_now is None:
            yield f"models.{name}", was, is_now
            continue
        old, new = _fingerprint(was), _fingerprint(is_now)
        if old != of_format_1(new):  # as an earlier version has written it
            above = f"models.{name}.fingerprint."
            yield from _differences(above, without_bounds(old), without_bounds(new))
        old, new = was.get("capabilities", {}), is_now.get("capabilities", {})
        for one in RESULT_CAPABILITIES:
            if one in old and one in new and old[one] != new[one]:
                yield f"models.{name}.capabilities.{one}", old[one], new[one]


def _fingerprint(model: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = model.get("fingerprint", {})
    return found


def _without(names: set[str], run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in names}


def _differences(
    above: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *now]):
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            yield from _differences(f"{above}{name}.", was, is_now)
        elif was != is_now:
            yield f"{above}{name}", was, is_now
