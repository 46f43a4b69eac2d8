"""How a chain is run: by calling it, over rows, and from a running event loop."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import closest
from chainlang.errors import OperandError

if TYPE_CHECKING:
    from chainlang.analysis.program import Program
    from chainlang.session.explain import Explanation
    from chainlang.session.folder_run import Summary
    from chainlang.session.result import Result
    from chainlang.session.streaming import Stream

# What may stand beside the fields of a row when a chain is called. A field of the same name goes
# into a dict: qa({"seed": 3}).
_SETTINGS = (
    "cache", "cache_bytes", "cache_folder", "cache_redis", "call_seconds", "engine", "memory",
    "model", "on_error", "outputs", "passes", "patience", "progress", "row_calls", "row_seconds",
    "row_tokens", "seed",
)  # fmt: skip


def _row(query: Any, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the row of a call, and the settings that stood beside its fields."""
    settings = {name: fields.pop(name) for name in _SETTINGS if name in fields}
    settings.setdefault("on_error", "raise")
    if (query is None) == (not fields):
        message = "a chain is called with a query, or with fields, not with both or neither"
        meant = [near for name in fields if (near := closest(name, _SETTINGS))]
        hint = 'write qa("...") or qa(text="...", lang="en")'
        hint = f"did you mean the setting '{meant[0]}'?" if meant else hint
        raise OperandError([Diagnostic("operand", message, hint=hint)])
    return (fields if query is None else query), settings


class Runnable:
    """Something with a body and declarations that has been checked, and so can be run."""

    __slots__ = ()

    def to_json(self) -> str:
        """Return the chain as a JSON document."""
        raise NotImplementedError

    def program(self) -> Program:
        """Return what there is to run, after checking it."""
        raise NotImplementedError

    @overload
    def __call__(
        self, query: Any = None, /, *, on_error: Literal["skip"], **fields: Any
    ) -> Result | None: ...

    @overload
    def __call__(self, query: Any = None, /, **fields: Any) -> Result: ...

    def __call__(self, query: Any = None, /, **fields: Any) -> Result | None:
        """Return the result of one row: a query, a dict, a model, or the fields as keywords.

        `seed`, `model`, `engine`, `memory`, `progress`, `outputs`, `passes`, `patience`,
        `call_seconds`, `row_seconds`, `row_calls` and `row_tokens` are settings, as in `map`.
        Raises `RowError` if the row fails, unless `on_error` says to return it as a failed result
        (``"collect"``), or None (``"skip"``).

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> qa = chain("3:E >> M")
        >>> qa("What is 17 + 25?", engine=FakeEngine(answers={"17 + 25": "42"})).answer
        '42'
        """
        row, settings = _row(query, fields)
        return next(self.map([row], **settings), None)

    @overload
    async def acall(
        self, query: Any = None, /, *, on_error: Literal["skip"], **fields: Any
    ) -> Result | None: ...

    @overload
    async def acall(self, query: Any = None, /, **fields: Any) -> Result: ...

    async def acall(self, query: Any = None, /, **fields: Any) -> Result | None:
        """Return the result of one row without blocking the event loop; as calling does, else.

        Rows that are awaited together are in flight together.

        >>> import asyncio
        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers={"17": "42", "3": "7"})
        >>> async def main():
        ...     qa = chain("E")
        ...     both = await asyncio.gather(*(qa.acall(q, engine=engine) for q in ("17", "3")))
        ...     return [result.answer for result in both]
        >>> asyncio.run(main())
        ['42', '7']
        """
        from chainlang.session import streaming
        from chainlang.settings import MapSettings

        row, settings = _row(query, fields)
        return await streaming.call(self.program(), row, MapSettings.of(settings))

    def stream(
        self, query: Any = None, /, *, stages: Collection[str] | None = None, **fields: Any
    ) -> Stream:
        """Return the reply to one row as it comes, to be iterated with ``async for``.

        The pieces are those of the last stage, or of the stages named in `stages`, samples mingled
        as they come; ``str(piece)`` is the text that was added. A vote comes as one piece, and so
        does a reply of an engine that does not stream. Afterwards `result` is the result. The rest
        is as in calling.

        >>> import asyncio
        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> async def main():
        ...     stream = chain("E").stream("Hello?", engine=FakeEngine(answers={"": "Hello, you."}))
        ...     print([str(piece) async for piece in stream], stream.result.answer)
        >>> asyncio.run(main())
        ['Hell', 'o, y', 'ou.'] Hello, you.
        """
        from chainlang.session.streaming import Stream
        from chainlang.settings import MapSettings

        row, settings = _row(query, fields)
        return Stream(self.program(), row, MapSettings.of(settings), stages)

    def map(self, rows: Any, **settings: Any) -> Iterator[Result]:
        """Yield the result of each row, in the order of the rows.

        `rows` is a path (.jsonl, .csv, .parquet), a data frame, a dataset, or an iterable of
        texts, dicts and models. Settings: `seed` (default 0), `window` (rows in flight, default
        256), `ordered` (default True), `on_error` (``"collect"``, the default, yields failed
        results; ``"raise"``; ``"skip"``), `limit` (rows to take), `model` (of stages that name
        none, default ``"tiny"``), `engine` (for every model, or a mapping), `progress`, `memory`
        (what the models that are loaded may hold together, in bytes or as ``"8 GiB"``; default:
        all that the device has; where it can't hold them all, they take turns),
        `patience` (how many seconds a model that does not answer is waited for, default 30),
        `outputs` (what of each result is looked at, default all of it: `answer`, `candidates`,
        `trace`, `history`, or the names of parts), `passes` (of the optimizer, default
        ``"default"``, all that change no result; ``()`` runs the chain as it is written, with the
        same results; lossy ones by their names), and bounds, all None:
        `call_seconds`, `row_seconds`, `row_calls` and `row_tokens`, above which a row fails,
        `run_seconds`, `run_calls` and `run_tokens`, above which `StopError` is raised. Raises
        `SettingError` for any other, and at once whatever is known to be wrong before a row runs.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers=lambda request, index: request.messages[0].text.upper())
        >>> [result.answer for result in chain("E").map(["a", "b"], engine=engine)]
        ['A', 'B']
        """
        from chainlang.session.session import results
        from chainlang.settings import MapSettings

        return results(self.program(), rows, MapSettings.of(settings))

    def explain(self, rows: Any = None, *, analyze: bool = False, **settings: Any) -> Explanation:
        """Return what will be done, and what that costs: the passes, the plan, the counts.

        No model is loaded. `rows` are counted, where some are given, and so are the tokens of their
        prompts, where the model's tokenizer can be had by itself. What models need of the memory
        is told where it decides something. The settings are those of `map`. With `analyze` the rows
        are run, their results thrown away, and what it came to by the engines' own figures stands
        beside what was predicted. It prints as a page.

        >>> from chainlang import chain
        >>> print(chain("9:E >> M").explain(outputs="answer"))
        9:E >> M
        <BLANKLINE>
        PASSES
        ...
        PLAN
          models: tiny
          outputs: answer
          equal rows are done once
          prompts that begin alike are asked together
          until it is decided
            generate 9 × E  tiny  T=0.7  max_tokens=1024  together  at 0
            vote
        <BLANKLINE>
        COST OF A ROW, where nothing fails
          tiny             as written   predicted
            requests       9            1 to 5
            samples        9            5 to 9
            output tokens  up to 9,216  up to 9,216
          longest path of a row: 1 to 5 requests, one after another; up to 5,120 output tokens
        """
        from chainlang.session.explain import explained
        from chainlang.settings import MapSettings

        chosen = MapSettings.of(settings)
        return explained(str(self), self.program(), rows, chosen, analyze=analyze)

    def run(self, rows: Any, out: str | PathLike[str], **settings: Any) -> Summary:
        """Run the chain over rows into a folder, and return what it came to.

        `rows` and the settings are as in `map`, without `ordered`: rows keep their order. Besides,
        `format` (``"jsonl"``, the default, ``"csv"`` or ``"parquet"``), `overwrite` (replace a run
        that is there, default False), `changed` (go on with another run, as far as its samples
        fit), `retry_failed` (run the rows again that failed) and `on_row` (is told of each
        `Outcome`, and how many there will be, as far as that is known). The folder holds the
        results (`flattened`), the final candidates, each named part, the rows that failed, the
        plan and what the run was.

        Raises `SourceError` for rows or a folder that can't be used, and `StopError` where a model
        is down or a budget of the run is used up: then the same call goes on.
        """
        from chainlang.session.folder_run import run_to_folder
        from chainlang.settings import RunSettings

        program = self.program()
        chosen = RunSettings.of(settings)
        text, graph = str(self), self.to_json()
        return run_to_folder(program, rows, Path(out), chosen, text=text, graph=graph)
