"""Types whose values are texts of a certain form: dates, times and exact numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from chainlang.datatypes.number_text import number_text

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

_DAY = (
    r"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?"
_EXACT_DIGITS = 15
"""Digits that a float always keeps."""


@frozen
class Textual:
    """A type of texts: the pattern that engines enforce, and the reader of its values."""

    pattern: str
    """Pattern of its usual spelling, of bounded length, and of no text that is no value."""
    core_schema: Callable[[], CoreSchema]
    """Maker of pydantic's schema, whose values are Python's own."""

    def is_valid(self, text: str) -> bool:
        """Return whether a text is a value."""
        from pydantic_core import SchemaValidator

        return bool(SchemaValidator(self.core_schema()).isinstance_python(text))


def _date() -> CoreSchema:
    from pydantic_core import core_schema as core

    text = core.str_schema(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    return core.chain_schema([text, core.date_schema()])


def _datetime() -> CoreSchema:
    from pydantic_core import core_schema as core

    text = core.str_schema(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:")
    return core.chain_schema([text, core.datetime_schema()])


def _decimal() -> CoreSchema:
    from pydantic_core import core_schema as core

    exact = core.decimal_schema(allow_inf_nan=False)
    return core.no_info_before_validator_function(_exactly, exact)


def _exactly(value: Any) -> Any:
    """Return a value that is exactly a decimal. Raises `ValueError` for one that may be rounded."""
    if isinstance(value, str) and ("," in value or number_text(value) is None):
        raise ValueError("a decimal is written as 1234.5")
    digits = (number_text(repr(value)) or "") if isinstance(value, float) else ""
    if len(digits.partition("e")[0].strip("-0.").replace(".", "")) > _EXACT_DIGITS:
        raise ValueError(f"a number of more than {_EXACT_DIGITS} digits is written as a text")
    return value


TEXTUAL: Mapping[str, Textual] = {
    "date": Textual(f"^{_DAY}$", _date),
    "datetime": Textual(f"^{_DAY}T{_TIME}{_OFFSET}$", _datetime),
    "decimal": Textual(r"^-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?$", _decimal),
}
"""Types whose values are texts in JSON, by name."""
