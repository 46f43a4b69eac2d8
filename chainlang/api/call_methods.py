"""Methods that run a chain for one row: calling it, `acall` and `stream`.

A row is one argument (a text, a dict, a model), or its fields are keywords. Each method has a
signature for either form: beside a row every keyword is a setting, and a type checker refuses any
other; beside fields it holds the settings to their types, and what is left is a field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from chainlang.api import recording
from chainlang.api.call_arguments import call_arguments, refuse_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from chainlang.analysis.program import Program
    from chainlang.api.keywords import CallKeywords
    from chainlang.engines.protocol import Engine
    from chainlang.models.declaration import Declaration
    from chainlang.session.result import Result
    from chainlang.session.streaming import Stream
    from chainlang.settings import CacheMode, CallSettings


@cache  # an `import` in each call takes more
def _runner() -> Callable[[Program, Any, CallSettings], Result | None]:
    """Return the function that runs a row; `import chainlang` does not need it."""
    from chainlang.session.session import result

    return result


class CallMethods:
    """Methods of a chain that take one row."""

    __slots__ = ()

    def program(self) -> Program:
        """Return what there is to run, after checking it."""
        raise NotImplementedError

    @overload
    def __call__(
        self, row: Any, /, *, on_error: Literal["skip"], **settings: Unpack[CallKeywords]
    ) -> Result | None: ...

    @overload
    def __call__(
        self,
        row: Any,
        /,
        *,
        on_error: Literal["raise", "collect"] = ...,
        **settings: Unpack[CallKeywords],
    ) -> Result: ...

    @overload
    def __call__(
        self, /, *, on_error: Literal["skip"], **settings_and_fields: Any
    ) -> Result | None: ...

    @overload
    def __call__(
        self,
        /,
        *,
        on_error: Literal["raise", "collect"] = ...,
        model: str = ...,
        auto_model: str = ...,
        seed: int = ...,
        run_date: str | date | None = ...,
        use_warm: bool | None = ...,
        call_seconds: float | None = ...,
        row_seconds: float | None = ...,
        row_calls: int | None = ...,
        row_tokens: int | None = ...,
        row_cost: float | Decimal | None = ...,
        patience: float = ...,
        memory: int | str | None = ...,
        cache: CacheMode = ...,
        cache_folder: str | PathLike[str] | None = ...,
        cache_bytes: int = ...,
        cache_redis: str | None = ...,
        cache_seconds: float | None = ...,
        cache_shared_bytes: int | None = ...,
        store: str | None = ...,
        limits_redis: str | None = ...,
        openai_base_url: str | None = ...,
        openai_api_key: str | None = ...,
        allowed_hosts: str | Collection[str] = ...,
        engine: Engine | Mapping[str, Engine] | None = ...,
        models: Mapping[str, Declaration | str] | None = ...,
        outputs: str | Collection[str] | None = ...,
        passes: str | Collection[str] | None = ...,
        progress: bool | Callable[[str], object] | None = ...,
        **fields: Any,
    ) -> Result: ...

    @overload
    def __call__(self, query_or_result: Any, result: Result, /, *more: Result) -> Result: ...

    def __call__(self, row: Any = None, /, *more: Any, **keywords: Any) -> Result | None:
        """Return the result of one row: a text, a dict, a model, or the fields as keywords.

        Keywords with the name of a setting are settings, as in `map`; a field of such a name goes
        into a dict: ``qa({"model": "A4", "text": "..."})``. A name that is close to a setting's is
        an error, unless the `input` of the chain declares a field of that name.
        Raises `RowError` if the row fails, unless `on_error` says to return it as a failed result
        (``"collect"``), or None (``"skip"``).

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> qa = chain("3:E >> M")
        >>> qa("What is 17 + 25?", engine=FakeEngine(answers={"17 + 25": "42"})).answer
        '42'
        """
        if (recorder := recording.current()) is not None:
            given = () if row is None and not more else (row, *more)
            recorded: Result = recorder.call(self, given, keywords)
            return recorded
        if more:
            refuse_rows(more)
        program = self.program()
        row, settings = call_arguments(program, row, keywords)
        return _runner()(program, row, settings)

    @overload
    async def acall(
        self, row: Any, /, *, on_error: Literal["skip"], **settings: Unpack[CallKeywords]
    ) -> Result | None: ...

    @overload
    async def acall(
        self,
        row: Any,
        /,
        *,
        on_error: Literal["raise", "collect"] = ...,
        **settings: Unpack[CallKeywords],
    ) -> Result: ...

    @overload
    async def acall(
        self, /, *, on_error: Literal["skip"], **settings_and_fields: Any
    ) -> Result | None: ...

    @overload
    async def acall(
        self,
        /,
        *,
        on_error: Literal["raise", "collect"] = ...,
        model: str = ...,
        auto_model: str = ...,
        seed: int = ...,
        run_date: str | date | None = ...,
        use_warm: bool | None = ...,
        call_seconds: float | None = ...,
        row_seconds: float | None = ...,
        row_calls: int | None = ...,
        row_tokens: int | None = ...,
        row_cost: float | Decimal | None = ...,
        patience: float = ...,
        memory: int | str | None = ...,
        cache: CacheMode = ...,
        cache_folder: str | PathLike[str] | None = ...,
        cache_bytes: int = ...,
        cache_redis: str | None = ...,
        cache_seconds: float | None = ...,
        cache_shared_bytes: int | None = ...,
        store: str | None = ...,
        limits_redis: str | None = ...,
        openai_base_url: str | None = ...,
        openai_api_key: str | None = ...,
        allowed_hosts: str | Collection[str] = ...,
        engine: Engine | Mapping[str, Engine] | None = ...,
        models: Mapping[str, Declaration | str] | None = ...,
        outputs: str | Collection[str] | None = ...,
        passes: str | Collection[str] | None = ...,
        progress: bool | Callable[[str], object] | None = ...,
        **fields: Any,
    ) -> Result: ...

    async def acall(self, row: Any = None, /, **keywords: Any) -> Result | None:
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

        program = self.program()
        row, settings = call_arguments(program, row, keywords)
        return await streaming.call(program, row, settings)

    @overload
    def stream(
        self,
        row: Any,
        /,
        *,
        stages: str | Collection[str] | None = ...,
        sample: int | None = ...,
        on_error: Literal["skip"],
        **settings: Unpack[CallKeywords],
    ) -> Stream[Result | None]: ...

    @overload
    def stream(
        self,
        row: Any,
        /,
        *,
        stages: str | Collection[str] | None = ...,
        sample: int | None = ...,
        on_error: Literal["raise", "collect"] = ...,
        **settings: Unpack[CallKeywords],
    ) -> Stream[Result]: ...

    @overload
    def stream(
        self,
        /,
        *,
        stages: str | Collection[str] | None = ...,
        sample: int | None = ...,
        on_error: Literal["skip"],
        **settings_and_fields: Any,
    ) -> Stream[Result | None]: ...

    @overload
    def stream(
        self,
        /,
        *,
        stages: str | Collection[str] | None = ...,
        sample: int | None = ...,
        on_error: Literal["raise", "collect"] = ...,
        model: str = ...,
        auto_model: str = ...,
        seed: int = ...,
        run_date: str | date | None = ...,
        use_warm: bool | None = ...,
        call_seconds: float | None = ...,
        row_seconds: float | None = ...,
        row_calls: int | None = ...,
        row_tokens: int | None = ...,
        row_cost: float | Decimal | None = ...,
        patience: float = ...,
        memory: int | str | None = ...,
        cache: CacheMode = ...,
        cache_folder: str | PathLike[str] | None = ...,
        cache_bytes: int = ...,
        cache_redis: str | None = ...,
        cache_seconds: float | None = ...,
        cache_shared_bytes: int | None = ...,
        store: str | None = ...,
        limits_redis: str | None = ...,
        openai_base_url: str | None = ...,
        openai_api_key: str | None = ...,
        allowed_hosts: str | Collection[str] = ...,
        engine: Engine | Mapping[str, Engine] | None = ...,
        models: Mapping[str, Declaration | str] | None = ...,
        outputs: str | Collection[str] | None = ...,
        passes: str | Collection[str] | None = ...,
        progress: bool | Callable[[str], object] | None = ...,
        **fields: Any,
    ) -> Stream[Result]: ...

    def stream(
        self,
        row: Any = None,
        /,
        *,
        stages: str | Collection[str] | None = None,
        sample: int | None = None,
        **keywords: Any,
    ) -> Stream[Any]:
        """Return the reply to one row as it comes, to be iterated with ``for`` or ``async for``.

        The pieces are those of the last stage, or of the stages named in `stages`; ``str(piece)``
        is the text that was added. Several samples come mingled, as they are generated: ``str``
        names a sample whenever another one goes on, ``piece.text`` is the text alone, and `sample`
        asks for the pieces of a single one. A vote comes as one piece, and so does a reply of an
        engine that does not stream. Afterwards `result` is the result. The rest is as in calling.

        >>> from chainlang import chain
        >>> from chainlang.engines.fake import FakeEngine
        >>> engine = FakeEngine(answers={"": "Hello, you."})
        >>> stream = chain("3:E").stream("Hello?", sample=0, engine=engine)
        >>> [str(piece) for piece in stream], stream.result.answer
        (['Hell', 'o, y', 'ou.'], 'Hello, you.')
        >>> for piece in chain("2:E").stream("Hello?", engine=FakeEngine(answers={"": "Hi."})):
        ...     print(piece, end="")
        [E 0] Hi.
        [E 1] Hi.
        """
        from chainlang.session.streaming import Stream

        program = self.program()
        row, settings = call_arguments(program, row, keywords)
        return Stream(program, row, settings, stages, sample)
