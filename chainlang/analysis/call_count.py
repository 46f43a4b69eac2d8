"""Maximum number of stage runs of a row, computed from the chain alone.

A definition is counted once for each number of candidates before it, so ``$a = $b & $b`` forty
levels deep takes forty steps. Counts stop at `CEILING`, so every chain can be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.ir.builtins import STAGE_TYPES, StageType
from chainlang.ir.nodes import (
    Branch,
    Cascade,
    Combinator,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.sampling_options import DEFAULT_ROUNDS
from chainlang.ir.visit import parts_of
from chainlang.ir.wiring import parts_read
from chainlang.limits import current

CEILING = 10**18
_DEFAULT_TIMES = 3  # of retry and loop
_COUNTED_ROUNDS = 64  # rounds of a loop after which a doubling number has reached the ceiling
_MOST_ROUNDS = 20_000  # rounds of loops whose candidates grow; more would exceed every limit


@frozen
class Cost:
    """Stage runs of a part, its number of branches, and the candidates in each."""

    calls: int
    branches: int
    candidates: int


def count_calls(node: Expr, types: Mapping[str, StageType], definitions: Mapping[str, Expr]) -> int:
    """Return the maximum number of stage runs of a row, at most `CEILING`; `each` counts one item.

    >>> from chainlang.notation import parse
    >>> from chainlang.ir.builtins import STAGE_TYPES
    >>> count_calls(parse("1000:E >> 1000:V >> 1000:V").node, STAGE_TYPES, {})
    1001001000
    >>> count_calls(parse("2:E >> (J | V) >> J").node, STAGE_TYPES, {})
    7
    """
    return _Counter(types, definitions).visit(node, 1).calls


def too_many_calls(
    nodes: Iterable[Expr], types: Mapping[str, StageType], definitions: Mapping[str, Expr]
) -> list[Diagnostic]:
    """Return a diagnostic for each expression with more stage runs of a row than the limit."""
    limits = current()
    counter = _Counter(types, definitions)
    found = []
    for node in nodes:
        calls = counter.visit(node, 1).calls
        if calls > limits.calls_per_row:
            shown = f"{calls:,}" if calls < CEILING else "more than 10^18"
            what = f"one row would cost {shown} calls"
            found.append(limits.exceeded("calls_per_row", what, node.span))
    return found


def _replies(node: Stage, kind: StageType | None) -> int:
    """Return the maximum number of replies of a sample: further ones follow calls of tools."""
    given = {**(kind.given if kind else {}), **{one.name: one.value for one in node.options}}
    rounds = given.get("tool_rounds", DEFAULT_ROUNDS)
    return 1 + rounds if "tools" in given and isinstance(rounds, int) else 1


class _Counter:
    def __init__(self, types: Mapping[str, StageType], definitions: Mapping[str, Expr]) -> None:
        self.types = types
        self.definitions = definitions
        self.memo: dict[tuple[str | int, int, int], Cost] = {}
        self.parts: dict[str, int] = {}
        """Maximum candidates of each named part so far, which `of` reads."""
        self.growth = 0
        """Number of changes of `parts`, after which a part may cost more."""
        self.rounds = 0

    def visit(self, node: Expr, before: int) -> Cost:
        """Return the cost of a part with `before` candidates before it."""
        match node:
            case Stage():
                kind = self.types.get(node.name)
                if of := parts_read(node):
                    before = _total(self.parts.get(name, 1) for name in of)
                runs = _product(node.count, before if kind and kind.kind == "map" else 1)
                if node.name not in STAGE_TYPES:  # an op may name its own part
                    self.note(node.name, runs)
                return Cost(_product(runs, _replies(node, kind)), 1, runs)
            case Then(parts):
                return self.sequence(parts, before)
            case Join(parts):
                costs = [self.visit(part, before) for part in parts]
                gathered = _total(_product(cost.branches, cost.candidates) for cost in costs)
                return Cost(_total(cost.calls for cost in costs), 1, gathered)
            case Branch(parts):
                costs = [self.visit(part, before) for part in parts]
                return Cost(
                    _total(cost.calls for cost in costs),
                    _total(cost.branches for cost in costs),
                    max(cost.candidates for cost in costs),
                )
            case Repeat(times, body):
                one = self.visit(body, before)
                gathered = _product(times, _product(one.branches, one.candidates))
                return Cost(_product(times, one.calls), 1, gathered)
            case Named(name, body):
                cost = self.visit(body, before)
                self.note(name, _product(cost.branches, cost.candidates))
                return cost
            case Ref(name):
                if name not in self.definitions:
                    return Cost(1, 1, before)
                return self.once(name, before, lambda: self.visit(self.definitions[name], before))
            case Function():
                if of := parts_read(node):
                    before = _total(self.parts.get(name, 1) for name in of)
                return Cost(1, 1, before)
            case (
                Fallback()
                | Cascade()
                | Retry()
                | Timeout()
                | Route()
                | Loop()
                | Each()
                | WithFields()
                | Combine()
            ):
                # By identity, because hashing a node walks all nodes below it.
                return self.once(id(node), before, lambda: self.combine(node, before))
        assert_never(node)

    def note(self, name: str, candidates: int) -> None:
        """Note how many candidates a named part has."""
        if candidates > self.parts.get(name, 0):
            self.parts[name] = candidates
            self.growth += 1

    def once(self, key: str | int, before: int, count: Callable[[], Cost]) -> Cost:
        at = (key, before, self.growth)
        if at not in self.memo:
            found = count()  # which may change `growth`
            self.memo[at] = self.memo[key, before, self.growth] = found
        return self.memo[at]

    def sequence(self, parts: tuple[Expr, ...], before: int) -> Cost:
        calls, branches = 0, 1
        for part in parts:
            cost = self.visit(part, before)
            calls = _total((calls, _product(branches, cost.calls)))
            branches = _product(branches, cost.branches)
            before = cost.candidates
        return Cost(calls, branches, before)

    def combine(self, node: Combinator | Combine, before: int) -> Cost:
        costs = [self.visit(part, before) for part in parts_of(node)] or [Cost(0, 1, before)]
        most = max(cost.candidates for cost in costs)
        calls = _total(cost.calls for cost in costs)
        match node:
            case Route():  # one of its parts runs
                return Cost(max(cost.calls for cost in costs), 1, most)
            case Retry(times=times):
                return Cost(_product(calls, _DEFAULT_TIMES if times is None else times), 1, most)
            case Loop(body, times):
                return self.loop(body, _DEFAULT_TIMES if times is None else times, calls, most)
            case Fallback() | Cascade() | Timeout() | Each() | WithFields() | Combine():
                return Cost(calls, 1, most)
        assert_never(node)

    def loop(self, body: Expr, times: int, calls: int, most: int) -> Cost:
        """Return the cost of `times` rounds; the first has `calls` runs and `most` candidates.

        The candidates of a round are the input of the next one.
        """
        growth = 0
        for done in range(1, min(times, _COUNTED_ROUNDS)):
            self.rounds += 1
            if self.rounds > _MOST_ROUNDS:
                return Cost(CEILING, 1, CEILING)
            again = self.visit(body, most)
            if again.candidates <= most:  # all further rounds cost the same
                rest = _product(again.calls, times - done)
                return Cost(_total((calls, rest)), 1, most)
            growth = again.candidates - most
            calls, most = _total((calls, again.calls)), again.candidates
        counted = Cost(calls, 1, most)
        if times <= _COUNTED_ROUNDS:
            return counted
        return self.further_rounds(body, counted, growth, times - _COUNTED_ROUNDS)

    def further_rounds(self, body: Expr, before: Cost, growth: int, rounds: int) -> Cost:
        """Return the cost of a loop with the rounds after those in `before`.

        Candidates that more than double have reached `CEILING` by now; else each round adds the
        same number. Calls are convex in the candidates, so the mean of the first and the last
        round is no less than that of all.
        """
        last = _total((before.candidates, _product(growth, rounds - 1)))
        ends = self.visit(body, before.candidates).calls + self.visit(body, last).calls
        further = (rounds * ends + 1) // 2
        return Cost(_total((before.calls, further)), 1, _total((last, growth)))


def _product(left: int, right: int) -> int:
    return min(left * right, CEILING)


def _total(counts: Iterable[int]) -> int:
    return min(sum(counts), CEILING)
