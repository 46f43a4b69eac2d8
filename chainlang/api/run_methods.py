"""Methods that run a chain over rows: `map`, `explain` and `run`."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from chainlang.api.call_methods import CallMethods

if TYPE_CHECKING:
    from chainlang.api.keywords import ExplainKeywords, MapKeywords, RunKeywords
    from chainlang.session.explain import Explanation
    from chainlang.session.folder_run import Summary
    from chainlang.session.result import Result


class RunMethods(CallMethods):
    """Methods of a chain that take a source of rows."""

    __slots__ = ()

    def to_json(self) -> str:
        """Return the chain as a JSON document."""
        raise NotImplementedError

    def map(self, rows: Any, **settings: Unpack[MapKeywords]) -> Iterator[Result]:
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

    def explain(self, rows: Any = None, **settings: Unpack[ExplainKeywords]) -> Explanation:
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
        from chainlang.settings import ExplainSettings

        chosen = ExplainSettings.of(settings)
        return explained(str(self), self.program(), rows, chosen, analyze=chosen.analyze)

    def run(self, rows: Any, out: str | PathLike[str], **settings: Unpack[RunKeywords]) -> Summary:
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
