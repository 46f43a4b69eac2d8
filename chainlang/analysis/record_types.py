"""Types of records: the names and types that are readable at a point of a chain."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import evolve, field, frozen

from chainlang.analysis import candidate_types
from chainlang.analysis.candidate_types import NONE, Candidates
from chainlang.analysis.read_paths import Read
from chainlang.datatypes.value_types import (
    NEVER,
    TEXT,
    UNKNOWN,
    Listing,
    Presence,
    ValueType,
    either,
    field_of,
    item_of,
    names_of,
)

Row = Mapping[str, ValueType]
"""Types of a row's declared fields."""


@frozen(cache_hash=True)
class Name:
    """A readable name: the type of its value, and the only alternative that sets it, if not all."""

    type: ValueType = UNKNOWN
    only: str | None = None
    candidates: Candidates | None = None
    """Those of a named part; None for other names."""
    is_asked_for: bool = True
    """Whether a template has to test this name. The `error` and the `reply` of a `retry` exist
    together, so a test of either will do."""


Names = tuple[tuple[str, Name], ...]
"""Sorted by name, without duplicates."""


@frozen(cache_hash=True)
class RecordType:
    """Type of a record at a point of a chain: its candidates, and its named parts."""

    candidates: Candidates = NONE
    parts: Names = ()
    local: Names = ()
    """Names visible in the current part only: the item of an `each`, the error of a `retry`."""

    def named(self, name: str) -> RecordType:
        """Return the record with its candidates as a named part."""
        part = Name(self.candidates.part, candidates=self.candidates)
        return evolve(self, parts=_with(self.parts, {name: part}))

    def fed(self, of: Sequence[str]) -> RecordType:
        """Return the record with the candidates of named parts; any, where one is unknown."""
        if not of:
            return self
        parts = dict(self.parts)
        each = [parts[name].candidates if name in parts else None for name in of]
        known = [one for one in each if one is not None]
        if len(known) < len(each):
            return evolve(self, candidates=candidate_types.ANY)
        return evolve(self, candidates=candidate_types.joined(known))

    def inside(self, **local: Name) -> RecordType:
        """Return the record with more local names."""
        return evolve(self, local=_with(self.local, local))


def _with(names: Names, more: Mapping[str, Name]) -> Names:
    return tuple(sorted({**dict(names), **more}.items(), key=lambda one: one[0]))


def one_of(ways: Sequence[RecordType], why: str) -> RecordType:
    """Return the record after one of several alternatives, which `why` describes."""
    if len(ways) == 1:
        return ways[0]
    several = [dict(way.parts) for way in ways]
    parts: dict[str, Name] = {}
    for name in dict.fromkeys(name for one in several for name in one):
        found = [one[name] for one in several if name in one]
        reasons = [one.only for one in found if one.only is not None]
        only = reasons[0] if reasons else why if len(found) < len(several) else None
        made = candidate_types.one_of(one.candidates for one in found if one.candidates)
        parts[name] = Name(either(one.type for one in found), only, made)
    candidates = candidate_types.one_of(way.candidates for way in ways)
    return RecordType(candidates, _with((), parts), ways[0].local)


def all_of(ways: Sequence[RecordType], before: RecordType) -> RecordType:
    """Return the record after all of several parallel parts."""
    if len(ways) == 1:
        return evolve(ways[0], local=before.local)
    parts: dict[str, Name] = {}
    for name, found in (one for way in ways for one in way.parts):
        known = parts.get(name, found)
        only = None if None in (known.only, found.only) else known.only
        each = (one.candidates for one in (known, found) if one.candidates)
        made = found.candidates if known is found else candidate_types.one_of(each)
        parts[name] = Name(either((known.type, found.type)), only, made)
    candidates = candidate_types.joined(way.candidates for way in ways)
    return RecordType(candidates, _with((), parts), before.local)


# ---------------------------------------------------------------- readable names


@frozen
class Readable:
    """Names that a template or an expression can read."""

    names: Mapping[str, Name] = field(factory=dict)
    is_open: bool = True
    """Whether other names are accepted."""

    def type_of(self, read: Read) -> ValueType:
        """Return the type of the value at the end of a path."""
        name = self.names.get(read.root or "")
        found = UNKNOWN if name is None else name.type
        for step in read.steps:
            found = field_of(found, step.name).type if step.to == "field" else item_of(found)
        return found


def in_template(record: RecordType, row: Row | None, *, fresh: bool, one: bool) -> Readable:
    """Return the readable names of a template.

    `fresh`: without candidates. `one`: with one candidate at a time.
    """
    item = record.candidates.item
    names = _everywhere(record, row)
    names["candidates"] = Name(Listing(NEVER if fresh else item))
    names |= dict(record.local)
    if one:
        names["candidate"] = Name(item)
    return Readable(names, row is None)


def in_expression(record: RecordType, row: Row | None) -> Readable:
    """Return the readable names of a condition, key or list, with the first candidate's fields."""
    names = _everywhere(record, row)
    names["candidates"] = Name(Listing(record.candidates.item))
    names |= dict(record.local)
    first = record.candidates.first
    views = either(one.view for one in first)
    for name in names_of(views):
        found = field_of(views, name)
        if found.presence is Presence.ALWAYS:
            names[name] = Name(found.type)
        elif name in names or found.presence is Presence.UNKNOWN:
            names[name] = Name()
        elif row is not None:
            having = dict.fromkeys(one.fields.of for one in first if one.fields[name] is not None)
            names[name] = Name(found.type, " or ".join(str(stage) for stage in having))
    return Readable(names, row is None or any(one.fields.is_open for one in first))


def at_any(places: Sequence[Readable], parts: Collection[str]) -> Readable:
    """Return the names readable at several places; a part that some of them lack may be absent.

    Other names that are missing at a place with unknown names count as readable there.
    """
    if len(places) == 1:
        return places[0]
    is_open = any(one.is_open for one in places)
    names: dict[str, Name] = {}
    for name in dict.fromkeys(name for one in places for name in one.names):
        found = [one.names[name] for one in places if name in one.names]
        kind = either(one.type for one in found)
        reasons = [one.only for one in found if one.only is not None]
        if len(found) < len(places) and is_open and name not in parts:
            continue
        if len(found) < len(places):
            reasons.append("one of the ways to it")
        is_asked_for = any(one.is_asked_for for one in found)
        only = reasons[0] if reasons else None
        names[name] = Name(kind, only, is_asked_for=is_asked_for)
    return Readable(names, is_open)


def _everywhere(record: RecordType, row: Row | None) -> dict[str, Name]:
    names = {name: Name() for name in ("id", "responses")}
    names |= {name: Name(kind) for name, kind in (row or {}).items()}
    names |= dict(record.parts)
    if row is None or "query" not in row:
        names["query"] = Name(TEXT)
    return names
