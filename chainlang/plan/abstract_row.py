"""Abstract interpretation of a row: its fields are known, replies only by their maximum length.

Templates are rendered with both. If a template only prints unknown values, the length of its prompt
has a lower bound, without them, and an upper bound, with every reply at its maximum length. (The
text of a reply may be tokenized into a few more tokens in a prompt than were generated.) If a
template branches on an unknown value, the only bound is the model's context.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, NoReturn

from attrs import evolve, field, frozen

from chainlang.plan.interval import ANY, NONE, Range
from chainlang.protocol.messages import Message, Reader
from chainlang.semantics.expressions import names
from chainlang.semantics.given_fields import GivenField
from chainlang.semantics.prompts import RenderError, looks_into
from chainlang.semantics.record import Candidate, Record, part_view
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_prompts import conversation_of, filled
from chainlang.semantics.stages import Meaning
from chainlang.semantics.template_values import View

MOST_SOURCES = 16
"""Maximum number of stages whose conversations are looked at."""
MOST = 1000
"""Maximum number of candidates in a template that is rendered to measure it."""
_CANDIDATES = frozenset({"candidates", "candidate"})
_COUNTED = frozenset({"votes", "confidence"})  # numbers that a vote adds
MARK = re.compile("\ue000([0-9]*)\ue001")
"""Mark of a reply in a prompt: private-use characters around the most tokens that it has."""


@frozen
class AbstractCandidates:
    """Abstract candidates: their number, and their maximum length."""

    number: Range = NONE
    known: tuple[Candidate, ...] | None = None
    """The candidates themselves, if they come from the row."""
    tokens: int | None = None
    """Maximum number of tokens of a candidate; None if unknown."""
    sources: tuple[Source, ...] | None = None
    """Stages that the conversations of the candidates are from; None if unknown."""

    @staticmethod
    def of(candidates: tuple[Candidate, ...]) -> AbstractCandidates:
        """Return known candidates."""
        if not candidates:
            return AbstractCandidates(NONE, (), 0, ())
        return AbstractCandidates(Range.of(len(candidates)), candidates)

    def __add__(self, other: AbstractCandidates) -> AbstractCandidates:
        both = self.known is not None and other.known is not None
        known = (*(self.known or ()), *(other.known or ())) if both else None
        number, longest = self.number + other.number, self._longest(other)
        return AbstractCandidates(number, known, longest, self._sources(other))

    def __or__(self, other: AbstractCandidates) -> AbstractCandidates:
        known = self.known if self.known == other.known else None
        number, longest = self.number | other.number, self._longest(other)
        return AbstractCandidates(number, known, longest, self._sources(other))

    def __mul__(self, times: Range) -> AbstractCandidates:
        known = None if self.known else self.known
        return AbstractCandidates(self.number * times, known, self.tokens, self.sources)

    def _longest(self, other: AbstractCandidates) -> int | None:
        if self.tokens is None or other.tokens is None:
            return None
        return max(self.tokens, other.tokens)

    def _sources(self, other: AbstractCandidates) -> tuple[Source, ...] | None:
        if self.sources is None or other.sources is None:
            return None
        more = tuple(one for one in other.sources if one not in self.sources)
        found = (*self.sources, *more)
        return found if len(found) <= MOST_SOURCES else None

    def views(self, number: int) -> list[View]:
        """Return `number` candidates as template values."""
        if self.known is not None:
            return [one.view() for one in self.known]
        return [_AnyView(self.tokens)] * number


@frozen
class AbstractRow:
    """A row before a step of its plan, as far as it is known."""

    lot: AbstractCandidates = field(factory=AbstractCandidates)
    """Candidates before the step."""
    row: Record | None = None
    """Initial record of the row, with the names visible in this part; None for any row."""
    history: Mapping[str, AbstractCandidates] = field(factory=dict)
    """Candidates of named parts."""
    unknown: frozenset[str] = frozenset()
    """Names in this part whose values are not known."""

    def holding(self, lot: AbstractCandidates) -> AbstractRow:
        """Return the row with other candidates."""
        return evolve(self, lot=lot)

    def fed(self, of: tuple[str, ...]) -> AbstractRow:
        """Return the row with the candidates of named parts, as `wiring.fed` does."""
        if not of:
            return self
        lots = (self.history.get(name, AbstractCandidates(ANY)) for name in of)
        return self.holding(reduce(AbstractCandidates.__add__, lots))

    def given(self, fields: tuple[GivenField, ...]) -> AbstractRow:
        """Return the row inside a `with_fields`; a value that is not known has any length."""
        if self.row is None:
            return self
        unknown = self.unknown.difference(one.name for one in fields)
        local: dict[str, Any] = {}
        for one in fields:
            local[one.name] = _Unknown(None)
            if self.knows(one.reads):
                try:
                    local[one.name] = one.value(self.record().values)
                    continue
                except StageError:
                    pass  # the row fails there
            unknown |= {one.name}
        return evolve(self, row=self.row.inside(**local), unknown=unknown)

    def named(self, name: str, *, own: bool) -> AbstractRow:
        """Return the row with its candidates under a name, as `Record.named` does."""
        if own and self.row is not None and name in self.row.row:
            return self
        return evolve(self, history={**self.history, name: self.lot})

    def beside(self, other: AbstractRow) -> AbstractRow:
        """Return the join of two rows."""
        history = {**self.history, **other.history}
        return evolve(self, lot=self.lot + other.lot, history=history)

    def or_(self, other: AbstractRow) -> AbstractRow:
        """Return the row after one of two alternatives."""
        history = {
            name: self.history.get(name, AbstractCandidates())
            | other.history.get(name, AbstractCandidates())
            for name in {**self.history, **other.history}
        }
        return evolve(self, lot=self.lot | other.lot, history=history)

    # ---- prompts

    def knows(self, names: Iterable[str]) -> bool:
        """Return whether the values of all these names are known."""
        local = () if self.row is None else self.row.local
        parts = self.history.items()
        unknown = {name for name, lot in parts if lot.known is None and name not in local}
        unknown |= self.unknown
        unknown |= _CANDIDATES if self.lot.known is None else frozenset()
        return self.row is not None and unknown.isdisjoint(names)

    def record(self) -> Record:
        """Return the record; unknown parts of it must not be read."""
        assert self.row is not None
        history = {name: lot.known or () for name, lot in self.history.items()}
        return evolve(self.row, candidates=self.lot.known or (), history=history)

    def length(self, stage: Meaning, reader: Reader) -> Range:
        """Return the number of tokens of a prompt with unknown values."""
        context = None if reader.context is None else reader.context - 1
        anything = Range(0, context)
        number = self.lot.number
        try:
            own = min(one for one, _ in self._measured(stage, reader, most=False))
            least = own if context is None else min(own, context)
            if number.most is None or number.most > MOST:
                return Range(least, context)
            each = self._measured(stage, reader, most=True)
        except (RenderError, StageError, ValueError):
            return anything
        whole = [None if said is None else own + said for own, said in each]
        if any(one is None for one in whole):
            return Range(least, context)
        most = max(one for one in whole if one is not None)
        most = most if context is None else min(most, context)
        return Range(min(least, most), most)

    def _measured(
        self, stage: Meaning, reader: Reader, *, most: bool
    ) -> list[tuple[int, int | None]]:
        """Return what each possible prompt has of its own tokens, and the most of the replies.

        Raises `ValueError` and what rendering raises if a prompt is not known.
        """
        form = stage.form(1, self._values(stage, most=most))  # all numbers have the same prefill
        schema = form.schema if form else None
        return [
            _counted(one, reader, schema, stage.template_args)
            for one in self.prompts(stage, most=most)
        ]

    def prompts(self, stage: Meaning, *, most: bool) -> list[tuple[Message, ...]]:
        """Return the possible prompts of a stage, with a mark in place of each unknown value.

        They have the maximum or minimum number of candidates. Raises `ValueError` and what
        rendering raises if they are not known.
        """
        if self.row is None or looks_into(stage.user) or looks_into(stage.system or ""):
            raise ValueError("a template depends on values")
        if stage.examples is not None:
            raise ValueError("which examples there are depends on the user message")
        for one in (stage.messages, stage.images):
            if one is not None and not self.knows(names(one)):
                raise ValueError("the turns before are not known")
        values = self._values(stage, most=most)
        if not stage.continues:
            return [filled(stage, values)]
        return [filled(stage, values, 0, begun) for begun in self._conversations(most=most)]

    def _conversations(self, *, most: bool) -> list[tuple[Message, ...]]:
        """Return the possible conversations of a candidate. Raises as `prompts` does."""
        if self.row is not None and self.lot.known is not None:
            record = self.record()
            return [conversation_of(record, record.values, one) for one in self.lot.known]
        if self.lot.sources is None:
            raise ValueError("the conversations are not known")
        found = [one for source in self.lot.sources for one in source.conversations(most=most)]
        if len(found) > MOST_SOURCES:
            raise ValueError("there are too many conversations")
        return found

    def _values(self, stage: Meaning, *, most: bool) -> Mapping[str, Any]:
        """Return the values of a template, with the maximum or minimum number of candidates."""
        assert self.row is not None

        def some(lot: AbstractCandidates) -> int:
            return min(MOST, lot.number.most or MOST) if most else lot.number.least

        found = {**self.row.values, "candidates": self.lot.views(some(self.lot))}
        found |= {name: _part(lot, some(lot)) for name, lot in self.history.items()}
        if stage.kind == "map":
            found["candidate"] = _AnyView(self.lot.tokens)
        return {**found, **self.row.local}


@frozen
class Source:
    """A stage that samples, and the row before it."""

    stage: Meaning
    before: AbstractRow = field(eq=id)  # its values may be unknown, which have no equality

    def conversations(self, *, most: bool) -> list[tuple[Message, ...]]:
        """Return the possible conversations that end with a reply of the stage.

        Raises as `AbstractRow.prompts` does.
        """
        reply = Message("assistant", str(_Unknown(self.stage.sampling.max_tokens)))
        return [(*one, reply) for one in self.before.prompts(self.stage, most=most)]


def _part(lot: AbstractCandidates, number: int) -> View:
    if lot.known is not None:
        return part_view(lot.known)
    return _AnyView(lot.tokens, candidates=lot.views(number))


def _counted(
    messages: tuple[Message, ...], reader: Reader, schema: str | None, template_args: str
) -> tuple[int, int | None]:
    """Return the number of a prompt's own tokens, and the maximum of the replies in it."""
    said: int | None = 0
    for message in messages:
        for tokens in MARK.findall(message.text):
            said = None if said is None or not tokens else said + int(tokens)
    own = tuple(evolve(one, text=MARK.sub("", one.text)) for one in messages)
    return len(reader.token_ids(own, schema, template_args)), said


class _Unknown:
    """An unknown value: it can be printed; any other operation raises an error."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: int | None) -> None:
        self._tokens = tokens

    def __str__(self) -> str:
        return f"\ue000{'' if self._tokens is None else self._tokens}\ue001"

    def _undecided(self, *_: object) -> NoReturn:
        raise TypeError("this is not known before the run")

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _undecided
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _undecided
    __add__ = __radd__ = __mod__ = __mul__ = __rmul__ = __int__ = __float__ = _undecided

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._undecided()


class _AnyView(View):
    """An unknown candidate or part; all its fields are unknown values."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: int | None, **known: Any) -> None:
        super().__init__(known)
        self._tokens = tokens

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        return _Unknown(None if name in _COUNTED else self._tokens)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a candidate has no items")

    def plain(self) -> NoReturn:
        raise TypeError("this is not known before the run")
