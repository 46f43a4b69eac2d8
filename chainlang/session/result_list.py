"""`ResultList`: several results, as a sequence, as tables, and as a grid in a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, overload

from chainlang.display.grid import Line, grid
from chainlang.errors import error_of
from chainlang.protocol.messages import Usage
from chainlang.protocol.price import dollars
from chainlang.semantics.not_json import json_only
from chainlang.semantics.record import Branched, Flow, Record
from chainlang.session.result import Result
from chainlang.store.flatten import flattened

__all__ = ["ResultList"]


class ResultList(Sequence[Result]):
    """Several results of a run.

    It is a sequence; a slice is a `ResultList` too. `to_dicts`, `to_pandas` and `to_polars` have a
    row for each result, with the columns of the table ``flattened`` in a run folder. In a notebook
    it is a grid with failures first.
    """

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._kept = list(results)

    def _all(self) -> list[Result]:
        """Return all results."""
        return self._kept

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> ResultList: ...

    def __getitem__(self, index: int | slice) -> Result | ResultList:
        """Return a result, or those of a slice."""
        if isinstance(index, slice):
            return ResultList(self._all()[index])
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    @property
    def failed(self) -> ResultList:
        """The failed results."""
        return ResultList(one for one in self._all() if not one.ok)

    @property
    def usage(self) -> Usage:
        """Usage of all results."""
        return Usage.total(one.usage for one in self._all())

    @property
    def cost(self) -> Decimal | None:
        """Price of all results in dollars; None if that of one of the models is unknown."""
        return self.usage.spent

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each result: id, fields of the row, answer, other fields, error.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers=lambda request, index: request.messages[0].text.upper())
        >>> chain("E").map([{"id": 7, "query": "a"}], engine=engine).to_dicts()
        [{'id': '7', 'query': 'a', 'answer': 'A', 'error': None}]
        """
        return flat_rows(self._all(), set())

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each result."""
        try:
            import pandas as pd
        except ImportError:
            raise _missing("pandas") from None
        return pd.DataFrame(self.to_dicts())

    def to_polars(self) -> Any:
        """Return a `polars.DataFrame` with a row for each result.

        A column of lists, objects or values of several types holds them as JSON.
        """
        try:
            import polars as pl
        except ImportError:
            raise _missing("polars") from None
        rows = self.to_dicts()
        names = [*dict.fromkeys(name for row in rows for name in row)]
        return pl.DataFrame({name: column([row.get(name) for row in rows]) for name in names})

    def to_dataset(self) -> Any:
        """Return a `datasets.Dataset` with a row for each result, which `push_to_hub` publishes.

        A column of several types holds its values as JSON.
        """
        try:
            import datasets  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise _missing("datasets") from None
        rows = self.to_dicts()
        names = [*dict.fromkeys(name for row in rows for name in row)]
        columns = {name: [row.get(name) for row in rows] for name in names}
        return datasets.Dataset.from_dict(
            {name: _of_one_type(values) for name, values in columns.items()}
        )

    def __repr__(self) -> str:
        return f"<{self._counted(self._kept)}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: a grid, and the counts."""
        found = self._all()
        lines = [_line(one) for one in sorted(found, key=lambda one: one.ok)]
        columns = [*dict.fromkeys(name for line in lines for name in line.more)]
        return {"text/plain": repr(self), "text/html": grid(lines, self._counted(found), columns)}

    def _counted(self, found: Sequence[Result]) -> str:
        failed = sum(not one.ok for one in found)
        usage = Usage.total(one.usage for one in found)
        tokens = usage.prompt_tokens + usage.output_tokens
        rows = f"{len(found):,} result{'s' * (len(found) != 1)}"
        cost = "" if not usage.cost else f", {dollars(usage.cost)}"
        return f"{rows}, {failed:,} failed, {usage.calls:,} calls, {tokens:,} tokens{cost}"


def flat_rows(results: Sequence[Result], outputs: set[str]) -> list[dict[str, Any]]:
    """Return a row of the table ``flattened`` for each result; `outputs` are columns of outputs."""
    for one in results:  # so that a column has one name in all rows
        flattened(one.row_id, {}, one.flow, None, outputs)
    return [_flat(one, outputs) for one in results]


def _flat(one: Result, outputs: set[str]) -> dict[str, Any]:
    return flattened(one.row_id, json_only(one.fields), one.flow, one.error, outputs)


def _line(one: Result) -> Line:
    more: dict[str, Any] = {}
    if one.ok and isinstance(one.flow, Record) and one.flow.candidates:
        confidence = one.flow.candidates[0].fields.get("confidence")
        more = {} if confidence is None else {"confidence": confidence}
    more["tokens"] = one.usage.prompt_tokens + one.usage.output_tokens
    said = None if one.flow is None or not one.ok else _said(one.flow)
    return Line(one.index, one.fields, said, one.error, more)


def _said(flow: Flow) -> Any:
    if isinstance(flow, Branched):
        return {name: _said(arm) for name, arm in flow.results}
    return flow.candidates[0].answer if isinstance(flow, Record) and flow.candidates else None


def _of_one_type(values: list[Any]) -> list[Any]:
    """Return values of one type as they are, of objects too; else as JSON."""
    kinds = {type(value) for value in values if value is not None}
    return values if len(kinds) <= 1 else column(values)


def column(values: list[Any]) -> list[Any]:
    """Return the values of a column as they are if they have one scalar type; else as JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {str, bool}):
        return [float(value) if kinds == {int, float} and value is not None else value
                for value in values]  # fmt: skip
    return [
        value if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False)
        for value in values
    ]


def _missing(library: str) -> Exception:
    return error_of("operand", f"{library} is not installed", f"run: pip install {library}")
