"""Ember's public API."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from chainlang.compat.ember.api import data, models, non, operators, types, xcs
from chainlang.compat.ember.doors import refuse as _refuse

__all__ = ["data", "models", "non", "operators", "types", "xcs"]


if not _TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> _NoReturn:
        """Refuse a name of Ember's that has another spelling here."""
        _refuse(__name__, name)
