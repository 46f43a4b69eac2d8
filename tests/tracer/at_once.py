"""Functions that are run and not traced: each call runs at once, by the reference interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from chainlang import Candidate, Chain, op
from chainlang.api.recording import recording
from chainlang.engines.fake import FakeEngine
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from chainlang.semantics.row_failure import RowFailure
from tests.tracer.test_traced import NAMES


class Known:
    """A result that is there: in a text its answer, and its fields."""

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        self.candidates = candidates

    def __getattr__(self, name: str) -> Any:
        first = self.candidates[0]
        return Shown(first.answer if name == "answer" else first.fields[name])

    def __format__(self, spec: str) -> str:
        return format(self.answer)

    def __eq__(self, other: object) -> Any:
        return self.answer == other

    __hash__ = None  # type: ignore[assignment]


class Shown:
    """A value that is there: as templates show it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        return self.value if isinstance(self.value, str) else json.dumps(self.value)

    def _truth(self, holds: Callable[[Any, Any], bool], other: object) -> Truth:
        other = other.value if isinstance(other, Shown) else other
        return Truth(holds(self.value, other))

    def __eq__(self, other: object) -> Any:
        return self._truth(lambda a, b: type(a) is type(b) and a == b, other)

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, other: object) -> Any:
        return self._truth(lambda a, b: a > b, other)


def plain(value: Any) -> Any:
    """Return a value as a field of a row."""
    value = value.answer if isinstance(value, Known) else value
    return value.value if isinstance(value, Shown) else value


class Truth:
    """A condition that is decided."""

    def __init__(self, holds: bool) -> None:
        self.holds = holds

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.holds and other.holds)

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.holds or other.holds)

    def __invert__(self) -> Truth:
        return Truth(not self.holds)


@define
class AtOnce:
    """A recorder that runs each call when it is made."""

    row: Mapping[str, Any]
    engine: FakeEngine
    calls: list[str] = field(factory=list)

    def holds(self, value: object) -> bool:
        return isinstance(value, Known | Shown)

    def text_of(self, chain: Any) -> str:
        raise AssertionError("a chain in a text")

    def call(self, called: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> Known:
        parts = [one for one in given if isinstance(one, Known)]
        texts = [one for one in given if not isinstance(one, Known)]
        fields = {**({"query": texts[0]} if texts else {}), **named}
        row = {**self.row, **{key: plain(one) for key, one in fields.items()}}
        before = tuple(one for part in parts for one in part.candidates)
        return self.run(called.as_chain(), before, row)

    def run(
        self,
        chain: Chain,
        before: tuple[Candidate, ...] = (),
        row: Mapping[str, Any] | None = None,
    ) -> Known:
        row = self.row if row is None else row
        record = Record(row, "row", row["query"], before)
        found = interpret(
            chain.body, record, self.engine.complete, declared=chain.items, bound=chain.bound
        )
        assert isinstance(found, Record)
        return Known(found.candidates)

    # ------------------------------------------------------------ the calls of traced functions

    def ask(
        self,
        prompt: str,
        model: Any = None,
        count: Any = 1,
        temperature: Any = None,
        **settings: Any,
    ) -> Known:
        raw = prompt.replace("{", "{{ '{' }}")
        word = op("asked", user=raw, kind="generate", **settings)
        return self.run(word.configured(model=model, count=count, temperature=temperature))

    def when(self, value: Any, then: Any, otherwise: Any = None) -> Any:
        if isinstance(then, Mapping):
            return then.get(format(value), otherwise)()
        return (then if value.holds else otherwise)()

    def for_each(self, values: Any, body: Callable[[Any], Known]) -> Known:
        items = values.candidates if isinstance(values, Known) else map(Shown, values.value)
        several = [Known((one,)) if isinstance(one, Candidate) else one for one in items]
        return Known(tuple(c for one in several for c in body(one).candidates))


def at_once(text: str, row: Mapping[str, Any], engine: FakeEngine) -> Known | RowFailure:
    """Return the result of a function, the last that some Python defines, for a row."""
    runner = AtOnce(row, engine)
    names = dict(NAMES)
    exec(compile(text, "at_once.py", "exec", dont_inherit=True), names)
    names |= {"ask": runner.ask, "when": runner.when, "for_each": runner.for_each}
    with recording(runner):
        found: Known = names["program"](**{name: Shown(one) for name, one in row.items()})
    return found
