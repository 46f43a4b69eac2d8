"""Outputs: the parts of a result that the caller reads, so that the rest need not be computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

from attrs import evolve, frozen

from chainlang.diagnostics.suggest import unknown
from chainlang.errors import error_of, raise_errors
from chainlang.semantics.record import Branched, Candidate, Flow, Record, TraceEntry
from chainlang.semantics.row_failure import RowFailure

WHOLE = ("answer", "candidates", "history", "trace")
"""Outputs other than named parts; ``history`` is all of those."""


@frozen
class Outputs:
    """Parts of each result that the caller reads; `names` is None for everything.

    >>> "votes" in Outputs(), "answer" in Outputs(frozenset({"answer"}))
    (True, True)
    """

    names: frozenset[str] | None = None

    def __contains__(self, name: object) -> bool:
        if self.names is None or name in self.names:
            return True
        return name == "answer" and "candidates" in self.names

    def has_part(self, name: str) -> bool:
        """Return whether the caller reads the output of a named part."""
        return "history" in self or name in self

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(WHOLE if self.names is None else self.names))

    @staticmethod
    def of(given: Collection[str] | None, parts: Iterable[str]) -> Outputs:
        """Return the outputs of a setting, for a chain with the named `parts`.

        Raises `SettingError` for an unknown name.
        """
        if given is None:
            return Outputs()
        names = frozenset([given] if isinstance(given, str) else given)
        known = (*WHOLE, *parts)
        lost = sorted(names - set(known))
        raise_errors(unknown("output", name, known, code="setting") for name in lost)
        if not names:
            hint = f'write outputs=["{WHOLE[0]}"], in a shell --outputs {WHOLE[0]}, or leave it out'
            raise error_of("setting", "outputs= is empty", hint, setting="outputs")
        return Outputs(names)

    def of_flow(self, flow: Flow) -> Flow:
        """Return a result reduced to the outputs; the same object if they are everything.

        The input and the events are always included.

        >>> record = Record({}, "7", None, (Candidate("42", {"verdict": "correct"}),))
        >>> (seen,) = Outputs(frozenset({"answer"})).of_flow(record).candidates
        >>> seen.answer, dict(seen.fields)
        ('42', {})
        """
        if self.names is None:
            return flow
        match flow:
            case Record():
                return self._of_record(flow)
            case Branched(results, start):
                arms = tuple((name, self.of_flow(one)) for name, one in results)
                before = evolve(self._of_record(start), candidates=())  # the arms have the results
                return Branched(arms, before)
            case RowFailure():
                return flow
        assert_never(flow)

    def _of_record(self, flow: Record) -> Record:
        return evolve(
            flow,
            candidates=self._candidates(flow),
            history={name: one for name, one in flow.history.items() if self.has_part(name)},
            trace=flow.trace if "trace" in self else _unkept(flow),
        )

    def _candidates(self, record: Record) -> tuple[Candidate, ...]:
        if "candidates" in self:
            return record.candidates
        wanted = record.candidates[:1] if "answer" in self else ()
        return tuple(Candidate(one.answer, value=one.value) for one in wanted)


def _unkept(record: Record) -> tuple[TraceEntry, ...]:
    """Return the trace reduced to the parts of types that an engine did not enforce."""
    found: dict[TraceEntry, None] = {}
    for entry in record.trace:
        for one in entry.candidates:
            if one.unkept:
                kept = Candidate(None, unkept=one.unkept)
                found[TraceEntry(entry.stage, entry.place, (kept,))] = None
    return tuple(found)


EVERYTHING = Outputs()
