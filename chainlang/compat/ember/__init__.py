"""Ember's API: its networks of networks, its operators, and its execution engine, XCS.

Paths of modules are Ember's: ``from chainlang.compat.ember.xcs import jit``.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from chainlang.compat.ember import api, core, non, operators, xcs
from chainlang.compat.ember.api import models
from chainlang.compat.ember.doors import refuse as _refuse
from chainlang.compat.ember.language_models import LMModule, LMModuleConfig
from chainlang.compat.ember.log import configure_logging
from chainlang.compat.ember.one_chain import OneChain as _OneChain  # noqa: F401  # sets hooks
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.specification import Specification
from chainlang.compat.ember.starting import init, initialize_ember
from chainlang.compat.ember.structures import EmberModel, Field
from chainlang.compat.ember.use import use

__all__ = [
    "EmberModel",
    "Field",
    "LMModule",
    "LMModuleConfig",
    "Operator",
    "Specification",
    "api",
    "configure_logging",
    "core",
    "init",
    "initialize_ember",
    "models",
    "non",
    "operators",
    "use",
    "xcs",
]


if not _TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> _NoReturn:
        """Refuse a name of Ember's that has another spelling here."""
        _refuse(__name__, name)
