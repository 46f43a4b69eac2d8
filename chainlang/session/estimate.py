"""Cost estimates of rows before they run, from the plan and the known prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from zlib import crc32

from attrs import define, evolve, field, frozen

from chainlang.engines.protocol import Engine
from chainlang.ir.declarations import Model
from chainlang.optimizer.compile import Compiled
from chainlang.plan.cost import Asked, Cost, Counts
from chainlang.plan.estimate_cost import counts
from chainlang.plan.interval import ANY, NONE, Range
from chainlang.plan.prefix_cache_bound import Prefixes, Seen
from chainlang.plan.steps import Each, Generate
from chainlang.plan.visit import leaves, steps_of
from chainlang.protocol.messages import Reader
from chainlang.protocol.price import Price
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import is_of_content
from chainlang.session.engine_pool import readers_of
from chainlang.settings import RowSettings

_FIRST, _ONE_IN = 10_000, 50


def _stands_for_others(number: int) -> bool:
    """Return whether a row is counted for the others: by its number, in no rhythm of a table."""
    return crc32(number.to_bytes(8)) % _ONE_IN == 0


@frozen
class Predicted:
    """Predicted costs of one model for rows without failures."""

    cost: Cost = field(factory=Cost)
    written: Cost = field(factory=Cost)
    """Costs of the unoptimized plan."""
    shared: Range = NONE
    """Prompt tokens that a prefix cache can save."""
    bound: int = 0
    """Minimum number of computed prompt tokens, from an empty prefix cache: the block bound."""
    too_long: int = 0
    """Number of prompts that exceed the model's context length."""
    replied: bool = False
    """Whether some prompts contain replies, so that their length is unknown before the run."""
    read: bool = True
    """Whether the lengths of prompts are known."""

    def __add__(self, other: Predicted) -> Predicted:
        return Predicted(
            self.cost + other.cost,
            self.written + other.written,
            self.shared + other.shared,
            self.bound + other.bound,
            self.too_long + other.too_long,
            self.replied or other.replied,
            self.read and other.read,
        )

    def scaled(self, share: Fraction) -> Predicted:
        """Return so many times the costs."""
        return evolve(
            self,
            cost=self.cost.scaled(share),
            written=self.written.scaled(share),
            shared=self.shared.scaled(share),
            bound=round(self.bound * share),
            too_long=round(self.too_long * share),
        )


@frozen
class Estimate:
    """Predicted costs of rows, or of any row if none are given."""

    models: Mapping[str, Predicted]
    path: Range
    """Number of sequential requests of a row, at most: its critical path."""
    path_tokens: Range
    """Output tokens of the critical path."""
    rows: int | None = None
    """Number of valid rows; None if no rows are given."""
    equal: int = 0
    """Number of duplicate rows, which cost nothing while an equal row is in flight."""
    unread: Mapping[str, str] = field(factory=dict)
    """Reason for each model whose prompt lengths are unknown."""
    blocks: Mapping[str, int | None] = field(factory=dict)
    """Block size of each model's prefix cache, in tokens; None without a prefix cache."""
    sharing: bool = False
    """Whether equal requests are deduplicated, so that there may be fewer."""
    unfit: int = 0
    """Number of invalid rows, which are left out."""
    misfit: str = ""
    """Error of the first invalid row."""
    prices: Mapping[str, Price] = field(factory=dict)
    """Price of each model for which it is known."""
    counted: int | None = None
    """Number of rows that were counted, if the others are estimated from them."""


@define(eq=False)
class CostEstimator:
    """Streaming cost estimator: counts rows as they are read, and keeps only hashes of them.

    Unless it is `exact`, it counts the first 10,000 rows, and of the others one in 50, by a hash of
    its number, which stand for the rest of them.
    """

    found: Compiled
    readers: Mapping[str, Reader | str]
    window: int
    rows: int = 0
    equal: int = 0
    exact: bool = True
    _models: dict[str, Predicted] = field(factory=dict)
    _others: dict[str, Predicted] = field(factory=dict)
    """Costs of the rows that stand for the others."""
    _counted: int = 0
    _written: dict[int, Counts] = field(factory=dict)
    """Costs of the unoptimized plan by the number of initial candidates."""
    _way: Counts = field(factory=Counts)
    _seen: Seen = field(factory=Seen)
    _asked: Seen = field(factory=Seen)
    """Deduplicated prompts."""
    _prefixes: dict[object, Prefixes] = field(factory=dict)
    """Prompts by reader and adapter: those of one adapter share no prefix with others."""
    _read: int = 0
    _misfit: str = ""
    first: Record | None = None
    """The first valid row."""

    @classmethod
    def of(
        cls, found: Compiled, named: Mapping[str, Engine | Model], settings: RowSettings
    ) -> CostEstimator:
        """Return the estimator of a compiled chain, with the prompt readers of its models."""
        return cls(found, readers_of(named, settings), settings.window)

    def watch(self, starts: Iterable[Record | RowFailure]) -> Iterator[Record | RowFailure]:
        """Yield rows, and count each."""
        for start in starts:
            if isinstance(start, Record):
                self.add(start)
            else:
                self._misfit = self._misfit or start.message
            self._read += 1
            yield start

    def add(self, start: Record) -> None:
        """Count a row."""
        self.rows += 1
        self.first = self.first or start
        is_equal = (
            self.found.plan.rows_once
            and is_of_content(start.id)
            and not self._seen.add(hash(start.id))
        )
        self.equal += is_equal
        if not self.exact and self.rows > _FIRST and not _stands_for_others(self.rows):
            return
        self._counted += 1
        readers = {name: one for name, one in self.readers.items() if not isinstance(one, str)}
        found = counts(self.found.plan, start, readers)
        written = self._as_written(start)
        if is_equal:
            # Within the first window an equal row is certainly in flight; later, possibly.
            found = Counts() if self._read < self.window else found.or_(Counts())
        for name in written.models:
            self._count(name, found, written.models[name])
        self._way = evolve(self._way.beside(found), after=self._way.after, models={}, asked=())

    def _as_written(self, start: Record) -> Counts:
        """Return what a row costs by the plan without passes; most plans cost each row the same."""
        if any(isinstance(one, Each) for one in steps_of(self.found.naive.root)):
            return counts(self.found.naive, start)
        number = len(start.candidates)
        if number not in self._written:
            self._written[number] = counts(self.found.naive, start)
        return self._written[number]

    def _count(self, name: str, found: Counts, written: Cost) -> None:
        cost, reader = found.models.get(name, Cost()), self.readers.get(name)
        now = Predicted(cost, written)
        if reader is not None and not isinstance(reader, str):
            asked = (one for one in found.asked if one.model == name)
            now = self._read_by(reader, self.found.plan.adapters.get(name, ""), now, asked)
        elif reader is not None:
            now = evolve(now, read=False)
        models = self._models if self.exact or self.rows <= _FIRST else self._others
        models[name] = models.get(name, Predicted()) + now

    def _read_by(
        self, reader: Reader, adapter: str, now: Predicted, asked: Iterable[Asked]
    ) -> Predicted:
        """Return the predicted costs of a model, with those of its prompts."""
        prefixes = self._prefixes.setdefault((id(reader), adapter), Prefixes(reader.block))
        for one in asked:
            least, most = one.samples.least, one.samples.most
            if one.prompt is None:
                # At least the last token is computed, unless the request is deduplicated.
                single = one.length.least if reader.block is None else 1
                spared = NONE if reader.block is None else ANY
                computed = 0 if one.shared else least * single
                now += Predicted(shared=spared, bound=computed, replied=True)
                continue
            if one.shared and least:
                least = int(self._asked.add(hash((id(reader), adapter, *one.prompt))))
            computed = prefixes.add(one.prompt, least)
            further = Range(0, None if most is None else most - least)
            spared = further * Range.of(prefixes.most(one.prompt))
            spared += Range.of(one.length.least * least - computed)
            now += Predicted(shared=spared, bound=computed, too_long=int(not one.fits))
        return now

    def estimate(self) -> Estimate:
        """Return the predicted costs of all rows so far."""
        names = counts(self.found.naive).models
        plan = self.found.plan
        others = self._counted - _FIRST
        if others > 0:
            own, share = Fraction(1), Fraction(self.rows - _FIRST, others)
        else:  # the first stand for the few behind them
            own, share = Fraction(self.rows, max(self._counted, 1)), Fraction(0)
        models = {
            name: self._models.get(name, Predicted()).scaled(own)
            + self._others.get(name, Predicted()).scaled(share)
            for name in names
        }
        return Estimate(
            models,
            self._way.path,
            self._way.path_tokens,
            self.rows,
            self.equal,
            {name: one for name, one in self.readers.items() if isinstance(one, str)},
            {name: one.block for name, one in self.readers.items() if not isinstance(one, str)},
            any(isinstance(one, Generate) and one.shared for one in leaves(plan.root)),
            self._read - self.rows,
            self._misfit,
            counted=self._counted if self._counted < self.rows else None,
        )


def of_a_row(found: Compiled) -> Estimate:
    """Return the predicted costs of any row."""
    planned, written = counts(found.plan), counts(found.naive)
    models = {
        name: Predicted(planned.models.get(name, Cost()), cost)
        for name, cost in written.models.items()
    }
    return Estimate(models, planned.path, planned.path_tokens)
