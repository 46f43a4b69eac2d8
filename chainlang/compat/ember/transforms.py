"""`vmap`, `pmap` and `compose`: functions and operators over lists of inputs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from chainlang.compat.ember.calls import settings_now
from chainlang.compat.ember.chain_operator import ChainOperator, Outputs
from chainlang.compat.ember.dataflow import Work, together
from chainlang.compat.ember.exceptions import TransformError
from chainlang.compat.ember.execution_options import ExecutionOptions, get_execution_options
from chainlang.compat.ember.structures import fields_of
from chainlang.compat.ember.use import positions

__all__ = ["TransformOptions", "compose", "pjit", "pmap", "vmap"]

Axes = int | None | Sequence[int | None] | Mapping[str, int | None]
_BATCHED = "_is_batched"


@frozen(kw_only=True)
class TransformOptions:
    """Options of a transform."""

    propagate_errors: bool = True
    """Whether the first error is raised; else errors stand in the places of their results."""
    timeout: float | None = None
    """Time for all items in seconds; default: that of the execution options."""


@frozen
class _Batch:
    """The calls that a batched call consists of."""

    items: list[tuple[tuple[Any, ...], dict[str, Any]]]
    is_named: bool
    """Whether the lists are fields of the inputs, so that the results are by field too."""


def vmap(
    fn: Callable[..., Any] | None = None,
    *,
    in_axes: Axes = 0,
    out_axes: int = 0,
    batch_size: int | None = None,
    parallel: bool | None = None,
    max_workers: int | None = None,
    options: TransformOptions | None = None,
) -> Any:
    """Return a function over lists: it calls `fn` for each item, and returns the results in order.

    Lists in the same call have the same length and are read together; `in_axes` has 0 for an
    argument that is a list and None for one that stays the same, by position or by name. Lists
    among the fields of ``inputs=`` are items too, and then the result is a dict of lists. Calls
    overlap as the execution options say; `batch_size` is how many start before the next ones.
    Raises `TransformError` for lists of different lengths, or without a list.

    >>> vmap(lambda x, y: x + y, in_axes=(0, None))([1, 2, 3], 10)
    [11, 12, 13]
    >>> vmap(vmap(lambda x: x * 2))([[1, 2], [3, 4]])
    [[2, 4], [6, 8]]
    >>> vmap(lambda *, inputs: {"length": len(inputs["text"])})(inputs={"text": ["a", "bcd"]})
    {'length': [1, 3]}
    """
    if fn is None:
        return lambda function: vmap(
            function,
            in_axes=in_axes,
            out_axes=out_axes,
            batch_size=batch_size,
            parallel=parallel,
            max_workers=max_workers,
            options=options,
        )
    if out_axes != 0:
        raise TransformError(
            f"out_axes= can't be {out_axes!r}", recovery_hint="results are a list: write 0"
        )
    if batch_size is not None and batch_size < 1:
        raise TransformError(f"batch_size= can't be {batch_size!r}", recovery_hint="from 1 on")
    _check_axes(in_axes)
    mapped = fn

    @functools.wraps(fn, updated=())
    def batched(*arguments: Any, **keywords: Any) -> Any:
        chosen = get_execution_options()
        if parallel is not None:
            chosen = chosen.with_options(use_parallel=parallel)
        if max_workers is not None:
            chosen = chosen.with_options(max_workers=max_workers)
        batch = _batch(arguments, keywords, in_axes)
        if batch is None:
            raise TransformError(
                f"vmap({_name(mapped)}) is called without a list",
                recovery_hint="give one in an argument whose axis is 0, or call the function",
            )
        return _gathered(
            _called(mapped, batch, chosen, options or TransformOptions(), batch_size), batch
        )

    setattr(batched, _BATCHED, True)
    return batched


def pmap(
    fn: Callable[..., Any] | None = None,
    *,
    num_workers: int | None = None,
    in_axes: Axes = 0,
    options: TransformOptions | None = None,
) -> Any:
    """Return a function over lists, with `num_workers` calls of `fn` at a time (default: all).

    The arguments are those of `vmap`. Of a function that `vmap` made, each worker calls it with a
    part of the list, or with one item where the items are lists.

    >>> pmap(lambda x: x * 2, num_workers=4)([1, 2, 3, 4])
    [2, 4, 6, 8]
    >>> pmap(vmap(lambda x: x * 2), num_workers=2)([1, 2, 3, 4])
    [2, 4, 6, 8]
    """
    if fn is None:
        return lambda function: pmap(
            function, num_workers=num_workers, in_axes=in_axes, options=options
        )
    ExecutionOptions(max_workers=num_workers)
    _check_axes(in_axes)
    mapped = fn

    @functools.wraps(fn, updated=())
    def spread(*arguments: Any, **keywords: Any) -> Any:
        chosen = get_execution_options()
        if num_workers is not None:
            chosen = chosen.with_options(max_workers=num_workers, use_parallel=True)
        batch = _batch(arguments, keywords, in_axes)
        if batch is None:
            return mapped(*arguments, **keywords)
        how = options or TransformOptions()
        if getattr(mapped, _BATCHED, False) and not _of_lists(batch):
            return _sharded(mapped, batch, chosen, how)
        return _gathered(_called(mapped, batch, chosen, how, None), batch)

    return spread


pjit = pmap


def compose(*transforms: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a transform that applies several, the last one first.

    >>> compose(vmap(), pmap(num_workers=2))(lambda x: x + 1)([1, 2])
    [2, 3]
    """
    return lambda fn: functools.reduce(lambda made, one: one(made), reversed(transforms), fn)


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


# ---------------------------------------------------------------- lists in, lists out


def _check_axes(axes: Axes) -> None:
    several: Any = [axes]
    if isinstance(axes, Mapping):
        several = axes.values()
    elif isinstance(axes, Sequence):
        several = axes
    for one in several:
        if one not in (0, None) or isinstance(one, bool):
            raise TransformError(
                f"in_axes= can't be {one!r}", recovery_hint="0 for a list, None for a constant"
            )


def _batch(arguments: tuple[Any, ...], keywords: dict[str, Any], axes: Axes) -> _Batch | None:
    """Return the calls of a batched call; None if none of its arguments is a list."""
    inputs = fields_of(keywords["inputs"]) if "inputs" in keywords else None
    alone = None  # a single argument that is a dict of lists
    if len(arguments) == 1 and not keywords and fields_of(arguments[0]):
        alone, arguments = fields_of(arguments[0]), ()
        inputs = alone
    named = inputs if inputs is not None else keywords
    positional = _listed(dict(enumerate(arguments)), _by_position(axes, len(arguments)))
    by_name = _listed(named, axes if isinstance(axes, Mapping) else dict.fromkeys(named, 0))
    lengths = {len(one) for one in (*positional.values(), *by_name.values())}
    if not lengths:
        return None
    if len(lengths) > 1:
        shown = ", ".join(str(one) for one in sorted(lengths))
        raise TransformError(
            f"the lists of a call have different lengths: {shown}",
            recovery_hint="write None in in_axes= for what stays the same",
        )
    items: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for index in range(lengths.pop()):
        args = tuple(
            positional[number][index] if number in positional else one
            for number, one in enumerate(arguments)
        )
        fields = {
            name: by_name[name][index] if name in by_name else one for name, one in named.items()
        }
        if alone is not None:
            items.append(((fields,), {}))
            continue
        items.append((args, fields if inputs is None else {**keywords, "inputs": fields}))
    return _Batch(items, is_named=not positional)


def _by_position(axes: Axes, count: int) -> dict[int, int | None]:
    if isinstance(axes, Mapping):
        return {}
    if isinstance(axes, Sequence):
        if len(axes) != count:
            raise TransformError(f"in_axes= has {len(axes)} axes for {count} arguments")
        return dict(enumerate(axes))
    return dict.fromkeys(range(count), axes)


def _listed(given: Mapping[Any, Any], axes: Mapping[Any, int | None]) -> dict[Any, Any]:
    """Return the arguments that are lists and have an axis."""
    return {
        name: one
        for name, one in given.items()
        if axes.get(name) == 0 and isinstance(one, list | tuple)
    }


def _of_lists(batch: _Batch) -> bool:
    return not batch.is_named and all(
        isinstance(one, list | tuple) for args, _ in batch.items for one in args
    )


def _gathered(results: list[Any], batch: _Batch) -> Any:
    """Return results as a list; of calls by field, as a list for each field."""
    fields = [fields_of(one) for one in results]
    if not batch.is_named or not all(
        one is not None or isinstance(result, BaseException)
        for one, result in zip(fields, results, strict=True)
    ):
        return results
    names = dict.fromkeys(name for one in fields if one is not None for name in one)
    return {
        name: [
            result if one is None else one.get(name)
            for one, result in zip(fields, results, strict=True)
        ]
        for name in names
    }


# ---------------------------------------------------------------- calls


def _called(
    fn: Callable[..., Any],
    batch: _Batch,
    options: ExecutionOptions,
    how: TransformOptions,
    batch_size: int | None,
) -> list[Any]:
    """Return the results of all calls, in order."""
    seconds = how.timeout if how.timeout is not None else options.timeout_seconds
    if isinstance(fn, ChainOperator) and fn.runs_chain and how.propagate_errors:
        rows = [_row(one) for one in batch.items]
        if all(row is not None for row in rows):
            return _mapped(fn, rows, options, seconds, batch_size)
    works = [
        Work(f"{_name(fn)} {number}", position, functools.partial(fn, *args, **keywords))
        for number, (position, (args, keywords)) in enumerate(
            zip(positions(len(batch.items)), batch.items, strict=True)
        )
    ]
    size = batch_size or max(1, len(works))
    results: list[Any] = []
    for start in range(0, len(works), size):
        part = works[start : start + size]
        results += together(part, options, fail_fast=how.propagate_errors, seconds=seconds)
        failed = [one for one in results if isinstance(one, BaseException)]
        if failed and how.propagate_errors:
            raise failed[0]
    return results


def _row(call: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    """Return the row of a call of an operator; None if it has other arguments."""
    args, keywords = call
    if len(args) == 1 and not keywords:
        return args[0]
    inputs = keywords.get("inputs", keywords)
    return inputs if not args and (inputs is keywords or len(keywords) == 1) else None


def _mapped(
    operator: ChainOperator,
    rows: list[Any],
    options: ExecutionOptions,
    seconds: float | None,
    batch_size: int | None,
) -> list[Any]:
    """Return the results of an operator that is a chain: one run over all rows.

    Each row has its number as its id, so that equal ones have samples of their own.
    """
    window = 1 if not options.parallel else min(options.max_workers or 4096, batch_size or 4096)
    named = [{"query": row} if isinstance(row, str) else dict(fields_of(row) or {}) for row in rows]
    for number, row in enumerate(named):
        row.setdefault("id", str(number))
    settings = settings_now({})
    if seconds is not None:
        settings["row_seconds"] = seconds
    results = operator.as_chain().map(named, window=window, on_error="raise", **settings)
    return [Outputs.of(one) for one in results]


def _sharded(
    fn: Callable[..., Any], batch: _Batch, options: ExecutionOptions, how: TransformOptions
) -> Any:
    """Return the results of a batched function that is called with a part of the items each."""
    workers = min(options.max_workers or len(batch.items), len(batch.items))
    bounds = [len(batch.items) * number // workers for number in range(workers + 1)]
    shards = []
    for start, end in itertools.pairwise(bounds):
        part = batch.items[start:end]
        args = tuple([*column] for column in zip(*(one for one, _ in part), strict=True))
        shards.append((args, _columns([keywords for _, keywords in part])))
    several = _called(fn, _Batch(shards, batch.is_named), options, how, None)
    if batch.is_named and all(isinstance(one, dict) for one in several):
        return {name: [item for one in several for item in one[name]] for name in several[0]}
    return [item for one in several for item in (one if isinstance(one, list) else [one])]


def _columns(several: list[dict[str, Any]]) -> dict[str, Any]:
    if not several or not several[0]:
        return {}
    if "inputs" in several[0]:
        rows = [one["inputs"] for one in several]
        return {**several[0], "inputs": {name: [row[name] for row in rows] for name in rows[0]}}
    return {name: [one[name] for one in several] for name in several[0]}
