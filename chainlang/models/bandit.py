"""Bandits: which model comes next, by the rewards of those before."""

from __future__ import annotations

import hashlib
import math
import random

from attrs import define, field

from chainlang.models.policy import Policy


@define(eq=False)
class Bandit:
    """The rewards of each model of a policy so far, and the choice that follows from them.

    >>> from chainlang.models.policy import ucb
    >>> bandit = Bandit(ucb(["a", "b"], reward="ok"), ("a", "b"))
    >>> bandit.choose("first"), bandit.begin("a"), bandit.choose("second")
    ('a', None, 'b')
    """

    policy: Policy
    arms: tuple[str, ...]
    attempts: dict[str, int] = field(factory=dict)
    """Rows that were begun with each model."""
    rewarded: dict[str, int] = field(factory=dict)
    """Rows whose reward is known."""
    rewards: dict[str, float] = field(factory=dict)
    """Sum of the rewards of each model."""

    def choose(self, key: str) -> str:
        """Return the model for the next row. `key` is a function of the run's seed and the row.

        Of equal models the first one is chosen.
        """
        if len(self.arms) == 1:
            return self.arms[0]
        if self.policy.strategy == "ucb":  # an untried model is first
            return max(self.arms, key=self.bound)
        text = f"{key} {sum(self.rewarded.values())}".encode()
        chance = random.Random(hashlib.blake2b(text, digest_size=8).digest())  # noqa: S311
        return max(self.arms, key=lambda one: self._sampled(one, chance))

    def bound(self, arm: str) -> float:
        """Return the upper confidence bound of a model: mean, and factor of what is not known."""
        own = self.attempts.get(arm, 0)
        if not own:
            return math.inf
        every = sum(self.attempts.values())
        return self.mean(arm) + self.policy.exploration * math.sqrt(math.log(every + 1) / own)

    def mean(self, arm: str) -> float:
        """Return the mean reward of a model; 0 before the first one."""
        return self.rewards.get(arm, 0.0) / max(1, self.rewarded.get(arm, 0))

    def _sampled(self, arm: str, chance: random.Random) -> float:
        """Return a sample of what is believed of a model, but not less than its mean.

        That is optimistic Thompson sampling, which loses less than the plain one.
        """
        good, tried = 1 + self.rewards.get(arm, 0.0), 2 + self.rewarded.get(arm, 0)
        return max(chance.betavariate(good, tried - good), good / tried)

    def begin(self, arm: str) -> None:
        """Count a row that begins with a model."""
        self.attempts[arm] = self.attempts.get(arm, 0) + 1

    def learn(self, arm: str, reward: float) -> None:
        """Count the reward of a row."""
        self.rewarded[arm] = self.rewarded.get(arm, 0) + 1
        self.rewards[arm] = self.rewards.get(arm, 0.0) + reward
