"""Policies: rules that choose one of several models, written ``@name`` in place of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from attrs import field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.errors import SettingError
from chainlang.ir.model_facts import LISTS, NUMBERS, TRUTHS
from chainlang.semantics.expressions import faults

Strategy: TypeAlias = Literal["weighted", "ucb", "thompson"]
Reward: TypeAlias = str | Callable[[Any], float]
WEIGHTS = ("accuracy", "cost", "latency")
SIGN = "@"
"""Beginning of the name of a policy in place of a model."""


@frozen(repr=False)
class Policy:
    """A rule that chooses one of several models; `weighted`, `ucb` and `thompson` make one."""

    strategy: Strategy
    models: tuple[str, ...]
    """Names of the models that it chooses from, the first one first where all are equal."""
    weights: tuple[tuple[str, float], ...] = ()
    """Weights of accuracy, cost and latency."""
    exploration: float = 2.0
    """Factor of what is not known yet, for `ucb`."""
    reward: Reward | None = None
    """Expression over the record at the end of a row, or function of its result: from 0 to 1."""
    needs: tuple[tuple[str, Any], ...] = field(default=(), eq=repr)
    """Facts that a model must have: truth values, least numbers, and tasks."""
    learnt: str | None = None
    """Run folder whose rewards it has learnt from; None to learn as the rows run."""

    @property
    def is_online(self) -> bool:
        """Whether it learns as the rows run, so that its choices depend on their order."""
        return self.strategy != "weighted" and self.learnt is None

    def __repr__(self) -> str:
        return f"{self.strategy}({', '.join(self.models)})"

    @classmethod
    def of(cls, strategy: str, given: Mapping[str, Any], where: str) -> Policy:
        """Return the policy of some settings. Raises `SettingError` for what is wrong with them."""
        if strategy not in get_args(Strategy):
            known = get_args(Strategy)
            message = f"unknown strategy {shown(strategy)} in {where}"
            raise SettingError([Diagnostic("setting", message, hint=suggest(strategy, known))])
        wrong = [*_faults(strategy, given, where)]
        if wrong:
            raise SettingError(wrong)
        return cls(
            strategy,  # type: ignore[arg-type]  # checked above
            tuple(given["models"]),
            tuple(sorted((name, float(one)) for name, one in given.get("weights", {}).items())),
            float(given.get("exploration", 2.0)),
            given.get("reward"),
            tuple(sorted(given.get("needs", {}).items())),
            given.get("learnt"),
        )


_OF: Mapping[str, frozenset[str]] = {
    "weighted": frozenset({"models", "needs", "weights"}),
    "ucb": frozenset({"models", "needs", "reward", "learnt", "exploration"}),
    "thompson": frozenset({"models", "needs", "reward", "learnt"}),
}


def _faults(strategy: str, given: Mapping[str, Any], where: str) -> list[Diagnostic]:
    """Return what is wrong with the settings of a policy."""

    def fault(message: str, hint: str | None = None) -> Diagnostic:
        return Diagnostic("setting", f"{where}: {message}", hint=hint)

    known = sorted(_OF[strategy])
    found = [
        unknown("setting", name, known, code="setting", of=f" of {where}")
        for name in given
        if name not in known
    ]
    models = given.get("models", ())
    if not models or not all(isinstance(one, str) and one[:1] != SIGN for one in models):
        found.append(fault("it has no models to choose from", 'write models=["small", "big"]'))
    weights = given.get("weights", {})
    if strategy == "weighted" and not weights:
        hint = "write the weight of one or more: cost=0.6, accuracy=0.3, latency=0.1"
        found.append(fault("it has no weights", hint))
    found += (
        fault(f"invalid weight {name}={shown(one)}", f"weights are numbers of {', '.join(WEIGHTS)}")
        for name, one in weights.items()
        if name not in WEIGHTS or not _is_number(one)
    )
    if strategy != "weighted" and given.get("reward") is None and given.get("learnt") is None:
        hint = "say what is good: reward=\"verdict == 'correct'\", a number from 0 to 1"
        found.append(fault("it has no reward to learn from", hint))
    if isinstance(reward := given.get("reward"), str):
        found += (fault(f"reward: {one.message}", one.hint) for one in faults(reward))
    if not _is_number(given.get("exploration", 2.0)):
        found.append(fault(f"exploration can't be {shown(given['exploration'])}"))
    found += (
        fault(
            f"it can't need {name}={shown(one)}", f"known: {', '.join((*TRUTHS, *NUMBERS, *LISTS))}"
        )
        for name, one in given.get("needs", {}).items()
        if not _fits(name, one)
    )
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _fits(name: str, value: object) -> bool:
    if name in NUMBERS:
        return _is_number(value)
    if name in TRUTHS:
        return value is True
    several = [value] if isinstance(value, str) else value
    return (
        name in LISTS and isinstance(several, list | tuple) and {str}.issuperset(map(type, several))
    )


def weighted(
    models: Sequence[str], *, needs: Mapping[str, Any] | None = None, **weights: float
) -> Policy:
    """Return a policy that chooses by weights of `cost`, `accuracy` and `latency`, before a run.

    Each is scaled over the models that fit, from 0 for the worst to 1 for the best. `needs` are
    facts that a model must have.

    >>> weighted(["small", "big"], cost=0.6, accuracy=0.4)
    weighted(small, big)
    """
    given = {"models": models, "weights": weights, "needs": needs or {}}
    return Policy.of("weighted", given, "weighted()")


def ucb(models: Sequence[str], **settings: Any) -> Policy:
    """Return a policy that learns from rewards which model is best, by upper confidence bounds.

    `reward`: an expression over the record at the end of a row, or a function of its result: a
    truth value or a number from 0 to 1. `exploration`: factor of what is not known yet (default:
    2). `learnt`: folder of a finished run, whose best model it takes; without it the policy learns
    as the rows run, and its choices depend on their order. `needs`: as in `weighted`.
    """
    return Policy.of("ucb", {"models": models, **settings}, "ucb()")


def thompson(models: Sequence[str], **settings: Any) -> Policy:
    """Return a policy that learns as `ucb` does, by Thompson sampling, which explores less."""
    return Policy.of("thompson", {"models": models, **settings}, "thompson()")
