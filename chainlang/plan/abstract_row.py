"""A row on its way through a plan before anything has run: what is known of it, and what is not.

What the row says is known, and of what models will say no more than how long it may be. A template
is filled in with both. Where it only shows what is not known, its prompt has a least length, which
is that of its own words, and a most, which is that with every reply at its full length; a reply
counts as many tokens there as it is drawn in, though a tokenizer may read its text as a few more.
Where it decides by it, the prompt may be anything that the context holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from attrs import evolve, field, frozen

from chainlang.plan.interval import NONE, Range
from chainlang.protocol.messages import Reader
from chainlang.semantics.prompts import RenderError, looks_into, variables
from chainlang.semantics.record import Candidate, Record, part_view
from chainlang.semantics.stages import Meaning, filled
from chainlang.semantics.template_values import View

MOST = 1000
"""Candidates that are put into a template to see how long it may become."""
_CANDIDATES = frozenset({"candidates", "candidate"})
_COUNTED = frozenset({"votes", "confidence"})  # what a vote says of all its candidates
_MARK = re.compile("\ue000([0-9]*)\ue001")  # characters for private use; no text has a pair


@frozen
class Lot:
    """Candidates, as far as they are known."""

    number: Range = NONE
    known: tuple[Candidate, ...] | None = None
    """The candidates themselves, where they are those of the row."""
    tokens: int | None = None
    """The most that one says, in tokens; None where nobody can tell."""

    @staticmethod
    def of(candidates: tuple[Candidate, ...]) -> Lot:
        """Return candidates that are known."""
        return Lot(Range.of(len(candidates)), candidates, None if candidates else 0)

    def __add__(self, other: Lot) -> Lot:
        both = self.known is not None and other.known is not None
        known = (*(self.known or ()), *(other.known or ())) if both else None
        return Lot(self.number + other.number, known, self._longest(other))

    def __or__(self, other: Lot) -> Lot:
        known = self.known if self.known == other.known else None
        return Lot(self.number | other.number, known, self._longest(other))

    def __mul__(self, times: Range) -> Lot:
        return Lot(self.number * times, None if self.known else self.known, self.tokens)

    def _longest(self, other: Lot) -> int | None:
        if self.tokens is None or other.tokens is None:
            return None
        return max(self.tokens, other.tokens)

    def views(self, number: int) -> list[View]:
        """Return so many of them as templates see them."""
        if self.known is not None:
            return [one.view() for one in self.known]
        return [_AnyView(self.tokens)] * number


@frozen
class Sketch:
    """What is known of a row at a step of its plan."""

    lot: Lot = field(factory=Lot)
    """The candidates before the step."""
    row: Record | None = None
    """The row as it starts, with the names that only a part sees; None for no row in particular."""
    history: Mapping[str, Lot] = field(factory=dict)

    def holding(self, lot: Lot) -> Sketch:
        """Return the sketch with other candidates."""
        return evolve(self, lot=lot)

    def named(self, name: str, *, own: bool) -> Sketch:
        """Return the sketch with its candidates under a name, as `Record.named` does."""
        if own and self.row is not None and name in self.row.row:
            return self
        return evolve(self, history={**self.history, name: self.lot})

    def beside(self, other: Sketch) -> Sketch:
        """Return what both have become, joined."""
        history = {**self.history, **other.history}
        return evolve(self, lot=self.lot + other.lot, history=history)

    def or_(self, other: Sketch) -> Sketch:
        """Return what one of them has become."""
        history = {
            name: self.history.get(name, Lot()) | other.history.get(name, Lot())
            for name in {**self.history, **other.history}
        }
        return evolve(self, lot=self.lot | other.lot, history=history)

    # ---- what can be filled in

    def knows(self, template: str) -> bool:
        """Return whether everything that a template reads is known."""
        unknown = {name for name, lot in self.history.items() if lot.known is None}
        unknown |= _CANDIDATES if self.lot.known is None else frozenset()
        return self.row is not None and variables(template).isdisjoint(unknown)

    def record(self) -> Record:
        """Return the record, of which the unknown part must not be read."""
        assert self.row is not None
        history = {name: lot.known or () for name, lot in self.history.items()}
        return evolve(self.row, candidates=self.lot.known or (), history=history)

    def length(self, stage: Meaning, reader: Reader) -> Range:
        """Return how many tokens a prompt has of which not everything is known."""
        context = None if reader.context is None else reader.context - 1
        anything = Range(0, context)
        if self.row is None or looks_into(stage.user) or looks_into(stage.system or ""):
            return anything
        number = self.lot.number
        try:
            own, _ = _measured(stage, self._values(stage, most=False), reader)
            least = own if context is None else min(own, context)
            if number.most is None or number.most > MOST:
                return Range(least, context)
            own, said = _measured(stage, self._values(stage, most=True), reader)
        except (RenderError, ValueError):
            return anything
        if said is None:
            return Range(least, context)
        most = own + said if context is None else min(own + said, context)
        return Range(min(least, most), most)

    def _values(self, stage: Meaning, *, most: bool) -> Mapping[str, Any]:
        """Return what a template may read, with as many candidates as there may be, or as few."""
        assert self.row is not None

        def some(lot: Lot) -> int:
            return min(MOST, lot.number.most or MOST) if most else lot.number.least

        found = {**self.row.values, "candidates": self.lot.views(some(self.lot))}
        found |= {name: _part(lot, some(lot)) for name, lot in self.history.items()}
        if stage.kind == "map":
            found["candidate"] = _AnyView(self.lot.tokens)
        return {**found, **self.row.local}


def _part(lot: Lot, number: int) -> View:
    if lot.known is not None:
        return part_view(lot.known)
    return _AnyView(lot.tokens, candidates=lot.views(number))


def _measured(stage: Meaning, values: Mapping[str, Any], reader: Reader) -> tuple[int, int | None]:
    """Return how many tokens are a prompt's own, and how many the replies in it may have."""
    said: int | None = 0
    messages = filled(stage, values)
    for message in messages:
        for tokens in _MARK.findall(message.text):
            said = None if said is None or not tokens else said + int(tokens)
    own = tuple(evolve(one, text=_MARK.sub("", one.text)) for one in messages)
    form = stage.form(1)  # of every number the schema begins alike
    return len(reader.token_ids(own, form.schema if form else None)), said


class _Unknown:
    """A value that is not known: it can be shown, and asking anything else of it is an error."""

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
    """A candidate or a part of which nothing is known: it has every field, each unknown."""

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
