"""The passes and their order. Each line says why it stands where it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from attrs import frozen

from chainlang.diagnostics.suggest import unknown
from chainlang.errors import raise_errors
from chainlang.ir.nodes import Expr
from chainlang.optimizer.adaptive_consistency import adaptive_consistency
from chainlang.optimizer.cascade import cascade
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
    fold_constants,  # first: what it takes away need not be looked at again
)
PLAN_PASSES: tuple[PlanPass, ...] = (
    drop_unread,  # before what is dropped is made to start early
    start_early,  # before requests are counted together: it moves whole stages
    merge_samples,  # before the vote, whose waves are merged as a whole stage is
    stop_vote,
    adaptive_consistency,  # after the exact rule, which it replaces
    early_stopping_consistency,  # of the votes that no other rule ends
    cascade,  # of votes on several models, which the others leave alone
    stop_reply,  # of the replies that are left
    share_equal_work,  # of the requests that are left
    fuse_functions,  # those that no other pass has moved or dropped
    order_by_prefix,  # of those that are really asked
    group_by_model,  # last: it bears on what rows wait for, and on nothing that is asked
)
LOSSY: tuple[PlanPass, ...] = (adaptive_consistency, early_stopping_consistency, cascade)
"""Those that may change a result: they run where they are named, and results say that they did."""
NAMES: tuple[str, ...] = tuple(one.__name__ for one in (*CHAIN_PASSES, *PLAN_PASSES))
"""The names of all passes, in their order."""
DEFAULT: tuple[str, ...] = tuple(
    name for name in NAMES if name not in {one.__name__ for one in LOSSY}
)
"""The names of the passes that run unless it is said. None of them changes a result."""


@frozen
class Applied:
    """What one pass did: the chain or the plan before and after it, and what it refused."""

    name: str
    before: Expr | Plan
    after: Expr | Plan
    refused: tuple[Refused, ...] = ()

    @property
    def fired(self) -> bool:
        """Whether it changed anything."""
        return self.after is not self.before

    @property
    def lossy(self) -> bool:
        """Whether it may change a result."""
        return self.name not in DEFAULT


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of passes, with those that ``default`` stands for; None for these alone.

    Raises `SettingError` for names of passes that there are not.

    >>> set(chosen(["default", "adaptive_consistency"])) - set(DEFAULT)
    {'adaptive_consistency'}
    """
    if names is None:
        return DEFAULT
    known = ("default", *NAMES)
    raise_errors(
        unknown("pass", name, known, code="setting")
        for name in dict.fromkeys(names)
        if name not in known
    )
    wanted = {*names, *(DEFAULT if "default" in names else ())}
    return tuple(name for name in NAMES if name in wanted)


def applied(made: T, passes: Iterable[Pass[T]], names: Sequence[str]) -> tuple[T, list[Applied]]:
    """Return what the passes of these names make of a chain or a plan, and what each did."""
    done = []
    for one in passes:
        if one.__name__ in names:
            found = one(made)
            done.append(Applied(one.__name__, made, found.made, found.refused))
            made = found.made
    return made, done
