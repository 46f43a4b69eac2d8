"""Path of Ember's API whose names have another spelling here; see `doors`."""

from typing import TYPE_CHECKING, NoReturn

from chainlang.compat.ember.doors import refuse

if not TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> NoReturn:
        """Refuse a name, with its other spelling."""
        refuse(__name__, name)
