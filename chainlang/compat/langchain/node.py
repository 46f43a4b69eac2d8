"""`as_node`: a chain as a node of a LangGraph graph, which reads and writes keys of its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.api.chain import ChainLike
from chainlang.compat.langchain.inputs import answer_of, row_of
from chainlang.compat.langchain.runnable import ChainRunnable
from chainlang.datatypes.plain_values import plain
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import OperandError, error_of
from chainlang.semantics.part import Part
from chainlang.session.result import Result

ANSWER = "answer"


class ChainNode(ChainRunnable):
    """A chain as a node: it reads keys of a state, and returns an update of the keys it names.

    What it writes are JSON values. A graph may call it in either way, `invoke` or `ainvoke`.
    """

    def __init__(
        self,
        chain: ChainLike,
        reads: str | Iterable[str] | Mapping[str, str],
        writes: str | Mapping[str, str],
        **settings: Any,
    ) -> None:
        super().__init__(chain, **{"cache": "write", **settings})
        self.reads = _reads(reads)
        self.writes = {writes: ANSWER} if isinstance(writes, str) else dict(writes)
        if not self.writes:
            hint = 'write writes="answer", or {"answer": "answer", "reason": "explanation"}'
            raise error_of("operand", "a node has to write a key of the state", hint)

    def __repr__(self) -> str:
        return f"as_node({str(self.chain).strip()!r}, {self.reads!r}, {self.writes!r})"

    def row(self, given: Any) -> Any:
        """Return the row that the state holds."""
        if isinstance(self.reads, str):
            return row_of(_value(given, self.reads))
        return {field: row_of(_value(given, key)) for field, key in self.reads.items()}

    def output(self, result: Result) -> dict[str, Any]:
        """Return the update of the state. Raises `RowError` if the row failed."""
        answer = answer_of(result)
        return {
            key: answer if name == ANSWER else _field(result, name)
            for key, name in self.writes.items()
        }


def _reads(reads: str | Iterable[str] | Mapping[str, str]) -> str | dict[str, str]:
    if isinstance(reads, str):
        return reads
    return dict(reads) if isinstance(reads, Mapping) else {name: name for name in reads}


def _value(state: Any, key: str) -> Any:
    """Return the value of a key of the state, which is a dict, or an object with fields."""
    if isinstance(state, Mapping):
        if key in state:
            return state[key]
        known = [str(one) for one in state]
        raise OperandError([unknown("name", key, known, code="operand", of=" in the state")])
    if hasattr(state, key):
        return getattr(state, key)
    message = f"the state, {type(state).__name__}, has no key {key!r}"
    raise error_of("operand", message, "name one in reads=")


def _field(result: Result, name: str) -> Any:
    """Return a field or a named part of a result as JSON values."""
    try:
        found = result[name]
    except KeyError as error:
        message = f"the result has no {name!r}, which writes= names"
        raise error_of("operand", message, str(error.args[0])) from error
    return plain(found.answer if isinstance(found, Part) else found)


def as_node(
    chain: ChainLike,
    reads: str | Iterable[str] | Mapping[str, str],
    writes: str | Mapping[str, str],
    **settings: Any,
) -> ChainNode:
    """Return a chain as a node of a graph.

    `reads` is the key of the state that holds the row, or the keys of its fields, by field where
    they are named otherwise. `writes` is the key of the answer, or names by key: a field of the
    result, a named part, ``responses``. The settings are those of `map`. LangGraph runs a node
    again when it retries and when it resumes, so its samples are stored (``cache="write"``), and
    are found there by model, prompt, options and seed.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> engine = FakeEngine(answers={"17 + 25": "42"})
    >>> node = as_node(chain("3:E >> M"), "question", "answer", engine=engine, cache="off")
    >>> node.invoke({"question": "17 + 25?", "log": []})
    {'answer': '42'}
    """
    return ChainNode(chain, reads, writes, **settings)
