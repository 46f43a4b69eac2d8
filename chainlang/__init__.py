"""chainlang: one line says a whole pipeline of LLM calls, as text and as Python.

>>> from chainlang import E, J, chain
>>> E("llama", 3, 0.7) >> J("qwen", 1, 0) == chain("3:E:llama:0.7 >> 1:J:qwen:0")
True
"""

TYPE_CHECKING = False  # `typing` takes as long to import as Python takes to start

if TYPE_CHECKING:
    from chainlang.api.auto import auto
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
    from chainlang.api.stage_types import E, J, M, S, V, code
    from chainlang.datatypes.one import one
    from chainlang.errors import ChainlangError, ChainlangWarning
    from chainlang.limits import Limits
    from chainlang.semantics.part import Part
    from chainlang.semantics.record import Candidate
    from chainlang.serving.serve import serve
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
    "auto",
    "branch",
    "cascade",
    "chain",
    "code",
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
    "serve",
    "timeout",
    "trace",
    "when",
    "with_fields",
]

_MODULES = {
    "chainlang.api.auto": ("auto",),
    "chainlang.api.chain": ("Chain",),
    "chainlang.api.combinators": (
        "branch",
        "cascade",
        "each",
        "fallback",
        "function",
        "join",
        "loop",
        "ref",
        "retry",
        "route",
        "timeout",
        "with_fields",
    ),
    "chainlang.api.op": ("op",),
    "chainlang.api.parse": ("chain", "load"),
    "chainlang.api.stage_types": ("E", "J", "M", "S", "V", "code"),
    "chainlang.datatypes.one": ("one",),
    "chainlang.errors": ("ChainlangError", "ChainlangWarning"),
    "chainlang.limits": ("Limits",),
    "chainlang.semantics.part": ("Part",),
    "chainlang.semantics.record": ("Candidate",),
    "chainlang.serving.serve": ("serve",),
    "chainlang.tracer.calls": ("ask", "for_each", "when"),
    "chainlang.tracer.trace": ("trace",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
"""The module of each name, which is imported when the name is first used: `chainlang --help`, or a
program that imports this package and may need no chain, waits for nothing."""

if not TYPE_CHECKING:
    del TYPE_CHECKING

    def __getattr__(name: str) -> object:
        """Import a name, or what ``%load_ext chainlang`` calls, which needs IPython."""
        import importlib

        if name == "load_ipython_extension":
            return getattr(importlib.import_module("chainlang.notebook.extension"), name)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
