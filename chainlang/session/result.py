"""`Result`: the outcome of one row, as callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve, field, frozen

from chainlang.display.result import result_html
from chainlang.errors import error_of
from chainlang.protocol.messages import Usage
from chainlang.protocol.quick_init import quick_init
from chainlang.protocol.usages import Usages
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.events import Event
from chainlang.semantics.not_json import original
from chainlang.semantics.outputs import EVERYTHING, Outputs
from chainlang.semantics.part import Part, field_of
from chainlang.semantics.record import (
    Branched,
    Candidate,
    Flow,
    Record,
    TraceEntry,
    events_of,
    failures_of,
    trace_of,
)
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.votes import Votes

__all__ = ["Result"]


@quick_init
@frozen(repr=False, weakref_slot=False)
class Result:
    """The result of a row: its answer, candidates, named parts and usage, or its failure.

    ``result.answer`` is the answer of the first candidate, ``result["verdict"]`` one of its fields,
    and ``result.failure`` the failure, if any. A branched result has its answers in `branches`, of
    which each may fail alone.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> qa = chain("3:E >> M")
    >>> qa("What is 17 + 25?", engine=FakeEngine(answers={"17 + 25": ["42", "42", "41"]}))
    Result(answer='42', votes={'"42"': 2, '"41"': 1}, confidence=0.6666666666666666, calls=3)
    """

    index: int
    """Position of the row in its source, from 0."""
    row_id: str
    flow: Flow | None
    failure: RowFailure | None
    """Why the row failed: of a branched result, the failure of its first failed branch."""
    usage: Usage = field(factory=Usage)
    outputs: Outputs = field(default=EVERYTHING, repr=False)
    """Requested outputs; the result has no others."""
    events: tuple[Event, ...] = field(default=(), repr=False)
    """Everything that happened in the row, whether it succeeded or failed."""
    seconds: float | None = field(default=None, eq=False, repr=False)
    """Time from the start of the row to its end, on the clock of its engines."""
    fields: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)
    """Fields and columns of the row, as far as they were read."""
    usages: Usages = field(factory=Usages, eq=False, repr=False)
    """Usage of each stage and model; `usage` is their sum."""

    @property
    def cost(self) -> Decimal | None:
        """Price of the row in dollars; None if that of one of its models is unknown."""
        return self.usage.spent

    @property
    def ok(self) -> bool:
        """Whether the row succeeded, with all its branches."""
        return self.failure is None

    @property
    def error(self) -> str | None:
        """Why the row failed: the reason, or that of each failed branch; None if it succeeded."""
        several = failures_of(self.flow) if self.flow is not None else ()
        if self.failure is not None and not several:
            several = (self.failure,)
        return "; ".join(one.line for one in several) or None

    @property
    def record(self) -> Record:
        """The record at the end of the chain. Raises `RowError` if the row failed or branched."""
        if isinstance(self.flow, Branched):
            names = ", ".join(name for name, _ in self.flow.results)
            message = "this result has branches, each with an answer of its own"
            raise error_of("row", message, f"result.branches has {names}")
        if not isinstance(self.flow, Record):
            assert self.failure is not None
            raise self.failure.error()
        return self.flow

    @property
    def branches(self) -> Mapping[str, Result]:
        """The results of the branches, failed or not, by label or position."""
        if not isinstance(self.flow, Branched):
            return {}
        return {name: self._arm(flow) for name, flow in self.flow.results}

    def _arm(self, flow: Flow) -> Result:
        failure = next(iter(failures_of(flow)), None)
        left = None if isinstance(flow, RowFailure) else flow
        return evolve(self, flow=left, failure=failure, events=events_of(flow))

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates at the end of the chain, in order."""
        self._asked("candidates")
        return self.record.candidates

    @property
    def answer(self) -> Any:
        """The answer of the first candidate. Raises `RowError` if there is none."""
        return self._first.answer

    @property
    def value(self) -> Any:
        """The parsed reply of the first candidate as a Python value, or its answer if it has none.

        An instance of the class, if the reply's type is a class. Raises `RowError` if there is no
        candidate.
        """
        first = self._first
        return first.answer if first.value is None else first.value

    @property
    def votes(self) -> Votes:
        """Number of votes of each answer, by the answer. Raises `KeyError` if there was no vote.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> chain("3:E >> M")("q", engine=FakeEngine(answers={"q": ["42", "42", "41"]})).votes["42"]
        2
        """
        found: Votes = self["votes"]
        return found

    @property
    def unkept(self) -> Mapping[str, tuple[str, ...]]:
        """Parts of each stage's type that its engine did not enforce; replies were validated."""
        found: dict[str, dict[str, None]] = {}
        for entry in self._entries:
            for one in entry.candidates:
                if one.unkept:
                    found.setdefault(entry.stage, {}).update(dict.fromkeys(one.unkept))
        return {stage: tuple(parts) for stage, parts in found.items()}

    @property
    def history(self) -> Mapping[str, Part]:
        """The candidates of the named parts, as far as they are among the requested outputs."""
        return {name: Part(found) for name, found in self.record.history.items()}

    @property
    def trace(self) -> tuple[TraceEntry, ...]:
        """The candidates of each stage, in the order of the chain."""
        self._asked("trace")
        return self._entries

    @property
    def _entries(self) -> tuple[TraceEntry, ...]:
        if isinstance(self.flow, Branched):
            return tuple(entry for _, entry in trace_of(self.flow))
        return self.record.trace

    @property
    def _first(self) -> Candidate:
        """The first candidate; with `outputs` it may have nothing but its answer."""
        self._asked("answer")
        if not self.record.candidates:
            message = "this row has no candidates"
            raise error_of("row", message, "a filter removed all of them")
        return self.record.candidates[0]

    def _asked(self, name: str) -> None:
        """Raise `OperandError` for an output that was not requested."""
        if name not in self.outputs and self.failure is None:
            given = ", ".join(repr(one) for one in self.outputs)
            message = f"this result has no {name}: only {given} was requested"
            hint = f"add it: outputs=({given}, {name!r})"
            raise error_of(
                "operand", message, hint, kind="output", subject=name, known=self.outputs
            )

    def __getitem__(self, name: str) -> Any:
        """Return a field of the first candidate, ``responses``, a named part, or an input field.

        Raises KeyError with the known names, or `OperandError` for outputs that were not requested.
        """
        record = self.record
        if name in ("answer", "responses"):
            return self.answer if name == "answer" else [one.answer for one in self.candidates]
        if "candidates" not in self.outputs and name not in (
            *record.history,
            *record.row,
            *record.extra,
        ):
            self._asked("candidates")
        try:
            found = field_of(record.candidates, name)
            return Votes(found) if name == "votes" and isinstance(found, dict) else found
        except KeyError:
            if name in record.history:
                return Part(record.history[name])
            if name in record.row:
                return original(record.row[name])
            if name in record.extra:
                return original(record.extra[name])
            raise

    def _ipython_key_completions_(self) -> list[str]:
        if not isinstance(self.flow, Record):
            return []
        record = self.flow
        fields = record.candidates[0].fields if record.candidates else {}
        return [*dict.fromkeys([*fields, "answer", "responses", *record.history, *self.fields])]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the page of the result, and its line."""
        html = result_html(self.flow, self.failure, self.usage, self.events, self.seconds)
        return {"text/plain": repr(self), "text/html": html}

    def __repr__(self) -> str:
        if isinstance(self.flow, Branched):
            return f"Result(branches={dict(self.branches)!r})"
        if self.failure is not None:
            return f"Result(failure={self.failure.message!r})"
        candidates = self.record.candidates
        fields = dict(candidates[0].fields) if candidates else {}
        fields.pop("final_answer", None)
        shown = [f"answer={_short(candidates[0].answer)}"] if candidates else []
        shown += [f"{name}={_short(value)}" for name, value in fields.items()]
        return f"Result({', '.join([*shown, f'calls={self.usage.calls}'])})"


def result_of(outcome: Outcome, outputs: Outputs) -> Result:
    """Return the result of an outcome."""
    return Result(
        outcome.index,
        outcome.row_id,
        outcome.flow,
        outcome.failure,
        outcome.usage,
        outputs,
        outcome.events,
        outcome.seconds,
        outcome.fields,
        outcome.usages,
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
