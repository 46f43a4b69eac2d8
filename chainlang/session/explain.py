"""The page of `explain`: passes, plan, memory and costs of a chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from chainlang.analysis.program import Program
from chainlang.data import Extent
from chainlang.display.page import page, preformatted
from chainlang.display.svg import svg
from chainlang.engines.protocol import Engine
from chainlang.errors import error_of
from chainlang.ir.declarations import Model
from chainlang.ir.model_settings import SERVERS
from chainlang.ir.nodes import Expr
from chainlang.notation import unparse
from chainlang.optimizer.compile import Compiled, planned
from chainlang.optimizer.registry import Applied
from chainlang.plan.cost import Counts
from chainlang.plan.estimate_cost import counts
from chainlang.plan.render import render
from chainlang.plan.steps import Plan
from chainlang.runtime.model_swap import SWAP_FACTOR
from chainlang.semantics.row_failure import RowFailure
from chainlang.session.addresses import addresses_of
from chainlang.session.cost_report import Actual, table
from chainlang.session.decide import described, exemplified
from chainlang.session.engine_pool import wanted
from chainlang.session.estimate import CostEstimator, Estimate, of_a_row
from chainlang.session.first_prompts import FirstPrompt, advice, first_prompts
from chainlang.session.memory_plan import Memory, amount, contexts_of, memory_of, parts
from chainlang.session.named_models import with_models
from chainlang.session.policies import Choice, choices_of
from chainlang.session.prices import prices_of
from chainlang.session.rows import expected_rows, rows_of
from chainlang.session.run_progress import metered
from chainlang.session.sandboxes import sandboxes_of
from chainlang.session.session import analyzed
from chainlang.settings import MapSettings

__all__ = ["Explanation"]


@frozen(repr=False)
class Explanation:
    """Explanation of a chain: the effect of each pass, the plan, and the costs.

    It prints as a page. Its values are `compiled`, the costs of a row, which are `cost` and
    `naive`, and those of all rows, `estimate` and `actual`.

    >>> from chainlang import chain
    >>> found = chain("9:E >> M").explain(outputs="answer")
    >>> [(str(one.requests), str(one.samples)) for one in found.cost.models.values()]
    [('1 to 5', '5 to 9')]
    """

    chain: str
    program: Program
    compiled: Compiled
    estimate: Estimate
    """Predicted costs of the rows, or of any row if none are given."""
    actual: Actual | None = None
    """Actual costs of the rows, if they were run."""
    memory: Memory = field(kw_only=True)
    """Memory of the models, and the models that are loaded together."""
    prompts: tuple[FirstPrompt, ...] = field(kw_only=True, default=())
    """Prompts of the first row; empty without rows."""
    bounded: tuple[str, ...] = field(kw_only=True, default=())
    """Models whose engine can't close a field at its budget, so that the schema bounds it."""
    advice: tuple[str, ...] = field(kw_only=True, default=())
    """Values of the first row that an order of a template keeps stages from sharing."""
    contexts: Mapping[str, int | None] = field(kw_only=True, factory=dict)
    """Context of each model in tokens; None if it is the model's own, known when it is loaded."""
    addresses: Mapping[str, tuple[str, ...]] = field(kw_only=True, factory=dict)
    """Addresses of each model that has several."""
    sandboxes: Mapping[str, str] = field(kw_only=True, factory=dict)
    """Versions of each sandbox, or why it can't run here."""
    window: int = field(kw_only=True)
    """Maximum number of rows in flight."""
    choices: tuple[Choice, ...] = field(kw_only=True, default=())
    """Choices of its policies."""
    autos: tuple[str, ...] = field(kw_only=True, default=())
    """Values that a model decides before the first row; the plan has examples of them."""
    settings_file: str = field(kw_only=True, default="")
    """Path of the settings file in force; empty if there is none."""
    of_file: frozenset[str] = field(kw_only=True, default=frozenset())
    """Names of the settings that have their value from the file."""

    @property
    def cost(self) -> Counts:
        """Costs of a row by the optimized plan, without failures and duplicate rows."""
        return counts(self.compiled.plan)

    @property
    def naive(self) -> Counts:
        """Costs of a row by the unoptimized plan."""
        return counts(self.compiled.naive)

    def __str__(self) -> str:
        costs = table(self.estimate, self.actual)
        chosen = (self._autos(), self._choices())
        models = (*chosen, self._adapters(), self._contexts(), self._addresses(), self._sandboxes())
        parts = (
            *(self._settings(), self._passes(), self._plan(), self.prompt_lines(), *models),
            *(self._memory(), costs, self._advice()),
        )
        pages = ("\n".join(one) for one in parts)
        return "\n\n".join([self.chain.strip(), *filter(None, pages)])

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the page, below a picture of the chain."""
        drawn = svg(self.program.body, self.program.items)
        return {"text/plain": str(self), "text/html": page(drawn, preformatted(str(self)))}

    def _settings(self) -> Iterator[str]:
        """Yield the settings file in force, if there is one, and the settings that it gives."""
        if self.settings_file:
            yield f"SETTINGS of {self.settings_file}"
            yield f"  {', '.join(sorted(self.of_file)) or 'none of them is used'}"

    def _passes(self) -> Iterator[str]:
        yield "PASSES"
        for one in self.compiled.applied:
            yield f"{'+' if one.fired else ' '} {one.name}{' (lossy)' if one.lossy else ''}"
            yield from (f"    {line}" for line in _changes(one))
            yield from (f"    not {it.what}: {it.why}" for it in one.refused)

    def _plan(self) -> Iterator[str]:
        yield "PLAN"
        yield from (f"  {line}" for line in render(self.compiled.plan).splitlines())

    def prompt_lines(self) -> Iterator[str]:
        """Yield the prompts of the first row, with long messages cut."""
        if self.prompts:
            yield "PROMPTS of the first row"
        for one in self.prompts:
            yield from (f"  {line}".rstrip() for line in one.lines())

    def _advice(self) -> Iterator[str]:
        if self.advice:
            yield "ADVICE"
            yield from (f"  {line}" for line in self.advice)

    def _autos(self) -> Iterator[str]:
        """Yield the values that a model decides before the first row."""
        if self.autos:
            yield "AUTO, decided before the first row; the plan has examples"
        yield from (f"  {line}" for line in self.autos)

    def _choices(self) -> Iterator[str]:
        """Yield the choice of each policy, with its reasons."""
        if self.choices:
            yield "POLICIES"
        yield from (f"  {line}" for one in self.choices for line in one.lines())

    def _adapters(self) -> Iterator[str]:
        """Yield the adapter of each model that has one, and the model whose engine it shares."""
        found, same = self.compiled.plan.adapters, self.memory.same
        if found:
            yield "ADAPTERS, of models with one base in one engine"
        width = max(map(len, found), default=0)
        for name, adapter in found.items():
            first = same.get(name, name)
            yield f"  {name:{width}}  {adapter}{'' if first == name else f', with {first}'}"

    def _contexts(self) -> Iterator[str]:
        """Yield the context of each model, which bounds a prompt and its reply."""
        if self.contexts:
            yield "CONTEXT of a prompt and its reply"
        width = max(map(len, self.contexts), default=0)
        for name, size in self.contexts.items():
            said = "the model's own" if size is None else f"{size:,} tokens"
            yield f"  {name:{width}}  {said}"
        said = "closes no field: a budget bounds its characters, at four a token"
        yield from (f"  {name:{width}}  {said}" for name in self.bounded)

    def _addresses(self) -> Iterator[str]:
        """Yield the addresses of each model that has several."""
        if self.addresses:
            yield "ADDRESSES, of which the least loaded is next"
        width = max(map(len, self.addresses), default=0)
        for name, urls in self.addresses.items():
            yield from (f"  {name:{width}}  {one}" for one in urls)

    def _sandboxes(self) -> Iterator[str]:
        """Yield the versions of each sandbox."""
        if self.sandboxes:
            yield "SANDBOXES of programs"
        width = max(map(len, self.sandboxes), default=0)
        yield from (f"  {name:{width}}  {said}" for name, said in self.sandboxes.items())

    def _memory(self) -> Iterator[str]:
        """Yield the memory of the models and the order of swaps, if there are several."""
        memory, found = self.memory, self.memory.residency
        if not memory.chosen and len(found.sizes) < 2:
            return
        yield f"MEMORY, of which there is {amount(found.memory)}"
        width = max(map(len, memory.needs), default=0)
        for name, size in memory.needs.items():
            said = "not known before its files are here"
            if size is not None:
                said = f"{amount(size.total)}: {parts(size)}"
            yield f"  {name:{width}}  {said}"
        if found.too_large:
            yield f"  can't be loaded: {', '.join(found.too_large)}"
        elif found.together:
            which = "those that are known" if None in memory.needs.values() else "all of them"
            yield f"  not in turns: {which} fit together"
        else:
            groups = (" and ".join(one) for one in found.phases)
            rows = self.window * (SWAP_FACTOR if self.compiled.plan.by_model else 1)
            yield f"  in turns: {', then '.join(groups)}"
            yield f"  {found.loads} loads for up to {rows:,} rows, where nothing fails"


def _changes(applied: Applied) -> Iterator[str]:
    """Yield the lines of a chain or a plan that a pass removed and added."""
    if not applied.fired:
        return
    before, after = (_lines(one) for one in (applied.before, applied.after))
    yield from (f"- {line}" for line in before if line not in after)
    yield from (f"+ {line}" for line in after if line not in before)


def _lines(one: object) -> list[str]:
    text = unparse(one) if isinstance(one, Expr) else render(one)  # type: ignore[arg-type]
    return [line.strip() for line in text.splitlines()]


def bounded_by(plan: Plan, named: Mapping[str, Engine | Model]) -> tuple[str, ...]:
    """Return the models that can't close a field, of stages with budgets of fields."""
    models = dict.fromkeys(stage.model for stage in plan.stages if stage.budgets)
    return tuple(name for name in models if not _closes(named[name]))


def _closes(engine: Engine | Model) -> bool:
    return engine.engine not in SERVERS if isinstance(engine, Model) else engine.capabilities.closes


def _count(estimator: CostEstimator, program: Program, rows: Any, settings: MapSettings) -> None:
    """Count rows with an estimator, and show how many there are where it takes a second."""
    extent = Extent()
    settings, meter = metered(settings, partial(expected_rows, extent, settings.limit))
    try:
        for row in estimator.watch(rows_of(rows, program, settings, extent)):
            if meter is not None:
                meter.row(failed=isinstance(row, RowFailure))
    finally:
        if meter is not None and meter.moved:
            meter.end()


def explained(
    text: str, program: Program, rows: Any, settings: MapSettings, *, analyze: bool, count_all: bool
) -> Explanation:
    """Return the explanation of a checked program.

    `rows` are read as by `map`; invalid rows are left out. With `analyze` the rows are run;
    otherwise no model is loaded. Of many rows some are counted, for the others too, unless
    `count_all`.
    """
    autos, program = described(program), exemplified(program)
    choices = choices_of(program, settings)
    program = with_models(program, settings)
    found = planned(program, settings)
    named = wanted(found.plan, program.items, settings)
    prices = prices_of(found.plan, program.items, settings)
    memory = memory_of(found.plan, named, settings)

    def explanation(
        estimate: Estimate, actual: Actual | None = None, counted: CostEstimator | None = None
    ) -> Explanation:
        prompts: tuple[FirstPrompt, ...] = ()
        advised: tuple[str, ...] = ()
        if counted is not None and counted.first is not None:
            prompts = first_prompts(found.plan, counted.first, counted.readers)
            advised = advice(found.plan, counted.first, counted.readers)
        return Explanation(
            text,
            program,
            found,
            evolve(estimate, prices=prices),
            actual,
            memory=memory,
            prompts=prompts,
            advice=advised,
            bounded=bounded_by(found.plan, named),
            contexts=contexts_of(named),
            addresses=addresses_of(named),
            sandboxes=sandboxes_of(found.plan),
            window=settings.window,
            choices=choices,
            autos=autos,
            settings_file=settings.file,
            of_file=settings.of_file,
        )

    if analyze and rows is None:
        hint = "give it rows: explain(rows, analyze=True); on the command line, -i rows.jsonl"
        raise error_of("setting", "there are no rows to analyze", hint)
    if rows is None:
        return explanation(of_a_row(found))
    estimator = CostEstimator.of(found, named, settings)
    if not analyze:
        estimator.exact = count_all
        _count(estimator, program, rows, settings)
        return explanation(estimator.estimate(), counted=estimator)
    costs = analyzed(program, rows, settings, estimator)
    return explanation(costs.predicted, costs.actual, estimator)
