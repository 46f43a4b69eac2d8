"""Models that call pure tools: the runtime, with all passes, means what the reference means."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Flow
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws import law
from tests.laws.control import comparable

TOOLS = 'tools=["plus", "later"]'
STAGES = (
    f"2:E:a:0.7({TOOLS})",
    f"E:b:0({TOOLS}, tool_rounds=3)",
    f"3:E:a:1({TOOLS}, tool_rounds=1, need=1)",
    f"V:a({TOOLS}, tool_rounds=64)",
    f"2:J:b:0.7({TOOLS}, tool_rounds=64)",
    f"(E:a:1({TOOLS}) & 2:E:b:0.7)",
    f"retry(E:a:1({TOOLS}, tool_rounds=1), times=3)",
    f"fallback(E:b:1({TOOLS}, tool_rounds=1), E:a)",
    "E:a",
    "M",
)
ROWS = [{"id": str(number), "query": f"question {number}"} for number in range(3)]


def plus(a: int, b: int = 1) -> int:
    """Return a sum."""
    return a + b


async def later(a: int) -> dict[str, int]:
    """Return a number, if it is small."""
    if a > 5:
        raise ValueError(f"{a} is too large")
    return {"number": a}


def answer(request: Request, index: int) -> Reply | None:
    """Call tools, well or badly, in most replies that may; what is asked decides."""
    drawn = request.seed + index if request.sampling.temperature > 0 else 0
    asked = f"{request.messages!r}{[one.text for one in request.messages]}{drawn}"
    number = hashlib.blake2b(asked.encode()).digest()[0]
    calls: list[list[tuple[str, Any]]] = [
        [("plus", {"a": number})],
        [("later", {"a": number % 9}), ("plus", {"a": 1, "b": number})],
        [("plus", {"b": 2}), ("minus", {}), ("later", "{")],
    ]
    if not request.tools or number % 4 == 3:
        return None
    return Reply(calls=calls[number % 4])


def meant(made: Any, row: dict[str, str]) -> Flow | str:
    engine = FakeEngine(answers=answer)
    try:
        return comparable(interpret(made.body, record_of(row), engine.complete, bound=made.bound))
    except StageError as error:
        return str(error)


@law(
    st.lists(st.sampled_from(STAGES), min_size=1, max_size=3),
    st.permutations(ROWS),
    st.sampled_from([1, 2, 100]),
    st.booleans(),
    share=4,
)
def test_the_runtime_means_what_the_reference_means(
    stages: list[str], rows: list[dict[str, str]], window: int, has_passes: bool
) -> None:
    text = " >> ".join(["E:a", *stages])
    given = {name: one for name, one in (("plus", plus), ("later", later)) if name in text}
    made = chain(text, functions=given)
    passes = None if has_passes else ()
    engine = FakeEngine(
        answers=answer, latency=lambda one: hashlib.md5(repr(one.seed).encode()).digest()[0] / 16
    )
    found = {
        one.row_id: comparable(one.flow) if one.ok and one.flow else one.error
        for one in made.map(rows, engine=engine, window=window, passes=passes)
    }
    assert found == {row["id"]: meant(made, row) for row in rows}
