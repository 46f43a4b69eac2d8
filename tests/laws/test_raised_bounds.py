"""A run that goes on with larger bounds resamples exactly what was cut, on random chains.

The bounds are `max_tokens` of each stage and the context of the engine. What a fresh run with the
larger ones draws is drawn too, but for the samples that ended by themselves before. The budget of
a free text inside a reply is a share of the bounds, so a text that ended with it was cut, too.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Node, Option, Stage
from chainlang.ir.visit import transform
from chainlang.protocol.messages import Completion, Failure, Message, Request
from tests.laws import law
from tests.laws.test_happened import TYPED, chains
from tests.store.test_folder import files

ROWS = [{"id": str(number), "query": "long " * 4 * number} for number in range(1, 4)]


def reply(request: Request, index: int) -> str:
    """Return a reply of 1 to 32 tokens; a typed one has about 20 more."""
    number = str(request.seed + index).encode()
    text = "x" * (4 + hashlib.blake2b(number, digest_size=1).digest()[0] // 2)
    if request.schema is None:
        return text
    wanted = json.loads(request.schema)["properties"]
    whole = TYPED["V"] | TYPED["J"] | {"explanation": text, "reasoning": text}
    return json.dumps({name: whole[name] for name in wanted})


class Telling(FakeEngine):
    """An engine that knows which samples it drew, by whether they ended by themselves."""

    def __init__(self, context: int) -> None:
        super().__init__(answers=reply, context=context)
        self.cut: Counter[tuple[tuple[Message, ...], int]] = Counter()
        self.whole: Counter[tuple[tuple[Message, ...], int]] = Counter()
        self.waiting: Counter[tuple[tuple[Message, ...], int]] = Counter()
        """Whole samples of requests that other samples go on from: if the row fails before these
        are there, nothing of the request is recorded."""

    @property
    def drawn(self) -> Counter[tuple[tuple[Message, ...], int]]:
        return self.cut + self.whole + self.waiting

    def complete(self, request: Request) -> Completion | Failure:
        found = super().complete(request)
        if isinstance(found, Completion):
            for index, one in enumerate(found.samples):
                if one.finish != "stop" or one.closed_fields:
                    drawn = self.cut
                elif any(other.finish == "budget" for other in found.samples):
                    drawn = self.waiting
                else:
                    drawn = self.whole
                drawn[(request.messages, request.seed + index)] += 1
        return found


def bounded(node: Expr, bound: int | None) -> Expr:
    """Return a chain whose stages all have a `max_tokens`."""

    def change(one: Node) -> Node:
        if not isinstance(one, Stage) or bound is None:
            return one
        return evolve(one, options=build.options([*one.options, Option("max_tokens", bound)]))

    return transform(node, change)


def ran(path: Path, node: Expr, engine: Telling) -> Any:
    return Chain(node).run(ROWS, path, engine=engine, window=2)


def tables(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(path).items() if name.endswith(".jsonl")}


tokens = st.none() | st.integers(4, 60)
contexts = st.integers(20, 500)


@law(chains, tokens, contexts, st.integers(0, 40), st.integers(0, 400), ci=10)
def test_larger_bounds_resample_exactly_what_was_cut(
    node: Expr, bound: int | None, context: int, more: int, room: int
) -> None:
    larger = bounded(node, None if bound is None else bound + more)
    narrow, wide, fresh = Telling(context), Telling(context + room), Telling(context + room)
    with TemporaryDirectory() as folder:
        path = Path(folder)
        ran(path / "run", bounded(node, bound), narrow)
        summary = ran(path / "run", larger, wide)
        ran(path / "fresh", larger, fresh)
        assert tables(path / "run") == tables(path / "fresh")
    if (more if bound is not None else 0) == room == 0:
        return
    needed, drawn = fresh.drawn, wide.drawn
    assert needed - narrow.whole - narrow.waiting <= drawn <= needed - narrow.whole
    assert summary.recorded == needed.total() - drawn.total()
