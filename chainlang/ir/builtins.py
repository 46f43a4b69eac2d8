"""Built-in stage types, combinators, engines and settings, with the options that each takes.

`analysis.resolve` looks up all built-in names in these tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import evolve, frozen

from chainlang.diagnostics.suggest import suggest
from chainlang.ir import nodes
from chainlang.ir.nodes import Combinator, Expr, Function, Table
from chainlang.ir.verify import is_name
from chainlang.protocol.failures import FAILURE_MODES

Kind = Literal["generate", "map", "fold"]
KINDS: tuple[Kind, ...] = ("generate", "map", "fold")


@frozen
class Rule:
    """Rule for the value of an option.

    `wants` describes valid values in messages. `read` returns the canonical value, or raises
    `ValueError`.
    """

    wants: str
    read: Callable[[Any], Any]
    required: bool = False
    holds_chains: bool = False
    takes_text: bool = False
    evaluated: bool = False
    """Whether a string value is an expression over the record."""
    is_pattern: bool = False
    """Whether the value is a regular expression."""
    python: str = "str"
    """The type of a keyword of this name, as it stands in `chainlang.api`."""
    choices: tuple[str, ...] = ()
    """The valid texts, if there are only so many."""

    def accepts(self, value: object) -> bool:
        """Return whether a value is valid."""
        try:
            self.read(value)
        except ValueError:
            return False
        return True

    def suggestion(self, value: object) -> str | None:
        """Return the hint for a value that is near to a valid one."""
        given = value if isinstance(value, tuple) else (value,)
        wrong = (one for one in given if isinstance(one, str) and one not in self.choices)
        return suggest(next(wrong, ""), self.choices, None)

    def needed(self) -> Rule:
        """Return the same rule for a required option."""
        return evolve(self, required=True)


def _number(low: float, high: float, *, open_low: bool = False) -> Rule:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(value)
        if not low <= value <= high or (open_low and value == low):
            raise ValueError(value)
        return float(value)

    if high == math.inf:
        wants = f"a number above {low:g}" if open_low else f"a number of at least {low:g}"
    else:
        wants = f"a number {'above' if open_low else 'from'} {low:g} "
        wants += f"{'up ' if open_low else ''}to {high:g}"
    return Rule(wants, read, python="float")


def _integer(least: int) -> Rule:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(value)
        return value

    return Rule(f"a whole number of at least {least}", read, python="int")


def _need(value: Any) -> int | float:
    if isinstance(value, float) and 0 < value < 1:
        return value
    return int(_integer(1).read(value))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def _word(value: Any) -> str:
    if not is_name(value):
        raise ValueError(value)
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _stops(value: Any) -> Any:
    many = value if isinstance(value, tuple) else (value,)
    if not many or not all(isinstance(item, str) and item for item in many):
        raise ValueError(value)
    return many[0] if len(many) == 1 else many


def _one_of(*words: str) -> Rule:
    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError(value)
        return value

    listed = ", ".join(f'"{word}"' for word in words)
    return Rule(
        f"one of {listed}", read, takes_text=True, python=f"Literal[{listed}]", choices=words
    )


def _part(value: Any) -> Any:
    if not isinstance(value, Expr):
        raise ValueError(value)
    return value


def _arms(value: Any) -> Any:
    if not isinstance(value, Table) or not value.entries:
        raise ValueError(value)
    if not all(isinstance(entry.value, Expr) for entry in value.entries):
        raise ValueError(value)
    return value


def _judged(value: Any) -> Any:
    return value if isinstance(value, Function) else _text(value)


def _causes(value: Any) -> Any:
    many = value if isinstance(value, tuple) else (value,)
    if not many or not all(item in CAUSES for item in many) or len(set(many)) < len(many):
        raise ValueError(value)
    return many[0] if len(many) == 1 else many


CAUSES: tuple[str, ...] = tuple(one for one, mode in FAILURE_MODES.items() if mode.caught)
"""Values of `on` in a `retry`."""
_TEXT = Rule("a text in quotes", _text, takes_text=True)
_JUDGE = Rule(
    "an expression in quotes, or a function",
    _judged,
    takes_text=True,
    evaluated=True,
    python="str | Callable[..., Any]",
)
_PATTERN = Rule("a pattern in quotes", _text, takes_text=True, is_pattern=True)
_LIST = Rule("an expression in quotes", _text, takes_text=True, evaluated=True)
_NAME = Rule("a name in quotes", _word, takes_text=True)
_CAUSES = Rule(
    "one of " + ", ".join(f'"{cause}"' for cause in CAUSES) + ", or a list of them",
    _causes,
    takes_text=True,
    python="Cause | Sequence[Cause]",
    choices=CAUSES,
)
_ARMS = Rule(
    'a table of chains, {"key": chain, ...}',
    _arms,
    holds_chains=True,
    python="Mapping[str, ChainLike]",
)

# Sampling options, which every stage type with a model takes.
SAMPLING: Mapping[str, Rule] = {
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _integer(1),
    "min_p": _number(0, 1),
    "min_tokens": _integer(0),
    "presence_penalty": _number(-2, 2),
    "repetition_penalty": _number(0, 2, open_low=True),
    "stop": Rule(
        "a text in quotes, or a list of them", _stops, takes_text=True, python="str | Sequence[str]"
    ),
    "top_k": _integer(1),
    "top_p": _number(0, 1, open_low=True),
}
_TRUTH = Rule("true or false", _truth, python="bool")
_NEED = Rule(
    "a whole number of at least 1, or a share above 0 and below 1", _need, python="int | float"
)
DRAWS: Mapping[str, Rule] = {
    **SAMPLING,
    "cut": _one_of("fail", "keep"),
    "logprobs": _TRUTH,
    "need": _NEED,
}


@frozen
class StageType:
    """A stage type: its kind and its options."""

    name: str
    kind: Kind
    what: str
    aliases: tuple[str, ...] = ()
    calls_model: bool = True
    options: Mapping[str, Rule] = DRAWS
    temperature: float = 0.0
    """Default temperature."""
    reads_error: bool = False
    """Whether its prompt has the error of the previous reply, inside a `retry`."""

    def is_called(self, name: str) -> bool:
        """Return whether a name is what the type is, spelt out: ``Ensemble``, ``MostCommon``."""
        return name.lower().replace("_", "") == self.what.replace(" ", "")


@frozen
class Signature:
    """Signature of a combinator: its number of parts, and its options."""

    name: str
    what: str
    node: type[Combinator]
    """Class of its nodes, whose fields have the names of the options."""
    parts: tuple[int, int | None]
    """Minimum and maximum number of positional parts; None for no maximum."""
    options: Mapping[str, Rule]
    aliases: Mapping[str, str] = {}
    """Other names of options."""
    example: str = ""


STAGE_TYPES: Mapping[str, StageType] = {
    one.name: one
    for one in (
        StageType(
            "E", "generate", "ensemble", ("UE",),
            options={**DRAWS, "fresh": _TRUTH}, temperature=0.7,
        ),
        StageType("V", "map", "verify"),
        StageType("J", "fold", "judge", ("JF",)),
        StageType("S", "fold", "select"),
        StageType(
            "M", "fold", "most common", ("MC",), calls_model=False,
            options={
                "by": _TEXT,
                "extract": _PATTERN,
                "normalize": _one_of("casefold", "number", "text"),
            },
        ),
    )
}  # fmt: skip

COMBINATORS: Mapping[str, Signature] = {
    one.name: one
    for one in (
        Signature(
            "fallback", "the first part that does not fail", nodes.Fallback, (2, None), {},
            example="fallback(a, b)",
        ),
        Signature(
            "retry", "repeats what failed", nodes.Retry, (1, 1),
            {"backoff": _number(0, math.inf), "on": _CAUSES, "times": _integer(1)},
            example="retry(a, times=3)",
        ),
        Signature(
            "timeout", "fails what takes too long", nodes.Timeout, (1, 1),
            {"seconds": _number(0, math.inf, open_low=True).needed()},
            example="timeout(a, seconds=30)",
        ),
        Signature(
            "route", "picks a part by a value", nodes.Route, (0, 0),
            {
                "arms": _ARMS.needed(),
                "by": _JUDGE.needed(),
                "default": Rule("a chain", _part, holds_chains=True, python="ChainLike"),
            },
            example='route(by="topic", arms={"math": a, "code": b}, default=c)',
        ),
        Signature(
            "loop", "runs a part until a condition holds", nodes.Loop, (1, 1),
            {"max": _integer(1), "until": _JUDGE.needed()},
            example="loop(a, until=\"verdict == 'correct'\", max=3)",
        ),
        Signature(
            "each", "runs a part for each item of a list", nodes.Each, (1, 1),
            {"item": _NAME, "over": _LIST.needed()},
            aliases={"as": "item"},  # `as` is a keyword of Python, so only notation can have it
            example='each(a, over="documents", item="document")',
        ),
    )
}  # fmt: skip

# The settings of an `op { ... }` in a file.
OP_SETTINGS: Mapping[str, Rule] = {
    **DRAWS,
    "answer": _TEXT,
    "choose": _TEXT,
    "fresh": _TRUTH,
    "model": _TEXT,
    "system": Rule(
        "a text in quotes", lambda value: value if isinstance(value, str) else _text(value)
    ),
    "temperature": Rule("a temperature: 0, or from 0.01 to 2", lambda value: value, python="float"),
    "user": _TEXT,
}

# Engines of `model` declarations, and the settings of each. Engine arguments that load or run code
# are left out, because files may come from untrusted authors.
_SIZE = _integer(1)
ENGINES: Mapping[str, Mapping[str, Rule]] = {
    "vllm": {
        "dtype": _one_of("auto", "float32", "float16", "bfloat16"),
        "enable_prefix_caching": _TRUTH,
        "gpu_memory_utilization": _number(0, 1, open_low=True),
        "max_model_len": _SIZE,
        "max_num_seqs": _SIZE,
        "quantization": _TEXT,
        "revision": _TEXT,
        "tensor_parallel_size": _SIZE,
    },
    "openai": {
        "api_key": Rule('env("NAME")', lambda value: value),
        "base_url": _TEXT,
        "max_concurrency": _SIZE,
        "max_model_len": _SIZE,
    },
    "fake": {},
}

NAMED_TYPES = ("bool", "date", "datetime", "decimal", "float", "int", "str")
"""Built-in types; `int`, `float` and `str` (its length) take bounds."""

WORDS: Mapping[str, str] = {
    "answer": "the answer of a candidate",
    "candidate": "the candidate that a map reads",
    "candidates": "the candidates of the stage before",
    "error": "the error of the attempt before, in a retry",
    "id": "the identity of the row",
    "query": "the query of the row",
    "reply": "the reply of the attempt before, in a retry",
    "responses": "the answers of the candidates",
}
"""Words of the language that templates, expressions and results read, with their meaning."""
WORDS_OF_TYPES = (*NAMED_TYPES, "dict", "list")
"""Names that a declared type can't have."""


def canonical(name: str) -> str:
    """Return the stage type of an alias; any other name as it is.

    >>> canonical("MC"), canonical("UE"), canonical("classify")
    ('M', 'E', 'classify')
    """
    return _ALIASES.get(name, name)


_ALIASES = {alias: one.name for one in STAGE_TYPES.values() for alias in one.aliases}
FORMS = {
    "branch": "branch(a, b)",
    "function": 'function("name")',
    "join": "join(a, b)",
    "ref": 'ref("name")',
}
"""Calls that are another spelling of an operator or a reference, each with an example."""
RESERVED = frozenset({*STAGE_TYPES, *_ALIASES, *COMBINATORS, *FORMS})
"""Names that a file or an `op` can't define."""
