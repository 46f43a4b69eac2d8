"""Rewards of rows, and the choices of an online policy, which a journal keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from chainlang.errors import error_of
from chainlang.models.bandit import Bandit
from chainlang.models.policy import Policy
from chainlang.plan.steps import Plan
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.semantics.combinators import value_of
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.record import Record
from chainlang.semantics.stage_error import StageError
from chainlang.session.result import result_of
from chainlang.settings import RowSettings

if TYPE_CHECKING:
    from chainlang.store.journal import Journal

CHOICE, REWARD = "choice:", "reward:"
"""Beginnings of the names of notes: the model of a row, and its reward with its number."""


@define(eq=False)
class OnlineChooser:
    """Chooses the plan of each row, by the rewards of the rows before.

    A choice is in the journal before the requests that follow from it.
    """

    policy: Policy
    plans: Mapping[str, Plan]
    """The plan with each model."""
    seed: int
    bandit: Bandit
    outputs: Outputs
    journal: Journal | None = None
    _chosen: dict[int, str] = field(factory=dict)
    """Models of rows in flight, and of all rows of an earlier process."""
    _rewarded: set[int] = field(factory=set)
    """Rows of an earlier process whose reward is known, and which may run again."""
    _learnt: int = 0

    def journaled(self, journal: Journal) -> OnlineChooser:
        """Return a chooser that knows the choices of a journal, and keeps its own there."""
        found = evolve(self, journal=journal, bandit=Bandit(self.policy, self.bandit.arms))
        for index, arm in _choices(journal):
            found._chosen[index] = arm
            found.bandit.begin(arm)
        for index, reward in _rewards(journal):
            found.bandit.learn(found._chosen[index], reward)
            found._rewarded.add(index)
            found._learnt += 1
        return found

    def plan(self, index: int, record: Record) -> Plan:
        """Return the plan of a row."""
        if index not in self._chosen:
            arm = self.bandit.choose(f"{self.seed} {record.id}")
            self.bandit.begin(arm)
            if self.journal is not None:
                self.journal.save({f"{CHOICE}{index:012}": arm})
            self._chosen[index] = arm
        return self.plans[self._chosen[index]]

    def learn(self, outcome: Outcome) -> None:
        """Count the reward of a row that is done."""
        arm = self._chosen.pop(outcome.index, None)
        if arm is None or outcome.index in self._rewarded:
            return
        reward = self._reward(outcome)
        self.bandit.learn(arm, reward)
        self._learnt += 1
        if self.journal is not None:
            self.journal.save({f"{REWARD}{self._learnt:012}": [outcome.index, arm, reward]})

    def _reward(self, outcome: Outcome) -> float:
        """Return the reward of a row, from 0 to 1; 0 if it failed.

        Raises `SettingError` for a reward that can't be had, which would be that of every row.
        """
        if outcome.failure is not None:
            return 0.0
        if callable(self.policy.reward):
            value: Any = self.policy.reward(result_of(outcome, self.outputs))
        elif self.policy.reward == "ok":
            value = 1.0
        elif not isinstance(outcome.flow, Record):
            message = (
                f"the reward {self.policy.reward!r} reads one result, and this chain has branches"
            )
            hint = "let the reward be a function of the result, which has its branches"
            raise error_of("setting", message, hint)
        else:
            try:
                value = value_of(str(self.policy.reward), outcome.flow, "reward=")
            except StageError as error:
                hint = "write an expression over the answer and the fields at the end of the chain"
                raise error_of("setting", str(error), hint) from error
        if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
            message = f"the reward of a policy is {value!r}, which is no number from 0 to 1"
            hint = "write a condition, as in reward=\"verdict == 'correct'\", or a number"
            raise error_of("setting", message, hint)
        return float(value)


def journaled(prepared: Prepared, journal: Journal) -> Prepared:
    """Return a prepared run whose policy keeps its choices in a journal, and knows those there."""
    chooser = prepared.chooser
    if not isinstance(chooser, OnlineChooser):
        return prepared
    return evolve(prepared, chooser=chooser.journaled(journal))


def _choices(journal: Journal) -> Iterator[tuple[int, str]]:
    for name, arm in journal.notes(CHOICE).items():
        yield int(name.removeprefix(CHOICE)), str(arm)


def _rewards(journal: Journal) -> Iterator[tuple[int, float]]:
    for index, _, reward in journal.notes(REWARD).values():
        yield int(index), float(reward)


def rewarded(folder: Path, settings: RowSettings) -> list[tuple[str, float]]:
    """Return the models and the rewards of the rows of a run folder, in the order of learning.

    Raises `SettingError` if it has none.
    """
    from chainlang.session.journal_home import home_of  # a call needs nothing of run folders
    from chainlang.store.journal_home import IN_FOLDER
    from chainlang.store.safe_files import Folder

    found: list[tuple[str, float]] = []
    if folder.is_dir():
        with ExitStack() as stack:
            root = stack.enter_context(closing(Folder.open(folder)))
            is_file = IN_FOLDER.holds(root)
            home = IN_FOLDER if is_file else stack.enter_context(home_of(settings, folder))
            if home.holds(root):
                journal = stack.enter_context(home.read(root))
                found = [(str(arm), float(one)) for _, arm, one in journal.notes(REWARD).values()]
    if not found:
        hint = 'name the folder of a run with an online policy: learnt="out"'
        raise error_of("setting", f"{folder} has no rewards to learn from", hint)
    return found
