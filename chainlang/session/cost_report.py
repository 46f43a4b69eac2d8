"""Cost reports: predicted and actual costs of rows, from the metrics of the engines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from attrs import define, field, frozen

from chainlang.engines.protocol import Engine, Metrics
from chainlang.plan.cost import Cost
from chainlang.plan.interval import NONE, ONE, Range
from chainlang.protocol.price import Price, dollars
from chainlang.protocol.usage import ZERO, Usage
from chainlang.runtime.ports.dedup import SharedPort
from chainlang.runtime.ports.port import Port, layers
from chainlang.runtime.ports.recording import Memory, RecordedPort
from chainlang.runtime.ports.stack import EVERYTHING, Needs, OpenPort
from chainlang.session.estimate import CostEstimator, Estimate, Predicted
from chainlang.store import Journal


@define(eq=False)
class PortFactory:
    """Builds the port stack of each engine of a run, and counts its cache and journal hits."""

    open_port: OpenPort
    journal: Journal | None = None
    """Journal that records all samples; None for a run without a folder."""
    ports: list[Port] = field(factory=list)

    def open(self, engine: Engine, needs: Needs = EVERYTHING, /, *memories: Memory) -> Port:
        """Return a port to an engine."""
        journals = () if self.journal is None else (self.journal,)
        port = self.open_port(engine, needs, *memories, *journals)
        self.ports.append(port)
        return port

    @property
    def from_journal(self) -> int:
        """Number of journal hits, in samples."""
        return sum(one.taken for one in self._recorded() if one.memory is self.journal)

    @property
    def went_on(self) -> tuple[int, str] | None:
        """The earliest row that the journal has no sample for, and its part; None for no row."""
        journals = (one for one in self._recorded() if one.memory is self.journal)
        found = min((one.went_on for one in journals if one.went_on is not None), default=None)
        return None if found is None else (found[0], found[2])

    @property
    def from_cache(self) -> int:
        """Number of cache hits, in samples."""
        return sum(one.taken for one in self._recorded() if one.memory is not self.journal)

    @property
    def shared(self) -> int:
        """Number of deduplicated requests."""
        return sum(one.shared for one in self._layers() if isinstance(one, SharedPort))

    def _recorded(self) -> Iterator[RecordedPort]:
        return (one for one in self._layers() if isinstance(one, RecordedPort))

    def _layers(self) -> Iterator[Port]:
        return (one for port in self.ports for one in layers(port))


@frozen
class Actual:
    """Actual costs of rows, from the metrics of the engines."""

    engines: Mapping[str, Metrics]
    """Metrics of each engine, by the names of its models, separated by commas. They include the
    requests of concurrent runs."""
    seconds: float
    failed: int = 0
    """Number of failed rows."""
    events: Mapping[str, int] = field(factory=dict)
    """Number of events of each kind that has happened."""
    from_journal: int = 0
    """Samples of earlier runs into the same folder."""
    from_cache: int = 0
    """Samples of earlier runs in the cache."""
    shared: int = 0
    """Number of deduplicated requests."""


@frozen
class Costs:
    """Predicted and actual costs of a run."""

    predicted: Estimate
    actual: Actual

    def __str__(self) -> str:
        return "\n".join(table(self.predicted, self.actual))


@define(eq=False)
class CostMeter:
    """Measures the costs of a run, as the difference of metrics at its end and its start."""

    estimator: CostEstimator
    engines: Mapping[str, Engine]
    ports: PortFactory
    before: Mapping[int, Metrics]
    started: float

    @classmethod
    def begin(
        cls, estimator: CostEstimator, engines: Mapping[str, Engine], ports: PortFactory
    ) -> CostMeter:
        """Start measuring: save the current metrics of the engines."""
        before = {id(one): one.metrics for one in engines.values()}
        return cls(estimator, engines, ports, before, time.monotonic())

    def costs(self, failed: int, events: Mapping[str, int], before: int = 0) -> Costs:
        """Return the predicted and the actual costs, with the number of failed rows and events.

        `before` is the number of samples of the rows that were completed before the start.
        """
        names: dict[int, list[str]] = {}
        for name, engine in self.engines.items():
            names.setdefault(id(engine), []).append(name)
        found = {
            ", ".join(names[key]): engine.metrics - self.before[key]
            for key, engine in {id(one): one for one in self.engines.values()}.items()
        }
        actual = Actual(
            found,
            time.monotonic() - self.started,
            failed,
            dict(events),
            before + self.ports.from_journal,
            self.ports.from_cache,
            self.ports.shared,
        )
        return Costs(self.estimator.estimate(), actual)


# ---------------------------------------------------------------- as a page


def table(estimate: Estimate, actual: Actual | None = None) -> Iterator[str]:
    """Yield the lines of a cost report: written, predicted and actual costs of each model."""
    number = estimate.rows
    if number is None:
        yield "COST OF A ROW, where nothing fails"
    else:
        equal = f", {estimate.equal:,} of them equal to others" if estimate.equal else ""
        yield f"COST OF {number:,} ROW{'' if number == 1 else 'S'}{equal}, where nothing fails"
        if estimate.counted is not None:
            every = "count_all=True (--count-all) counts each"
            yield f"  estimated from {estimate.counted:,} of them; {every}"
    engines = {} if actual is None else actual.engines
    asked = {name for title in engines for name in title.split(", ")}
    titles = [*engines, *(name for name in estimate.models if name not in asked)]
    rows: list[tuple[str, ...]] = []
    for title in titles:
        rows.append((title, "as written", "predicted", *(["actual"] if actual else [])))
        one = sum((estimate.models[name] for name in title.split(", ")), Predicted())
        rows += _rows(one, engines.get(title), counted=number is not None)
        rows += _costs(title.split(", "), estimate, engines.get(title))
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield f"  {'  '.join(cells)}".rstrip()
    yield from (f"  {line}" for line in _notes(estimate, actual))


def _rows(one: Predicted, done: Metrics | None, *, counted: bool) -> Iterator[tuple[str, ...]]:
    """Yield the table rows of a model: the name of a figure, and a cell for each column."""
    written, cost = one.written, one.cost
    said = {
        "requests": (str(written.requests), str(cost.requests)),
        "samples": (str(written.samples), str(cost.samples)),
    }
    if counted:
        lengths = (cost.prompt_tokens, one.shared, Range(one.bound, None))
        if one.shared == NONE:
            lengths = (cost.prompt_tokens, NONE, cost.prompt_tokens)
        names = ("prompt tokens", "  shared by prefix", "  computed")
        for name, number in zip(names, lengths, strict=True):
            said[name] = ("", str(number) if one.read else "not known")
    said["output tokens"] = (_most(written.output_tokens), _most(cost.output_tokens))
    figures = {} if done is None else _figures(done)
    for name in {**said, **figures}:
        yield (f"  {name}", *said.get(name, ("", "")), figures.get(name, ""))


def _costs(
    names: Sequence[str], estimate: Estimate, done: Metrics | None
) -> Iterator[tuple[str, ...]]:
    """Yield the row of costs in dollars, if one of some models has a price."""
    prices = [estimate.prices[name] for name in names if name in estimate.prices]
    if not prices:
        return
    found = [estimate.models.get(name, Predicted()) for name in names]
    if len(prices) < len(names) or any(one.gpu_hour is not None for one in prices):
        before = ["not known", "not known"]
    else:
        each = [*zip(prices, found, strict=True)]
        before = [
            _up_to([(price, one.written, one.read) for price, one in each], estimate),
            _up_to([(price, one.cost, one.read) for price, one in each], estimate),
        ]
    after = [] if done is None else ["not known"]
    if done is not None and len(names) == 1 and prices[0].gpu_hour is None:
        after = [dollars(prices[0].of(done.usage))]
    yield ("  dollars", *before, *after)


def _up_to(costs: Sequence[tuple[Price, Cost, bool]], estimate: Estimate) -> str:
    """Return the highest cost as words; of replies alone, where prompts are not counted."""
    highest, of_prompts = ZERO, estimate.rows is not None
    for price, cost, read in costs:
        if cost.output_tokens.most is None:
            return "not known"
        prompts = cost.prompt_tokens.most if read and of_prompts else None
        of_prompts &= prompts is not None
        highest += price.of(Usage(1, prompts or 0, 0, cost.output_tokens.most))
    return f"up to {dollars(highest)}{'' if of_prompts else ' for replies'}"


def _figures(done: Metrics) -> dict[str, str]:
    usage = done.usage
    found = {
        "requests": done.requests,
        "samples": usage.calls,
        "prompt tokens": usage.prompt_tokens,
        "  shared by prefix": usage.cached_tokens,
        "  computed": usage.prompt_tokens - usage.cached_tokens,
        "output tokens": usage.output_tokens,
        "engine steps": done.steps,
        "preemptions": done.preemptions,
        "asked again": done.retries,
        "seconds held back": round(done.waited) if done.waited else None,
    }
    return {name: f"{number:,}" for name, number in found.items() if number is not None}


def _most(number: Range) -> str:
    return "not known" if number.most is None else f"up to {number.most:,}" if number.most else "0"


def _notes(estimate: Estimate, actual: Actual | None) -> Iterator[str]:
    """Yield the notes below the table, and explanations of some figures."""
    tokens = _most(estimate.path_tokens)
    path = "1 request" if estimate.path == ONE else f"{estimate.path} requests, one after another"
    yield f"longest path of a row: {path}; {tokens} output tokens"
    if estimate.sharing:
        yield "requests at temperature 0 that turn out equal are asked once"
    if estimate.rows is not None:
        yield from _meanings(estimate)
    if actual is not None:
        for number, what in (
            (actual.shared, "requests had the reply to an equal one"),
            (actual.from_journal, "samples were in the journal of the folder"),
            (actual.from_cache, "samples were in the cache"),
        ):
            if number:
                yield f"not asked: {number:,} {what}"
        if actual.failed:
            yield f"rows that failed: {actual.failed:,}"
        if actual.events:
            counted = ", ".join(
                f"{count:,} {kind}" for kind, count in sorted(actual.events.items())
            )
            yield f"events: {counted}"
        yield f"it took {actual.seconds:.1f} s"


def _meanings(estimate: Estimate) -> Iterator[str]:
    known = {name: one for name, one in estimate.models.items() if name in estimate.blocks}
    sizes = {estimate.blocks[name] for name in known} - {None}
    if sizes:
        blocks = " or ".join(str(size) for size in sorted(filter(None, sizes)))
        yield f"computed: the block bound, from an empty cache, in blocks of {blocks} tokens"
    if any(one.replied for one in known.values()):
        yield (
            "prompts that read replies: from their templates alone, "
            "to those with every reply at max_tokens"
        )
    if long := sum(one.too_long for one in known.values()):
        yield f"prompts that do not fit into the context of their model: {long:,}"
    if estimate.unfit:
        left_out = f"rows that can't be run, and are left out: {estimate.unfit:,}"
        yield f"{left_out}; the first: {estimate.misfit}"
    for name, why in estimate.unread.items():
        yield f"prompt tokens of {name} are not known before running: {why}"
