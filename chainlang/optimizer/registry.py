"""The passes in their order, each with the reason for its position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from attrs import frozen

from chainlang.diagnostics.suggest import unknown
from chainlang.errors import raise_errors
from chainlang.ir.nodes import Expr
from chainlang.optimizer.adaptive_consistency import adaptive_consistency
from chainlang.optimizer.ask_until_agreement import ask_until_agreement
from chainlang.optimizer.deduplicate import share_equal_work
from chainlang.optimizer.drop_unread import drop_unread
from chainlang.optimizer.early_stopping_consistency import early_stopping_consistency
from chainlang.optimizer.fold_constants import fold_constants
from chainlang.optimizer.fuse_functions import fuse_functions
from chainlang.optimizer.group_by_model import group_by_model
from chainlang.optimizer.merge_samples import merge_samples
from chainlang.optimizer.order_by_prefix import order_by_prefix
from chainlang.optimizer.rewrite import ChainPass, Pass, PlanPass, Refused
from chainlang.optimizer.start_early import start_early
from chainlang.optimizer.stop_reply_early import stop_reply
from chainlang.optimizer.stop_vote_early import stop_vote
from chainlang.plan.steps import Plan

T = TypeVar("T", Expr, Plan)

CHAIN_PASSES: tuple[ChainPass, ...] = (
    fold_constants,  # first, so that other passes don't see what it removes
)
PLAN_PASSES: tuple[PlanPass, ...] = (
    drop_unread,  # first, so that other passes don't see what it removes
    merge_samples,  # before `stop_vote`, whose waves are merged like stages
    stop_vote,
    adaptive_consistency,  # after the exact rule, which it replaces
    early_stopping_consistency,  # applies to votes that no other rule ends
    ask_until_agreement,  # applies to votes on several models, which the rules above leave alone
    stop_reply,  # applies to the replies that are left
    share_equal_work,  # applies to the requests that are left
    fuse_functions,  # applies to functions that no other pass has removed
    start_early,  # after all that look for steps that follow each other
    order_by_prefix,  # applies to the requests that are left
    group_by_model,  # last: it changes how long rows wait, and no request
)
LOSSY: tuple[PlanPass, ...] = (
    adaptive_consistency,
    early_stopping_consistency,
    ask_until_agreement,
)
"""Passes that may change results. They run only if they are named, and add events to results."""
NAMES: tuple[str, ...] = tuple(one.__name__ for one in (*CHAIN_PASSES, *PLAN_PASSES))
"""Names of all passes, in order."""
DEFAULT: tuple[str, ...] = tuple(
    name for name in NAMES if name not in {one.__name__ for one in LOSSY}
)
"""Names of the passes that run by default: all exact ones."""

_RENAMED = {
    "cascade": "this pass is called ask_until_agreement; cascade(a, b, accept=...) is a combinator"
}


@frozen
class Applied:
    """Effect of one pass: the chain or plan before and after it, and its refusals."""

    name: str
    before: Expr | Plan
    after: Expr | Plan
    refused: tuple[Refused, ...] = ()

    @property
    def fired(self) -> bool:
        """Whether the pass changed anything."""
        return self.after is not self.before

    @property
    def lossy(self) -> bool:
        """Whether the pass may change results."""
        return self.name not in DEFAULT


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of passes, with ``default`` expanded; None is the same as ``default``.

    Raises `SettingError` for an unknown name.

    >>> set(chosen(["default", "adaptive_consistency"])) - set(DEFAULT)
    {'adaptive_consistency'}
    """
    if names is None:
        return DEFAULT
    known = ("default", *NAMES)
    raise_errors(
        unknown("pass", name, known, code="setting", hint=_RENAMED.get(name))
        for name in dict.fromkeys(names)
        if name not in known
    )
    wanted = {*names, *(DEFAULT if "default" in names else ())}
    return tuple(name for name in NAMES if name in wanted)


def applied(made: T, passes: Iterable[Pass[T]], names: Sequence[str]) -> tuple[T, list[Applied]]:
    """Apply the named passes to a chain or a plan; return the result and the effect of each."""
    done = []
    for one in passes:
        if one.__name__ in names:
            found = one(made)
            done.append(Applied(one.__name__, made, found.made, found.refused))
            made = found.made
    return made, done
