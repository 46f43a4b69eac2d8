"""chainlang: one line says a whole pipeline of LLM calls, as text and as Python.

>>> from chainlang import E, J, chain
>>> E("llama", 3, 0.7) >> J("qwen", 1, 0) == chain("3:E:llama:0.7 >> 1:J:qwen:0")
True
"""

import importlib as _importlib
import typing as _typing

from chainlang.api.chain import Chain
from chainlang.api.combinators import (
    branch,
    cascade,
    each,
    fallback,
    function,
    join,
    loop,
    ref,
    retry,
    route,
    timeout,
    with_fields,
)
from chainlang.api.op import op
from chainlang.api.parse import chain, load
from chainlang.api.stage_types import E, J, M, S, V
from chainlang.datatypes.one import one
from chainlang.errors import ChainlangError, ChainlangWarning
from chainlang.limits import Limits
from chainlang.semantics.record import Candidate, Part
from chainlang.tracer.calls import ask, for_each, when
from chainlang.tracer.trace import trace

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "Chain",
    "ChainlangError",
    "ChainlangWarning",
    "E",
    "J",
    "Limits",
    "M",
    "Part",
    "S",
    "V",
    "ask",
    "branch",
    "cascade",
    "chain",
    "each",
    "fallback",
    "for_each",
    "function",
    "join",
    "load",
    "loop",
    "one",
    "op",
    "ref",
    "retry",
    "route",
    "timeout",
    "trace",
    "when",
    "with_fields",
]

if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Return the function that ``%load_ext chainlang`` calls, which needs IPython."""
        if name == "load_ipython_extension":
            # By name: everything imports this module, and would so import the notebook's.
            return getattr(_importlib.import_module("chainlang.notebook.extension"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
