"""chainlang: one line says a whole pipeline of LLM calls, as text and as Python.

>>> from chainlang import E, J, chain
>>> E("llama", 3, 0.7) >> J("qwen", 1, 0) == chain("3:E:llama:0.7 >> 1:J:qwen:0")
True
"""

from chainlang.chain import Chain
from chainlang.declare import op
from chainlang.errors import ChainlangError, ChainlangWarning
from chainlang.limits import Limits
from chainlang.ops.records import Candidate, Part
from chainlang.reading import chain, load
from chainlang.words import (
    E,
    J,
    M,
    S,
    V,
    branch,
    each,
    fallback,
    function,
    join,
    loop,
    ref,
    retry,
    route,
    timeout,
)

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
    "branch",
    "chain",
    "each",
    "fallback",
    "function",
    "join",
    "load",
    "loop",
    "op",
    "ref",
    "retry",
    "route",
    "timeout",
]
