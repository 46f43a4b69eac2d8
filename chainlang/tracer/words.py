"""Messages for what Python can't do with a stand-in, by the method that Python calls for it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

FUNCTION = "function(f)({it}) runs Python for each row"


@frozen
class Word:
    """A message and a hint, about a stand-in that is shown as ``{it}``."""

    text: str
    instead: str | None = None

    def of(self, it: str) -> tuple[str, str | None]:
        """Return the message and the hint about a stand-in."""
        return self.text.replace("{it}", it), self.instead and self.instead.replace("{it}", it)


def _unknown(so: str, hint: str | None = None) -> Word:
    """Return the message that a value is not known, so that something can't be done."""
    return Word("`{it}` is not known while the function is traced, so " + so, hint)


_BRANCH = _unknown(
    "`if`, `while`, `and`, `or` and `not` can't look at it",
    'write when({it} == "yes", lambda: ..., otherwise=lambda: ...)',
)
CONDITION = _unknown(
    "`if`, `while`, `and`, `or` and `not` can't look at it",
    "write when({it}, lambda: ..., otherwise=lambda: ...)\n"
    "between conditions write & | ~ in place of and, or, not",
)
"""Word for the truth of a condition."""
ORDER = _unknown(
    "Python can't compare by it",
    "write when({it}, lambda: ..., otherwise=lambda: ...)\n"
    "for several write & between them: (n > 1) & (n < 3)\n"
    "to pick the best of several results, write S(a, b) or M(a, b)",
)
"""Word for the truth of a comparison by order, which `max` and `sorted` ask for too."""
_LOOP = Word(
    "the items of `{it}` are not known while the function is traced, so no `for` can see them",
    "write for_each({it}, lambda item: ...)",
)
_LENGTH = Word(
    "the length of `{it}` is not known while the function is traced",
    'a template has it: op("f", user="{{ text | length }}")\n' + FUNCTION,
)
_INSIDE = Word(
    "what `{it}` contains is not known while the function is traced",
    'a chain can test it: route(by="\'yes\' in text", arms={"true": a, "false": b})\n' + FUNCTION,
)
_PLUS = _unknown(
    "nothing can be added to it", 'for a text of both, write f"{a}{b}"\nfor a sum: ' + FUNCTION
)
_SUM = _unknown("Python can't compute with it", FUNCTION)
_NUMBER = _unknown(
    "it can't become a number", "for a number of a model, write ask(..., returns=int)\n" + FUNCTION
)
_CHAIN = Word(
    "`{it}` is a result, and operators stand between chains", "call the chain on it, as in J({it})"
)
_KEY = _unknown(
    "it can't be a key or an item of a set",
    'to choose by it, write when({it}, {"a": lambda: ..., "b": lambda: ...})',
)
_CHANGE = Word("`{it}` is a result, and can't be changed")
_PATH = _unknown("no file can have its name", FUNCTION)
_BYTES = _unknown("it has no bytes yet", FUNCTION)
_WAIT = Word("`{it}` can't be awaited", "leave out await: calls run when what they read is there")
_BLOCK = Word("`{it}` is a result, and no context manager")

_ARITHMETIC = ("sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift")
_NUMBERS = ("int", "float", "complex", "index", "round", "trunc", "floor", "ceil")

WORDS: Mapping[str, Word] = {
    "__bool__": _BRANCH,
    **{f"__{name}__": _LOOP for name in ("iter", "reversed", "aiter", "next")},
    "__len__": _LENGTH,
    "__contains__": _INSIDE,
    **{f"__{name}__": _PLUS for name in ("add", "radd", "iadd")},
    **{f"__{way}{name}__": _SUM for way in ("", "r") for name in _ARITHMETIC},
    **{f"__{name}__": _SUM for name in ("xor", "rxor", "neg", "pos", "abs", "invert")},
    **{f"__{name}__": _CHAIN for name in ("rshift", "rrshift", "and", "rand", "or", "ror")},
    **{f"__{name}__": _NUMBER for name in _NUMBERS},
    "__bytes__": _BYTES,
    "__fspath__": _PATH,
    "__hash__": _KEY,
    **{f"__{name}__": _CHANGE for name in ("setitem", "delitem", "setattr", "delattr")},
    "__await__": _WAIT,
    **{f"__{name}__": _BLOCK for name in ("enter", "exit", "aenter", "aexit")},
}
"""Word for each method; `StandIn` has a method for each."""

_FILTERS = {
    "upper": "upper", "lower": "lower", "title": "title", "capitalize": "capitalize",
    "strip": "trim", "replace": "replace('a', 'b')", "count": "length",
}  # fmt: skip
"""Filters of templates, by the methods that do the same."""


def of_method(it: str, name: str) -> tuple[str, str]:
    """Return the message and the hint for a call of a method, as in ``answer.upper()``."""
    message = f"`{it}` is not known while the function is traced, so it has no `{name}()` yet"
    hint = FUNCTION.replace("{it}", it)
    if name in _FILTERS:
        hint = f'a template does it: op("f", user="{{{{ text | {_FILTERS[name]} }}}}")\n{hint}'
    return message, hint
