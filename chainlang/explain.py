"""What will be done for a chain, and what that costs: the page of `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from chainlang.compiler import Compiled, planned
from chainlang.data import Extent
from chainlang.ir.nodes import Expr
from chainlang.notation import unparse
from chainlang.ops.programs import Program
from chainlang.ops.records import Record
from chainlang.passes.table import Applied
from chainlang.plan.counts import Cost, Counts, Range, counts
from chainlang.plan.render import render
from chainlang.sessions import rows_of
from chainlang.settings import MapSettings


@frozen(repr=False)
class Explanation:
    """A chain, what each pass did to it, the plan, and what that costs at most.

    It prints as a page. `compiled` and the costs of a row, `cost` and `naive`, are values.

    >>> from chainlang import chain
    >>> found = chain("9:E >> M").explain(outputs="answer")
    >>> [(str(one.requests), str(one.samples)) for one in found.cost.models.values()]
    [('1 to 5', '5 to 9')]
    """

    chain: str
    compiled: Compiled
    rows: int | None = None
    """How many rows there are that can be run, where some were given."""
    equal: int = 0
    """How many of them are equal to one before them, and cost nothing."""

    @property
    def cost(self) -> Counts:
        """What a row costs by the plan that runs, where nothing fails and no rows are equal."""
        return counts(self.compiled.plan)

    @property
    def naive(self) -> Counts:
        """What it costs by the plan without passes."""
        return counts(self.compiled.naive)

    def __str__(self) -> str:
        parts = (self._passes(), self._plan(), self._costs())
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

    def _costs(self) -> Iterator[str]:
        number = self.rows
        if number is None:
            yield "COST OF A ROW, where nothing fails"
        else:
            equal = f", {self.equal:,} of them equal to others" if self.equal else ""
            yield f"COST OF {number:,} ROW{'' if number == 1 else 'S'}{equal}, where nothing fails"
        times = Range.of(1 if number is None else number - self.equal)
        whole = Range.of(1 if number is None else number)
        table = [(
            "model", "requests", "samples", "output tokens, at most",
            "requests as written", "samples as written",
        )]  # fmt: skip
        for model, written in self.naive.models.items():
            cost = self.cost.models.get(model, Cost())
            bound = (cost.output_tokens * times).most
            table.append((
                model,
                str(cost.requests * times),
                str(cost.samples * times),
                "not known" if bound is None else f"{bound:,}",
                str(written.requests * whole),
                str(written.samples * whole),
            ))  # fmt: skip
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield f"  {'  '.join(cells)}".rstrip()
        yield f"  requests of a row that wait for each other: {self.cost.path}"


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


def explained(text: str, program: Program, rows: Any, settings: MapSettings) -> Explanation:
    """Return the explanation of a program that has been checked. No model is loaded.

    `rows` are read as `map` would read them, and those that can't be run are left out.
    """
    found = planned(program, settings)
    if rows is None:
        return Explanation(text, found)
    ids = [
        start.id
        for start in rows_of(rows, program, settings.limit, Extent())
        if isinstance(start, Record)
    ]
    equal = len(ids) - len(set(ids)) if found.plan.rows_once else 0
    return Explanation(text, found, len(ids), equal)
