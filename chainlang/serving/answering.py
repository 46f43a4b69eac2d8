"""Answering: a checked request runs as a row of its chain, whole or streamed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from chainlang.semantics.row_failure import RowFailure
from chainlang.serving.callers import Caller
from chainlang.serving.chat_reply import Head, content_of, details_of, ending_of, reasoning_of
from chainlang.serving.metrics import ABORTED, BROKEN, Metrics
from chainlang.serving.offers import Offer
from chainlang.serving.refusals import SERVER_ERROR, Refused, failed
from chainlang.serving.slots import Slots
from chainlang.session.result import Result
from chainlang.session.rows import start_of
from chainlang.session.streaming import Stream
from chainlang.settings import CallSettings


@define(eq=False)
class Shared:
    """Settings, slots and metrics, which all requests share."""

    settings: CallSettings
    slots: Slots
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic


@define(eq=False)
class Answering:
    """One request in progress: its chain, its row and its caller."""

    offer: Offer
    row: Any
    caller: Caller
    settings: CallSettings
    head: Head
    shared: Shared
    _began: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.shared.clock()

    @staticmethod
    def of(seed: int | None, row: Any, offer: Offer, caller: Caller, shared: Shared) -> Answering:
        """Return the answering of a request. Raises `Refused` for a row that does not fit."""
        start = start_of(row, offer.program)
        if isinstance(start, RowFailure):  # a text field that is a text takes any
            raise failed(start, "fields" if offer.fields["properties"] else "messages")
        seed = shared.settings.seed if seed is None else seed
        settings = shared.settings.model_copy(update={"seed": seed})
        head = Head.of(offer, start.id, seed, int(time.time()))
        return Answering(offer, row, caller, settings, head, shared)

    async def whole(self) -> dict[str, Any]:
        """Return the reply. Raises `Refused` if the row fails."""
        async with self._row() as stream:
            async for _ in stream:
                pass  # no stage is streamed
            result = self._checked(stream)
        return self.head.whole(result)

    async def chunks(self, *, usage: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of the reply. Raises `Refused` if the row fails."""
        sent = {"reasoning": "", "text": ""}
        yield self.head.chunk({"role": "assistant", "content": ""})
        async with self._row(is_live=self.offer.is_live) as stream:
            async for piece in stream:
                self._first(is_first=not any(sent.values()))
                sent[piece.kind] += piece.text
                yield self.head.chunk({_FIELDS[piece.kind]: piece.text})
            result = self._checked(stream)
        for kind, whole in (("reasoning", reasoning_of(result)), ("text", content_of(result))):
            if rest := _rest(whole, sent[kind]):
                self._first(is_first=not any(sent.values()))
                sent[kind] += rest
                yield self.head.chunk({_FIELDS[kind]: rest})
        yield self.head.chunk({}, ending_of(result), chainlang=details_of(result))
        if usage:
            yield self.head.last(result)

    @asynccontextmanager
    async def _row(self, *, is_live: bool = False) -> AsyncIterator[Stream[Result]]:
        """Run the row in the block, in a slot; count and charge what it has used in any case."""
        stages = None if is_live else ()
        stream: Stream[Result] = Stream(self.offer.program, self.row, self.settings, stages)
        cause: str | None = ABORTED
        try:
            async with self.shared.slots.taken():
                yield stream
                cause = None
        except Refused as refused:
            cause = refused.cause
            raise
        except Exception:
            cause = BROKEN
            raise
        finally:
            seconds = self.shared.clock() - self._began
            kinds = [one.kind for one in stream.events]
            self.shared.metrics.row(self.offer.name, cause, stream.usages, seconds, kinds)
            self.caller.charge(stream.usages.total)

    def _checked(self, stream: Stream[Result]) -> Result:
        """Return the result of a row. Raises `Refused` if it failed."""
        if stream.result.failure is not None:
            raise failed(stream.result.failure)
        return stream.result

    def _first(self, *, is_first: bool) -> None:
        if is_first:
            self.shared.metrics.first(self.offer.name, self.shared.clock() - self._began)


_FIELDS = {"reasoning": "reasoning_content", "text": "content"}
"""Field of a delta for each kind of text."""


def _rest(whole: str, sent: str) -> str:
    """Return what is left to send of a text. Raises `Refused` if something else was sent."""
    if not whole.startswith(sent):
        message = "the streamed text is not the answer: its server sent another text at last"
        raise Refused(502, message, SERVER_ERROR, code="invalid_reply")
    return whole[len(sent) :]
