"""What will be done for a chain, and what that costs: the page of `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from chainlang.accounts import Actual, table
from chainlang.compiler import Compiled, planned
from chainlang.data import Extent
from chainlang.diagnostics import Diagnostic
from chainlang.errors import SettingError
from chainlang.forecasts import Forecast, Forecaster, of_a_row
from chainlang.ir.nodes import Expr
from chainlang.notation import unparse
from chainlang.ops.programs import Program
from chainlang.passes.table import Applied
from chainlang.plan.costs import Counts
from chainlang.plan.counts import counts
from chainlang.plan.render import render
from chainlang.sessions import analyzed, rows_of
from chainlang.settings import MapSettings


@frozen(repr=False)
class Explanation:
    """A chain, what each pass did to it, the plan, and what that costs at most.

    It prints as a page. Everything on it is a value: `compiled`, the costs of a row, which are
    `cost` and `naive`, and those of all rows, `forecast` and `actual`.

    >>> from chainlang import chain
    >>> found = chain("9:E >> M").explain(outputs="answer")
    >>> [(str(one.requests), str(one.samples)) for one in found.cost.models.values()]
    [('1 to 5', '5 to 9')]
    """

    chain: str
    compiled: Compiled
    forecast: Forecast
    """What the rows will cost; without any, what one does."""
    actual: Actual | None = None
    """What they have cost, where they were run for that."""

    @property
    def cost(self) -> Counts:
        """What a row costs by the plan that runs, where nothing fails and no rows are equal."""
        return counts(self.compiled.plan)

    @property
    def naive(self) -> Counts:
        """What it costs by the plan without passes."""
        return counts(self.compiled.naive)

    def __str__(self) -> str:
        parts = (self._passes(), self._plan(), table(self.forecast, self.actual))
        return "\n\n".join([self.chain.strip(), *("\n".join(one) for one in parts)])

    __repr__ = __str__

    def _passes(self) -> Iterator[str]:
        yield "PASSES"
        for one in self.compiled.applied:
            yield f"{'+' if one.fired else ' '} {one.name}{' (lossy)' if one.lossy else ''}"
            yield from (f"    {line}" for line in _changes(one))
            yield from (f"    not {it.what}: {it.why}" for it in one.refused)

    def _plan(self) -> Iterator[str]:
        yield "PLAN"
        yield from (f"  {line}" for line in render(self.compiled.plan).splitlines())


def _changes(applied: Applied) -> Iterator[str]:
    """Yield the lines of a chain or a plan that a pass took away, and those it put there."""
    if not applied.fired:
        return
    before, after = (_lines(one) for one in (applied.before, applied.after))
    yield from (f"- {line}" for line in before if line not in after)
    yield from (f"+ {line}" for line in after if line not in before)


def _lines(one: object) -> list[str]:
    text = unparse(one) if isinstance(one, Expr) else render(one)  # type: ignore[arg-type]
    return [line.strip() for line in text.splitlines()]


def explained(
    text: str, program: Program, rows: Any, settings: MapSettings, *, analyze: bool
) -> Explanation:
    """Return the explanation of a program that has been checked.

    `rows` are read as `map` would read them, and those that can't be run are left out. Where they
    are to be analyzed they are run, and else no model is loaded.
    """
    found = planned(program, settings)
    if analyze and rows is None:
        hint = "give it rows: explain(rows, analyze=True); on the command line, -i rows.jsonl"
        raise SettingError([Diagnostic("setting", "there are no rows to analyze", hint=hint)])
    if rows is None:
        return Explanation(text, found, of_a_row(found))
    forecaster = Forecaster.of(found, program, settings)
    if not analyze:
        for _ in forecaster.watch(rows_of(rows, program, settings.limit, Extent())):
            pass
        return Explanation(text, found, forecaster.forecast())
    costs = analyzed(program, rows, settings, forecaster)
    return Explanation(text, found, costs.predicted, costs.actual)
