"""`as_runnable`: a chain as a runnable of LangChain, of which a batch is one run."""

from __future__ import annotations

from collections import abc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.graph import Graph
from pydantic import AfterValidator, BaseModel, RootModel, WithJsonSchema, create_model

from chainlang.analysis.program import Program
from chainlang.analysis.schemas import answer_schema, row_schema
from chainlang.api.chain import Chain, ChainLike, lift
from chainlang.compat.langchain.inputs import answer_of, row_of
from chainlang.compat.langchain.interrupts import guarded
from chainlang.compat.langchain.picture import drawn
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError, SettingError, error_of
from chainlang.optimizer.compile import planned
from chainlang.plan.steps import Generate, Sequence
from chainlang.plan.visit import last
from chainlang.semantics.combinators import ONCE
from chainlang.semantics.row_failure import RowFailure
from chainlang.session.result import Result
from chainlang.session.rows import start_of
from chainlang.settings import CallSettings, MapSettings

_OURS = ("on_error", "ordered")
"""Settings of `map` that a runnable decides: a failed row raises, or its error is in its place."""


class ChainRunnable(Runnable[Any, Any]):
    """A chain as a runnable: an input is a row, the output is its answer, as JSON values.

    `batch` runs all inputs as one `map`, with `max_concurrency` of the config as its window. The
    callbacks, tags and metadata of a config reach LangChain's tracers, and the runnables inside.
    """

    def __init__(self, chain: ChainLike, **settings: Any) -> None:
        wrong = [name for name in _OURS if name in settings]
        if wrong:
            hint = (
                "a failed row raises; with batch(..., return_exceptions=True) its error is returned"
            )
            raise SettingError(
                Diagnostic("setting", f"a runnable takes no '{name}'", hint=hint) for name in wrong
            )
        MapSettings.of(settings)  # raises what is wrong with them, here
        self.chain: Chain = guarded(lift(chain))
        self.settings = settings
        self._program: Program = self.chain.program()
        self.name = "chain"

    def __repr__(self) -> str:
        return f"as_runnable({str(self.chain).strip()!r})"

    # ---- one input

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Return the answer to one input. Raises `RowError` if its row fails."""
        _no_keywords(kwargs)
        return self._call_with_config(self._invoke, input, config)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Return the answer to one input; cancelling it ends the row."""
        _no_keywords(kwargs)
        return await self._acall_with_config(self._ainvoke, input, config)

    def _invoke(self, given: Any) -> Any:
        return self.output(self.chain(self.row(given), **self._of_call()))

    async def _ainvoke(self, given: Any) -> Any:
        return self.output(await self.chain.acall(self.row(given), **self._of_call()))

    # ---- many inputs

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Return the answers to inputs, which run as one `map`.

        Raises the `RowError` of the first row that failed, after all have run; with
        `return_exceptions` its place holds the error.
        """
        _no_keywords(kwargs)
        return self._batch_with_config(
            self._batch, inputs, config, return_exceptions=return_exceptions
        )

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Return the answers to inputs as `batch` does, without blocking the event loop."""
        _no_keywords(kwargs)
        return await self._abatch_with_config(
            self._abatch, inputs, config, return_exceptions=return_exceptions
        )

    def _batch(
        self,
        inputs: list[Any],
        run_manager: list[CallbackManagerForChainRun],
        config: list[RunnableConfig],
    ) -> list[Any]:
        results = self.chain.map(map(self.row, inputs), **self._of_map(config))
        return [self._kept(one) for one in results]

    async def _abatch(
        self,
        inputs: list[Any],
        run_manager: list[AsyncCallbackManagerForChainRun],
        config: list[RunnableConfig],
    ) -> list[Any]:
        results = await self.chain.amap(map(self.row, inputs), **self._of_map(config))
        return [self._kept(one) for one in results]

    def _kept(self, result: Result) -> Any:
        try:
            return self.output(result)
        except ChainlangError as error:
            return error

    # ---- as it is generated

    def stream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yield the answer as it is generated, if it is the text of one sample; else at once."""
        _no_keywords(kwargs)
        yield from self._transform_stream_with_config(iter([input]), self._pieces, config)

    async def astream(
        self,
        input: Any,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Yield the answer as `stream` does; leaving the loop ends the row."""
        _no_keywords(kwargs)

        async def once() -> AsyncIterator[Any]:
            yield input

        async for piece in self._atransform_stream_with_config(once(), self._apieces, config):
            yield piece

    def _pieces(self, inputs: Iterator[Any]) -> Iterator[Any]:
        for given in inputs:
            if not self._is_text:
                yield self._invoke(given)
                continue
            stream = self.chain.stream(self.row(given), **self._of_call())
            yield from (chunk.text for chunk in stream if chunk.kind == "text")

    async def _apieces(self, inputs: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for given in inputs:
            if not self._is_text:
                yield await self._ainvoke(given)
                continue
            async for chunk in self.chain.stream(self.row(given), **self._of_call()):
                if chunk.kind == "text":
                    yield chunk.text

    @property
    def _is_text(self) -> bool:
        """Whether the answer is the text of one sample, which nothing may replace."""
        root = planned(self._program, CallSettings.of(self._of_call())).plan.root
        ends = [*last(root)]
        inside = root.steps[-1] if isinstance(root, Sequence) else root
        if len(ends) != 1 or ends[0] is not inside or not isinstance(inside, Generate):
            return False
        stage, is_once = inside.stage, inside.tries == ONCE and not inside.stage.fallbacks
        is_whole = stage.returns is None and stage.answer is None
        return is_once and is_whole and stage.kind == "generate" and stage.count == 1

    # ---- what it is

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return the model of an input: a row of the `input` of the chain, or its only text."""
        rows = {"anyOf": [{"type": "string"}, row_schema(self._program)]}
        return _model("chain_input", rows, self._valid)

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return the model of the answer, as far as its type is known before it runs."""
        return _model("chain_output", answer_schema(self._program), lambda value: value)

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """Return the stages of the chain as a graph, which draws itself among others."""
        metadata = dict((config or {}).get("metadata") or {}) or None
        given, returned = self.get_input_schema(config), self.get_output_schema(config)
        return drawn(self._program.body, given, returned, metadata)

    def _valid(self, value: Any) -> Any:
        start = start_of(self.row(value), self._program)
        if isinstance(start, RowFailure):
            raise ValueError(start.reason)
        return value

    # ---- rows and results

    def row(self, given: Any) -> Any:
        """Return the row of an input."""
        return row_of(given)

    def output(self, result: Result) -> Any:
        """Return the output of a result. Raises `RowError` if its row failed."""
        return answer_of(result)

    def _of_call(self) -> dict[str, Any]:
        names = CallSettings.names()
        return {name: one for name, one in self.settings.items() if name in names}

    def _of_map(self, configs: abc.Sequence[RunnableConfig]) -> dict[str, Any]:
        most = [one["max_concurrency"] for one in configs if one.get("max_concurrency")]
        window = {"window": min(filter(None, most))} if most else {}
        return {**self.settings, **window}


def _model(name: str, schema: dict[str, Any], check: Callable[[Any], Any]) -> type[BaseModel]:
    held = Annotated[Any, AfterValidator(check), WithJsonSchema(schema)]
    return create_model(name, __base__=RootModel, root=(held, ...))


def _no_keywords(given: dict[str, Any]) -> None:
    """Raise `OperandError` for keywords of a call, which LangChain would pass on to a model."""
    if given:
        names = ", ".join(repr(name) for name in given)
        hint = "settings go into as_runnable(chain, ...); options of a model into its stage"
        raise error_of("operand", f"a chain takes no {names} beside its input", hint)


def as_runnable(chain: ChainLike, **settings: Any) -> ChainRunnable:
    """Return a chain as a runnable of LangChain; the settings are those of `map`.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> qa = as_runnable(chain("3:E >> M"), engine=FakeEngine(answers={"17 + 25": "42"}))
    >>> qa.invoke("17 + 25?"), qa.batch(["17 + 25?", "25 + 17 + 25?"])
    ('42', ['42', '42'])
    """
    return ChainRunnable(chain, **settings)
