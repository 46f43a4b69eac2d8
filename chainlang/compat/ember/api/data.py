"""Path of Ember's API whose names have another spelling here; see `doors`."""

from typing import NoReturn

from chainlang.compat.ember.doors import refuse


def __getattr__(name: str) -> NoReturn:
    """Refuse a name, with its other spelling."""
    refuse(__name__, name)
