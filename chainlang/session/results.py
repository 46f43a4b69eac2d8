"""`Results`: the results of `map`, which are computed as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, overload

from chainlang.data import Extent
from chainlang.errors import error_of
from chainlang.session.result import Result
from chainlang.session.result_list import ResultList

__all__ = ["MapInterrupted", "Results"]

KEPT = 10_000
"""Results that are kept while they are passed one by one; beyond it, none is."""


class MapInterrupted(KeyboardInterrupt):
    """Ctrl-C during `map`. `results` has what was done."""

    def __init__(self, results: Results) -> None:
        self.results = results
        super().__init__(results.interrupted_after())

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        kept = "the results that are done are kept, those without a name in sys.last_value.results"
        return [f"interrupted: {self}", kept]


class Results(ResultList):
    """The results of `map`, in the order of the rows; each is computed when it is asked for.

    A loop takes them one by one. An index, a slice, `failed`, `to_pandas()` and the like run what
    they need, and so does a notebook that shows them. `len()` is the number of rows, if it is known
    before they are read. Results are kept: a second loop runs nothing. A loop over more than 10,000
    rows keeps none, so that memory is bounded, unless they were asked for in another way before.

    After Ctrl-C, `MapInterrupted` is raised, and the results that were done are here.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> engine = FakeEngine(answers=lambda request, index: request.messages[0].text.upper())
    >>> results = chain("E").map(["a", "b", "c"], engine=engine)
    >>> len(results), results[1].answer, [one.answer for one in results[1:]], len(results.failed)
    (3, 'B', ['B', 'C'], 0)
    """

    def __init__(
        self, stream: Iterator[Result], expected: Callable[[], int | None] = lambda: None
    ) -> None:
        super().__init__()
        self._stream = stream
        self._expected = expected
        self._taken = 0
        """Results that `next` has returned."""
        self._passed = 0
        """Results that are computed."""
        self._keeps_all = False
        self._ended = False
        self._interrupted = False

    # ---- one by one

    def __iter__(self) -> Iterator[Result]:
        """Return an iterator over the results, without those that `next` has returned."""
        return _Loop(self, self._taken)

    def __next__(self) -> Result:
        """Return the next result. Raises `StopIteration` after the last one."""
        result = self._at(self._taken)
        if result is None:
            raise StopIteration
        self._taken += 1
        return result

    def _at(self, index: int) -> Result | None:
        """Return a result, computing those before it; None if there are not so many."""
        while index >= self._passed and not self._ended:
            result = self._compute()
            if result is not None and index == self._passed - 1:
                return result
        if index >= self._passed:
            return None
        self._check_kept()
        return self._kept[index]

    def _compute(self) -> Result | None:
        """Compute the next result, and keep it if there is room."""
        try:
            result = next(self._stream, None)
        except KeyboardInterrupt as error:
            self._ended = self._interrupted = True
            raise MapInterrupted(self) from error
        except BaseException:
            self._ended = True
            raise
        if result is None:
            self._ended = True
            return None
        self._passed += 1
        if self._keeps_all or self._passed <= KEPT:
            self._kept.append(result)
        elif self._kept:
            self._kept.clear()
        return result

    def close(self) -> None:
        """Abort what is in flight; the results that are done stay."""
        self._ended = True
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()

    # ---- all of them

    def _all(self) -> list[Result]:
        """Return all results; run what is left."""
        self._check_kept()
        self._keeps_all = True
        while not self._ended:
            self._compute()
        return self._kept

    def _check_kept(self) -> None:
        if len(self._kept) < self._passed:
            message = f"the first of these results are gone: a loop keeps at most {KEPT:,} of them"
            hint = "call map() again, and use an index, a slice or to_pandas() before a loop"
            raise error_of("operand", message, hint)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> ResultList: ...

    def __getitem__(self, index: int | slice) -> Result | ResultList:
        """Return a result, or those of a slice; run what they need."""
        last = index.stop if isinstance(index, slice) else index
        if isinstance(last, int) and last >= 0:
            first = 0 if not isinstance(index, slice) or index.start is None else index.start
            if first >= 0:
                self._check_kept()
                self._keeps_all = True
                self._at(last - isinstance(index, slice) if last else 0)
                kept: Sequence[Result] = self._kept
                return ResultList(kept[index]) if isinstance(index, slice) else kept[index]
        return super().__getitem__(index)

    def __len__(self) -> int:
        if self._ended:
            return self._passed
        expected = self._expected()
        if expected is None:
            raise TypeError(
                "the number of rows is not known before they are read: write len(list(results))"
            )
        return expected

    def __bool__(self) -> bool:
        return self._passed > 0 or self._at(0) is not None

    def __repr__(self) -> str:
        if self._ended and not self._interrupted and len(self._kept) == self._passed:
            return super().__repr__()
        return f"<Results: {self.interrupted_after()}>"

    def interrupted_after(self) -> str:
        """Return how many of the rows are done, as words."""
        expected = self._expected()
        of = "" if expected is None else f" of {expected:,}"
        rows = "row" if (expected or self._passed) == 1 else "rows"
        return f"{self._passed:,}{of} {rows} done"

    def __aiter__(self) -> NoReturn:
        message, hint = "map() is not async", "write: async for result in chain.amap(rows)"
        raise error_of("operand", message, hint)


class _Loop(Iterator[Result]):
    """One loop over results. It keeps them alive, and they don't keep it."""

    def __init__(self, results: Results, at: int) -> None:
        self._results = results
        self._next = at

    def __next__(self) -> Result:
        result = self._results._at(self._next)
        if result is None:
            raise StopIteration
        self._next += 1
        return result


def known_rows(extent: Extent, limit: int | None, on_error: str) -> Callable[[], int | None]:
    """Return a function that returns the number of results, or None if it is not known."""

    def known() -> int | None:
        if extent.rows is None or on_error == "skip":
            return None
        return extent.rows if limit is None else min(extent.rows, limit)

    return known
