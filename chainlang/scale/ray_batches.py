"""Chains for `map_batches` of Ray Data: each actor opens the engines of its chain once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Unpack

from chainlang.analysis.output_names import output_names
from chainlang.api.chain import Chain
from chainlang.api.keywords import CallKeywords
from chainlang.errors import error_of
from chainlang.scale.portable import opened, portable
from chainlang.session.result_list import column, flat_rows
from chainlang.session.streaming import Calls
from chainlang.settings import DEFAULT_WINDOW, CallSettings


class BatchWorker:
    """A chain in an actor of Ray Data, whose rows of several batches are in flight together.

    A batch is a dict of arrays, a table of pyarrow, or a data frame of pandas.
    """

    def __init__(self, document: str, window: int) -> None:
        chain, settings = opened(document)
        program = chain.program()
        self._columns = output_names(program.body, program.items)
        self._calls = Calls.of(program, CallSettings.of({"on_error": "collect", **settings}))
        self._places = asyncio.Semaphore(window)

    async def __call__(self, batch: Any) -> Any:
        """Return the results of a batch as a table of pyarrow, in the order of its rows."""
        rows = rows_of(batch)
        results = await asyncio.gather(*map(self._result, rows))
        return _table(flat_rows(results, set(self._columns)))

    async def _result(self, row: Mapping[str, Any]) -> Any:
        async with self._places:
            return await self._calls.result(row)


def as_ray(
    chain: Chain, *, window: int = DEFAULT_WINDOW, **settings: Unpack[CallKeywords]
) -> type[BatchWorker]:
    """Return a class for `map_batches` of Ray Data, which runs a chain over batches.

    Each actor opens the engines that the models of the chain declare. `window` is the number of
    rows in flight in an actor, whatever batch they are of. The result has a row for each row of
    the batch, with the columns of the table ``flattened`` of a run folder; a row that failed has
    its reason in ``error``. A column of lists, objects or several types holds JSON. A sample is a
    function of its row, so results do not depend on the split. Ray keeps the order of rows only
    where its context says `preserve_order`, so sort by ``id``.

    The chain travels as JSON, and its functions as names to import. Raises `OperandError` for a
    function without such a name, and `SettingError` for a setting that does not travel.
    """
    if window < 1:
        raise error_of("setting", f"window={window}: at least one row is in flight")
    chosen = CallSettings.of({"on_error": "collect", **settings})
    document = portable(chain, chosen, without=("progress",))

    class ChainWorker(BatchWorker):
        """A chain in an actor of Ray Data."""

        def __init__(self) -> None:
            super().__init__(document, window)

    return ChainWorker


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch as Python values.

    >>> rows_of({"id": ["a", "b"], "n": [1, 2]})
    [{'id': 'a', 'n': 1}, {'id': 'b', 'n': 2}]
    """
    found: list[dict[str, Any]]
    if hasattr(batch, "to_pylist"):
        found = batch.to_pylist()
    elif hasattr(batch, "to_dict"):
        found = batch.to_dict("records")
    else:
        names = list(batch)
        columns = [_plain(batch[name]) for name in names]
        found = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return found


def _plain(values: Any) -> Any:
    """Return an array as a list, with nested ones."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [_plain(one) for one in values] if isinstance(values, list) else values


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    names = [*dict.fromkeys(name for row in rows for name in row)]
    return pa.table({name: pa.array(column([row.get(name) for row in rows])) for name in names})
