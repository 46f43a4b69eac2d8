"""Built-in stage types, combinators and settings of ops, with the options that each takes.

`analysis.resolve` looks up all built-in names in these tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from attrs import evolve, frozen

from chainlang.ir import nodes
from chainlang.ir.auto import AUTO
from chainlang.ir.nodes import Combinator, Expr, Function, Table
from chainlang.ir.row_settings import SAMPLES, names_template
from chainlang.ir.rules import (
    PARTS,
    TEMPLATE,
    TEXT,
    TRUTH,
    Rule,
    integer,
    number,
    one_of,
    text,
    word,
)
from chainlang.ir.sampling_options import BUDGET, DRAWS, UNTYPED
from chainlang.ir.tables import is_plain
from chainlang.ir.verify import is_name
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.sandboxes.program import NAMES as SANDBOXES

Kind = Literal["generate", "map", "fold"]
KINDS: tuple[Kind, ...] = ("generate", "map", "fold")
CODE = "code"
"""Stage type that runs programs, and the kind of an op that configures it."""


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


def _inputs(value: Any) -> Any:
    if not isinstance(value, Table) or not is_plain(value):
        raise ValueError(value)
    if not all(is_name(one.name) for one in value.entries):
        raise ValueError(value)
    return value


def _judged(value: Any) -> Any:
    return value if isinstance(value, Function) else text(value)


def _causes(value: Any) -> Any:
    many = value if isinstance(value, tuple) else (value,)
    if not many or not all(item in CAUSES for item in many) or len(set(many)) < len(many):
        raise ValueError(value)
    return many[0] if len(many) == 1 else many


def _weights(value: Any) -> Any:
    if not isinstance(value, Table) or not value.entries:
        raise ValueError(value)
    for one in value.entries:
        number(0, math.inf, open_low=True).read(one.value)
    return value


def _normalized(value: Any) -> Any:
    if (
        isinstance(value, Function) and value.of is None and not value.by_name
    ):  # it is called with an answer
        return value
    return _FORMS.read(value)


CAUSES: tuple[str, ...] = tuple(one for one, mode in FAILURE_MODES.items() if mode.caught)
"""Values of `on` in a `retry` and a `fallback`."""
_JUDGE = Rule(
    "an expression in quotes, or a function",
    _judged,
    takes_text=True,
    evaluated=True,
    python="str | Callable[..., Any]",
)
_FORMS = one_of("casefold", "number", "text")
_NORMALIZE = evolve(
    _FORMS,
    wants=f"{_FORMS.wants}, or a function",
    read=_normalized,
    python=f"{_FORMS.python} | Callable[..., Any]",
)
_PATTERN = Rule("a pattern in quotes", text, takes_text=True, is_pattern=True)
_WEIGHTS = Rule(
    'a table of numbers above 0 by model, {"gpt-4o": 2}', _weights, python="Mapping[str, float]"
)
_INPUTS = Rule(
    'a table of variables with names as in Python, {"n": "{{ n }}"}',
    _inputs,
    python="Mapping[str, object]",
    of_templates=True,
)
_EXPRESSION = Rule("an expression in quotes", text, takes_text=True, evaluated=True)
_NAME = Rule("a name in quotes", word, takes_text=True)
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


SYSTEM = "system"
"""Option of a stage, and setting of an op: the template of its system text."""
WIRING: Mapping[str, Rule] = {"of": PARTS, SAMPLES: TEMPLATE, SYSTEM: TEMPLATE}
"""Options of a stage with a model, and of no op: what it reads, and how often it samples."""
ROW_FIELDS: Mapping[str, Rule] = {"model": TEMPLATE, "temperature": TEMPLATE}
"""Fields of a stage that are options where a template gives them."""
ASKING: Mapping[str, Rule] = {**DRAWS, **WIRING}
"""Options of a stage type with a model."""


RESULT = ("ok", "value", "stdout", "error")
"""Fields of the candidates of a stage that runs programs."""
TESTS, INPUTS, SANDBOX = "tests", "inputs", "sandbox"
PROGRAMS: Mapping[str, Rule] = {
    INPUTS: _INPUTS,
    "memory": integer(64, 16_384, unit="MiB"),
    "output": integer(1, 10_000_000, unit="characters"),
    SANDBOX: one_of(*SANDBOXES),
    "seconds": number(0, 600, open_low=True, unit="seconds"),
    TESTS: TEMPLATE,
}
"""Options of a stage that runs programs, and settings of an op that configures it."""


@frozen
class StageType:
    """A stage type: its kind and its options."""

    name: str
    kind: Kind
    what: str
    aliases: tuple[str, ...] = ()
    calls_model: bool = True
    options: Mapping[str, Rule] = ASKING
    temperature: float = 0.0
    """Default temperature."""
    reads_error: bool = False
    """Whether its prompt has the error of the previous reply, inside a `retry`."""
    is_typed: bool = True
    """Whether a reply has to fit a type."""
    given: Mapping[str, Any] = {}
    """Values of the options for stages that do not give them."""
    is_tool: bool = False
    """Whether it calls a tool, so that its stages name no model."""

    @property
    def runs_programs(self) -> bool:
        """Whether its stages run programs in a sandbox."""
        return SANDBOX in self.options

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
    others: Rule | None = None
    """Rule of options with any other name, of which there is at least one; None for no others."""
    example: str = ""


STAGE_TYPES: Mapping[str, StageType] = {
    one.name: one
    for one in (
        StageType(
            "E", "generate", "ensemble", ("UE",),
            options={**UNTYPED, **WIRING, "fresh": TRUTH}, temperature=0.7, is_typed=False,
        ),
        StageType("V", "map", "verify"),
        StageType("J", "fold", "judge", ("JF",)),
        StageType("S", "fold", "select"),
        StageType(
            "M", "fold", "most common", ("MC",), calls_model=False,
            options={
                "by": TEXT,
                "extract": _PATTERN,
                "normalize": _NORMALIZE,
                "of": PARTS,
                "weight": _WEIGHTS,
            },
        ),
        StageType(
            CODE, "map", "programs", calls_model=False, options={**PROGRAMS, "of": PARTS},
        ),
    )
}  # fmt: skip

COMBINATORS: Mapping[str, Signature] = {
    one.name: one
    for one in (
        Signature(
            "fallback", "the first part that does not fail", nodes.Fallback, (2, None),
            {"on": _CAUSES},
            example="fallback(a, b)",
        ),
        Signature(
            "cascade", "the first part whose result is accepted", nodes.Cascade, (2, None),
            {"accept": _JUDGE.needed()},
            example='cascade(a, b, accept="confidence >= 0.67")',
        ),
        Signature(
            "retry", "repeats what failed", nodes.Retry, (1, 1),
            {"backoff": number(0, math.inf, unit="seconds"), "on": _CAUSES, "times": integer(1)},
            example="retry(a, times=3)",
        ),
        Signature(
            "timeout", "fails what takes too long", nodes.Timeout, (1, 1),
            {"seconds": number(0, math.inf, open_low=True, unit="seconds").needed()},
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
            {"max": integer(1), "until": _JUDGE.needed()},
            example="loop(a, until=\"verdict == 'correct'\", max=3)",
        ),
        Signature(
            "each", "runs a part for each item of a list", nodes.Each, (1, 1),
            {"item": _NAME, "over": _EXPRESSION.needed()},
            aliases={"as": "item"},  # `as` is a keyword of Python, so only notation can have it
            example='each(a, over="documents", item="document")',
        ),
        Signature(
            "with_fields", "gives a part fields in place of the row's", nodes.WithFields, (1, 1),
            {}, others=TEMPLATE,
            example='with_fields(a, query="{{ draft.answer }}")',
        ),
    )
}  # fmt: skip

TEMPLATES = ("prefix", "system", "user")
"""Settings of an op that are templates of its prompt."""
EXPRESSIONS = ("images", "messages")
"""Settings of an op that are expressions for parts of its prompt."""
RANDOM = "random"
ORDERS = ("given", RANDOM)
"""Orders of the examples of an op."""
EXAMPLES = "examples"
"""Setting of an op whose value may be the path of a file beside the file that has it."""


DESCRIBE = "describe"
"""Setting of an op: a template of what the prompt says of its type, or `UNDESCRIBED`."""
UNDESCRIBED = "none"
FIELDS = "fields"
"""Name of the description of its type in the templates of a typed op."""


def is_rows_path(examples: object) -> bool:
    """Return whether the value of `examples` is the path of a file, and not the rows themselves.

    >>> is_rows_path("shots.jsonl"), is_rows_path('{"query": "1 + 1?", "answer": "2"}')
    (True, False)
    """
    return isinstance(examples, str) and "{" not in examples


def template_of(name: str, value: object) -> str | None:
    """Return the template that a setting of an op is given by, or an option of a stage; else None.

    >>> template_of("user", "Hello"), template_of("temperature", "{{ t }}"), template_of("stop", "")
    ('Hello', '{{ t }}', None)
    """
    is_text = isinstance(value, str) and name in (*TEMPLATES, TESTS)
    return str(value) if is_text or names_template(name, value) else None


# The settings of an `op { ... }` in a file.
OP_SETTINGS: Mapping[str, Rule] = {
    **DRAWS,
    "answer": _EXPRESSION,
    "budget": BUDGET,
    "choose": TEXT,
    "continues": TRUTH,
    DESCRIBE: TEXT,
    EXAMPLES: Rule(
        "rows as JSON Lines, or the path of a file of them, in quotes",
        text,
        takes_text=True,
        python="str | Sequence[Mapping[str, object]]",
    ),
    "examples_count": integer(1),
    "examples_order": one_of(*ORDERS),
    "fresh": TRUTH,
    "images": _EXPRESSION,
    "messages": _EXPRESSION,
    "model": TEXT,
    "prefix": TEXT,
    SYSTEM: TEMPLATE,
    "temperature": Rule("a temperature: 0, or from 0.01 to 2", lambda value: value, python="float"),
    "user": TEXT,
}

CODE_SETTINGS: Mapping[str, Rule] = {**PROGRAMS, "answer": _EXPRESSION}
"""Settings of an op of the kind `code`."""

NAMED_TYPES = ("bool", "date", "datetime", "decimal", "float", "int", "str")
"""Built-in types; `int`, `float` and `str` (its length) take bounds."""

WORDS: Mapping[str, str] = {
    "answer": "the answer of a candidate",
    "candidate": "the candidate that a map reads",
    "candidates": "the candidates of the stage before",
    "error": "the error of the attempt before, in a retry",
    "id": "the identity of the row",
    "item_index": "the number of the item, in an each",
    "query": "the query of the row",
    "reply": "the reply of the attempt before, in a retry",
    "responses": "the answers of the candidates",
    "round": "the number of the round, in a loop",
}
"""Words of the language that templates, expressions and results read, with their meaning."""
WORDS_OF_TYPES = (*NAMED_TYPES, "dict", "list", "one")
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
RESERVED = frozenset({*STAGE_TYPES, *_ALIASES, *COMBINATORS, *FORMS, AUTO})
"""Names that a file or an `op` can't define."""
