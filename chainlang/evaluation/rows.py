"""`rows`: rows of a named data set, or of any source, sampled, filtered and changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from chainlang.data import BadRow, read_rows
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, error_of
from chainlang.evaluation.named_sets import DataSet, Row, named_set

_CHECKED = 5  # items whose fields are checked before the first row
Step: TypeAlias = Callable[[Iterator[Row]], Iterator[Row]]


@frozen(repr=False)
class Rows:
    """Rows that are read when they are iterated, each time from the start.

    Each method returns other rows, and the steps apply in the order in which they are written.
    What needs all rows, `sample` and `stratified`, reads them all; the others hold one at a time.

    >>> from chainlang.evaluation import rows
    >>> several = rows([{"query": str(n), "kind": n % 2} for n in range(10)])
    >>> [row["query"] for row in several.filter(lambda row: row["kind"] == 0).limit(3)]
    ['0', '2', '4']
    >>> [row["query"] for row in several.sample(3, seed=1)]
    ['2', '1', '4']
    """

    read: Callable[[], Iterator[Row]]
    """Function that reads the rows from the start."""
    name: str
    metric: str | None = None
    """Name of the metric that fits the targets of a named set."""
    steps: tuple[Step, ...] = field(default=(), hash=False)

    def __iter__(self) -> Iterator[Row]:
        found = self.read()
        for step in self.steps:
            found = step(found)
        return found

    def __repr__(self) -> str:
        return f"<Rows of {self.name}>"

    def _with(self, step: Step) -> Rows:
        return evolve(self, steps=(*self.steps, step))

    def filter(self, keeps: Callable[[Row], object]) -> Rows:
        """Return the rows for which a function is true."""
        return self._with(lambda found: (row for row in found if keeps(row)))

    def transform(self, change: Callable[[Row], Mapping[str, Any]]) -> Rows:
        """Return the rows that a function makes of these, one of each."""
        return self._with(lambda found: (dict(change(row)) for row in found))

    def limit(self, count: int) -> Rows:
        """Return the first rows."""
        _check_count(count)
        return self._with(lambda found: islice(found, count))

    def sample(self, count: int, *, seed: int = 0) -> Rows:
        """Return rows that are drawn at random, each once, in the order in which they are drawn.

        The same rows, count and seed give the same sample. Fewer rows are all returned.
        """
        _check_count(count)

        def step(found: Iterator[Row]) -> Iterator[Row]:
            every = list(found)
            return iter(_random(seed).sample(every, min(count, len(every))))

        return self._with(step)

    def stratified(self, count: int, by: str, *, seed: int = 0) -> Rows:
        """Return a random sample in which each value of a field has its share of all rows.

        Shares are rounded so that the sample has `count` rows (largest remainders).
        """
        _check_count(count)

        def step(found: Iterator[Row]) -> Iterator[Row]:
            groups: dict[str, list[Row]] = {}
            for number, row in enumerate(found, 1):
                if by not in row:
                    message = f"row {number:,} has no {shown(by)}"
                    raise error_of("row", message, suggest(by, row, "its fields:"))
                groups.setdefault(str(row[by]), []).append(row)
            drawn = _random(seed)
            sizes = _shares({name: len(one) for name, one in groups.items()}, count)
            chosen = [row for name, one in groups.items() for row in drawn.sample(one, sizes[name])]
            drawn.shuffle(chosen)
            return iter(chosen)

        return self._with(step)


def rows(
    source: Any,
    *,
    subset: str | None = None,
    split: str | None = None,
    path: str | PathLike[str] | None = None,
    items: Iterable[Mapping[str, Any]] | None = None,
    streaming: bool = False,
) -> Rows:
    """Return the rows of a named data set, or of any source that `map` reads.

    A name is one of `data_sets`; its items come from `path`, a file with the published items, from
    `items`, or else from the Hugging Face hub, which needs the package `datasets`; with `streaming`
    they are read from there one at a time. `subset` and `split` are those of the hub. The fields of
    the first items are checked. Another source, a `pathlib.Path` or values, is read as `map` does.

    Raises `OperandError` for an unknown name, `SourceError` for a set that can't be read, with the
    way to get it.
    """
    if not isinstance(source, str):
        return Rows(lambda: _read(source), shown(source, 40))
    known = named_set(source)

    def read() -> Iterator[Row]:
        if items is not None:
            found: Iterable[Mapping[str, Any]] = items
        elif path is not None:
            found = _read(Path(path))
        else:
            found = _of_hub(known, subset or known.subset, split or known.split, streaming)
        for number, item in enumerate(found, 1):
            if number <= _CHECKED:
                _check_item(known, item, number)
            yield from (dict(row) for row in known.prepare(item))

    return Rows(read, known.name, known.metric)


def _read(source: Any) -> Iterator[Row]:
    for row in read_rows(source):
        if isinstance(row, BadRow):
            raise error_of("row", f"row {row.number:,}: {row.message}")
        yield dict(row.fields)


def _of_hub(
    known: DataSet, subset: str | None, split: str, streaming: bool
) -> Iterable[Mapping[str, Any]]:
    by_file = f"or give a file: rows({known.name!r}, path='items.jsonl')"
    try:
        import datasets  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        message = f"the data set {known.name} is on the Hugging Face hub, and `datasets` is missing"
        hint = f"pip install 'chainlang[data]', {by_file}"
        raise error_of("file", message, hint) from None
    try:
        found = datasets.load_dataset(known.source, subset, split=split, streaming=streaming)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unavailable(known, error, by_file) from error
    made: Iterable[Mapping[str, Any]] = found
    return made


def _unavailable(known: DataSet, error: Exception, by_file: str) -> ChainlangError:
    message = f"the data set {known.name} can't be read: {str(error) or type(error).__name__}"
    if known.is_gated:
        terms = f"accept its terms at huggingface.co/datasets/{known.source}"
        return error_of("file", message, f"{terms}, then: hf auth login")
    return error_of("file", message, by_file)


def _check_item(known: DataSet, item: Mapping[str, Any], number: int) -> None:
    missing = [name for name in known.requires if name not in item]
    if missing:
        message = f"item {number:,} of {known.name} has no {', '.join(map(shown, missing))}"
        raise error_of("file", message, f"its fields: {', '.join(item)}")


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Return the rows of each group in a sample, by largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    exact = {name: size * count / total for name, size in sizes.items()} if total else {}
    found = {name: int(one) for name, one in exact.items()}
    left = count - sum(found.values())
    for name in sorted(exact, key=lambda one: found[one] - exact[one])[:left]:
        found[name] += 1
    return found


def _check_count(count: int) -> None:
    if count < 1:
        raise error_of("operand", f"{count} is no number of rows", "write 100")


def _random(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # no secret
