"""`as_stage`: a runnable or a graph of LangChain as a stage of a chain."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable

from chainlang.api.chain import Chain, called
from chainlang.compat.langchain.inputs import row_of
from chainlang.compat.langchain.interrupts import INTERRUPT, interrupts, refusal
from chainlang.datatypes.plain_values import plain
from chainlang.errors import error_of
from chainlang.ir.nodes import Function
from chainlang.ir.verify import is_name


def as_stage(
    runnable: Runnable[Any, Any], name: str, reads: str | None = None, writes: str | None = None
) -> Chain:
    """Return a runnable as a stage, which is called for each candidate, beside the others.

    Its input is the answer of the candidate, or with `reads` a dict that has it under this key;
    what it returns is the answer of the new one, or with `writes` the value of this key. Messages
    become their text.

    >>> from langchain_core.runnables import RunnableLambda
    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> louder = as_stage(RunnableLambda(str.upper), "louder")
    >>> (chain("2:E") >> louder)("Hi?", engine=FakeEngine(answers={"Hi": "hello"}))["responses"]
    ['HELLO', 'HELLO']
    """
    if not isinstance(runnable, Runnable):
        message = f"expected a runnable of LangChain, found a {type(runnable).__name__}"
        raise error_of("operand", message, "a Python function stands in a chain as it is: E >> f")
    if not is_name(name):
        hint = "a name is made of ASCII letters, digits and _, and is no keyword of Python"
        raise error_of("operand", f"{name!r} can't be the name of a stage", hint)

    async def stage(answer: Any) -> Any:
        try:
            found = await runnable.ainvoke(answer if reads is None else {reads: answer})
        except interrupts() as error:
            raise refusal(error) from None
        if isinstance(found, dict) and INTERRUPT in found:
            raise refusal()
        if writes is not None:
            if not isinstance(found, dict) or writes not in found:
                known = ", ".join(map(str, found)) if isinstance(found, dict) else "no keys"
                raise KeyError(f"{name} returned no {writes!r}: it has {known}")
            found = found[writes]
        return plain(row_of(found))

    stage.__name__ = stage.__qualname__ = name
    return called(Function(name), stage)
