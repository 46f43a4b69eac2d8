"""Methods that run a chain over rows: `map`, `amap`, `explain` and `run`."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from attrs import evolve

from chainlang.analysis.check_file import MAIN
from chainlang.api.call_methods import CallMethods
from chainlang.ir.declarations import Definition, File
from chainlang.ir.json import to_json

if TYPE_CHECKING:
    from chainlang.analysis.program import Program
    from chainlang.api.keywords import ExplainKeywords, MapKeywords, RunKeywords
    from chainlang.session.async_results import AsyncResults
    from chainlang.session.explain import Explanation
    from chainlang.session.results import Results
    from chainlang.session.summary import Summary


class RunMethods(CallMethods):
    """Methods of a chain that take a source of rows."""

    __slots__ = ()

    def to_json(self) -> str:
        """Return the chain as a JSON document."""
        raise NotImplementedError

    def of_program(self, program: Program) -> RunMethods:
        """Return the chain of a checked program."""
        given = {"body": program.body, "items": program.items, "bound": program.bound}
        made: RunMethods = evolve(cast("Any", self), **given, extent=None, is_checked=True)
        return made

    def map(self, rows: Any, **settings: Unpack[MapKeywords]) -> Results:
        """Return the results of rows, in the order of the rows, computed as they are asked for.

        `rows` is a path (.jsonl, .csv, .parquet), a data frame, a dataset, or an iterable of
        texts, dicts and models. A failed row is a failed result, unless `on_error` is ``"raise"``
        or ``"skip"``. `MapKeywords` describes the settings. Iterating runs the rows one after
        another; the results also have an index, slices, `failed`, `to_pandas()` and `to_polars()`,
        and a notebook shows them as a table.

        Raises `SettingError` for an unknown setting, and before the first row whatever is known to
        be wrong by then; `StopError` where a model is down or a budget of the run is used up.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers=lambda request, index: request.messages[0].text.upper())
        >>> [result.answer for result in chain("E").map(["a", "b"], engine=engine)]
        ['A', 'B']
        """
        from chainlang.session.session import results
        from chainlang.settings import MapSettings

        return results(self.program(), rows, MapSettings.of(settings))

    def amap(self, rows: Any, **settings: Unpack[MapKeywords]) -> AsyncResults:
        """Return the results of rows for ``async for``, or for ``await`` all at once; see `map`.

        The event loop goes on while models are loaded and rows run.

        >>> import asyncio
        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers=lambda request, index: request.messages[0].text.upper())
        >>> async def main():
        ...     results = chain("E").amap(["a", "b"], engine=engine)
        ...     return [one.answer async for one in results]
        >>> asyncio.run(main())
        ['A', 'B']
        """
        from chainlang.session.async_results import AsyncResults
        from chainlang.session.named_models import with_models
        from chainlang.session.session import results
        from chainlang.settings import MapSettings

        chosen = MapSettings.of(settings)
        program = with_models(self.program(), chosen)  # as they are named here and now
        return AsyncResults(lambda: results(program, rows, chosen))

    def decided(self, **settings: Unpack[MapKeywords]) -> RunMethods:
        """Return the chain with the values of its `auto`, which a model decides.

        It is the chain that a run with these settings has. Raises `RowError` if the model gives no
        value that fits.

        >>> from chainlang import E, auto
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers={"": '{"value": 3}'})
        >>> print(E("tiny", 9, samples=auto("How many?")).decided(engine=engine))
        3:E:tiny
        """
        from chainlang.session.decide import decided
        from chainlang.session.named_models import with_models
        from chainlang.settings import MapSettings

        return self.of_program(decided(self.program(), MapSettings.of(settings), with_models)[0])

    def explain(self, rows: Any = None, **settings: Unpack[ExplainKeywords]) -> Explanation:
        """Return the plan and its cost, with what each optimizer pass changed; it prints as a page.

        No model is loaded. `rows` are counted, if any are given, and so are the tokens of their
        prompts, if the tokenizer of the model is available. The memory of the models is shown
        where it decides something. With `analyze` the rows are run, and the actual cost stands
        beside the prediction. `ExplainKeywords` describes the settings, which are those of `map`.

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
        CONTEXT of a prompt and its reply
          tiny  1,024 tokens
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
        return explained(
            str(self),
            self.program(),
            rows,
            chosen,
            analyze=chosen.analyze,
            count_all=chosen.count_all,
        )

    def run(self, rows: Any, out: str | PathLike[str], **settings: Unpack[RunKeywords]) -> Summary:
        """Run the chain over rows into a folder, and return a summary.

        `rows` are as in `map`, and keep their order. The folder holds the results (`flattened`),
        the final candidates, each named part, the failed rows, the plan and the metadata of the
        run. The same call resumes a run that was interrupted or has stopped. `RunKeywords`
        describes the settings.

        Raises `SourceError` for rows or a folder that can't be used, `StopError` where a model is
        down or a budget of the run is used up.
        """
        from chainlang.session.decide import decided_in, is_open
        from chainlang.session.folder_run import run_to_folder
        from chainlang.session.named_models import with_models
        from chainlang.session.policies import fixed, policies_in, resumed
        from chainlang.settings import RunSettings

        program = self.program()
        chosen = RunSettings.of(settings)
        if chosen.on is not None:  # a room above this one
            ray_runs = import_module("chainlang.scale.ray_runs")
            summary: Summary = ray_runs.run_on_ray(self, rows, Path(out), chosen)
            return summary
        text, graph, decisions = str(self), self.to_json(), ""
        if is_open(program):
            home = chosen.shard.above(Path(out)) if chosen.shard else Path(out)
            program, decisions = decided_in(program, chosen, with_models, home)
            made = self.of_program(program)
            text, graph = str(made), made.to_json()
        if policies_in(program):
            home = chosen.shard.folder(Path(out)) if chosen.shard else Path(out)
            if not (chosen.overwrite or chosen.changed):
                program = resumed(program, home)
            kept = fixed(program, chosen)
            graph = to_json(File((*kept.items, Definition(MAIN, kept.body))))
        return run_to_folder(
            program, rows, Path(out), chosen, text=text, graph=graph, decisions=decisions
        )
