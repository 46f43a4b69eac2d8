"""LangChain and LangGraph: a chain as a runnable or a node, and a runnable as a stage of a chain.

`as_runnable` and `as_node` put a chain into LCEL and into a graph, `as_stage` puts a runnable or a
graph into a chain. It needs ``pip install 'chainlang[langchain]'``, graphs need
``pip install 'chainlang[langgraph]'``.
"""

from __future__ import annotations

from chainlang.errors import error_of

try:
    import langchain_core  # noqa: F401  # for its own message, before anything else needs it
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    _HINT = "run: pip install 'chainlang[langchain]', or 'chainlang[langgraph]' for graphs too"
    raise error_of(
        "file", "chainlang.compat.langchain needs langchain-core, which is not installed", _HINT
    ) from error

from chainlang.compat.langchain.node import as_node
from chainlang.compat.langchain.runnable import as_runnable
from chainlang.compat.langchain.stage import as_stage

__all__ = ["as_node", "as_runnable", "as_stage"]
