"""Rules for the values of options and settings: readers of canonical values, and what they want."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from chainlang.diagnostics.suggest import suggest
from chainlang.ir.nodes import Table
from chainlang.ir.tables import is_plain, plain
from chainlang.ir.verify import is_name
from chainlang.protocol.template_args import fault


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
    is_template: bool = False
    """Whether a string value is a template."""
    of_templates: bool = False
    """Whether the value is a table whose texts are templates."""
    is_pattern: bool = False
    """Whether the value is a regular expression."""
    python: str = "str"
    """The type of a keyword of this name, as it stands in `chainlang.api`."""
    choices: tuple[str, ...] = ()
    """The valid texts, if there are only so many."""
    instead: Callable[[str], str | None] | None = None
    """Returns the hint for a text that is none of them; None if there is none."""

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
        several = (one for one in given if isinstance(one, str) and one not in self.choices)
        wrong = next(several, "")
        hint = None if self.instead is None else self.instead(wrong)
        return hint or suggest(wrong, self.choices, None)

    def needed(self) -> Rule:
        """Return the same rule for a required option."""
        return evolve(self, required=True)


def number(low: float, high: float, *, open_low: bool = False, unit: str = "") -> Rule:
    """Return the rule of a number between bounds, of a `unit` if it has one."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(value)
        if not low <= value <= high or (open_low and value == low):
            raise ValueError(value)
        return float(value)

    if high == math.inf:
        bounds = f"above {low:g}" if open_low else _at_least(f"{low:g}", unit)
    else:
        bounds = f"{'above' if open_low else 'from'} {low:g} {'up ' if open_low else ''}to {high:g}"
    return Rule(_wants("a number", unit, bounds), read, python="float")


def integer(least: int, most: int | None = None, *, unit: str = "") -> Rule:
    """Return the rule of a whole number of at least a bound, and at most another one."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(value)
        if most is not None and value > most:
            raise ValueError(value)
        return value

    bounds = _at_least(f"{least}", unit) if most is None else f"from {least} to {most:,}"
    return Rule(_wants("a whole number", unit, bounds), read, python="int")


def _at_least(least: str, unit: str) -> str:
    return f", at least {least}" if unit else f"of at least {least}"


def _wants(number: str, unit: str, bounds: str) -> str:
    """Return the words of a number, of a unit if it has one, between bounds.

    >>> _wants("a number", "seconds", ", at least 0"), _wants("a number", "", "from 0 to 1")
    ('a number of seconds, at least 0', 'a number from 0 to 1')
    """
    words = f"{number} of {unit}" if unit else number
    return f"{words}{bounds}" if bounds.startswith(",") else f"{words} {bounds}"


def text(value: Any) -> str:
    """Return a text that is not empty. Raises `ValueError` for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def word(value: Any) -> str:
    """Return a name. Raises `ValueError` for anything else."""
    if not is_name(value):
        raise ValueError(value)
    return str(value)


def truth(value: Any) -> bool:
    """Return true or false. Raises `ValueError` for anything else."""
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def texts(value: Any) -> Any:
    """Return a text, or several. Raises `ValueError` for anything else."""
    many = value if isinstance(value, tuple) else (value,)
    if not many or not all(isinstance(item, str) and item for item in many):
        raise ValueError(value)
    return many[0] if len(many) == 1 else many


def names(value: Any) -> Any:
    """Return a name, or several different ones. Raises `ValueError` for anything else."""
    many = value if isinstance(value, tuple) else (value,)
    if not many or not all(map(is_name, many)) or len(set(many)) < len(many):
        raise ValueError(value)
    return many[0] if len(many) == 1 else many


def one_of(*words: str) -> Rule:
    """Return the rule of a text that is one of some."""

    def read(value: Any) -> str:
        if value not in words or not isinstance(value, str):
            raise ValueError(value)
        return value

    listed = ", ".join(f'"{word}"' for word in words)
    return Rule(
        f"one of {listed}", read, takes_text=True, python=f"Literal[{listed}]", choices=words
    )


def any_text(value: Any) -> str:
    """Return a text, which may be empty. Raises `ValueError` for anything else."""
    if not isinstance(value, str):
        raise ValueError(value)
    return value


TEXT = Rule("a text in quotes", text, takes_text=True)
TEMPLATE = Rule("a template in quotes", any_text, takes_text=True, is_template=True)
TRUTH = Rule("true or false", truth, python="bool")
TEXTS = Rule(
    "a text in quotes, or a list of them", texts, takes_text=True, python="str | Sequence[str]"
)

PARTS = Rule(
    "the name of a part in quotes, or a list of different names",
    names,
    takes_text=True,
    python="str | Sequence[str]",
)

TOOLS = Rule(
    "the name of a tool in quotes, or a list of different names",
    names,
    takes_text=True,
    python="str | Callable[..., Any] | Sequence[str | Callable[..., Any]]",
)
"""Rule of `tools`: functions of Python, ops that are tools."""


def _template_args(value: Any) -> Any:
    if not isinstance(value, Table) or not is_plain(value) or fault(plain(value)) is not None:
        raise ValueError(value)
    return value


TEMPLATE_ARGS = Rule(
    'a table of arguments of the chat template, such as {"enable_thinking": false}',
    _template_args,
    python="Mapping[str, object]",
)
