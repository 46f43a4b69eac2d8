"""Policies of a program: which model each of them chooses, before the run or for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from chainlang.analysis.program import Program, from_document
from chainlang.errors import ChainlangError, error_of
from chainlang.ir.declarations import Item, Model, Op, Setting
from chainlang.ir.model_settings import BASE
from chainlang.ir.nodes import Expr, Node, Stage
from chainlang.ir.visit import transform, walk
from chainlang.models.bandit import Bandit
from chainlang.models.facts import facts_of
from chainlang.models.lookup import lookup, policy_of, settings_models
from chainlang.models.policy import SIGN, Policy
from chainlang.models.select import Candidate, Selection, best, selected
from chainlang.optimizer.compile import planned
from chainlang.session.rewards import rewarded
from chainlang.settings import RowSettings
from chainlang.settings.engine import only

Use: TypeAlias = tuple[str, str]
"""Name of a policy or a model, and the type of the stages that name it."""


@frozen
class Choice:
    """Choice of a policy: one model for all rows, or one of some for each row."""

    name: str
    """Name of the policy, with the sign."""
    policy: Policy
    selection: Selection
    chosen: str | None
    """The model for all rows; None if the policy learns as the rows run."""
    means: Mapping[str, float] = field(factory=dict)
    """Mean reward of each model in the run that the policy has learnt from."""
    types: tuple[str, ...] = ()
    """Types of the stages that it is for: others need something else."""
    apart: bool = False
    """Whether the policy chooses another model for stages of other types."""

    @property
    def label(self) -> str:
        """The name of the policy, with the types of its stages if it has other choices."""
        return f"{self.name} of {', '.join(self.types)}" if self.apart else self.name

    @property
    def arms(self) -> tuple[str, ...]:
        """The models that it may choose."""
        return tuple(one.name for one in self.selection.fit)

    def lines(self) -> Iterator[str]:
        """Yield the choice and its reasons."""
        if self.chosen is None:
            how = f"{self.policy.strategy}, for each row; results depend on the order of the rows"
            yield f"{self.label}  {' or '.join(self.arms)}: {how}"
        else:
            yield f"{self.label}  {self.chosen}: {self.policy.strategy}"
        for what, numbers in (("score", self.selection.scores), ("reward", self.means)):
            for name, number in numbers.items():
                yield f"  {name}  {what} {number:.3f}"
        for name, reason in self.selection.ruled_out.items():
            yield f"  {name}  ruled out: {reason}"


def said(choices: Iterable[Choice]) -> dict[str, list[str]]:
    """Return the choice of each policy and its reasons, for the metadata of a run."""
    return {one.label: [*one.lines()] for one in choices}


def chosen_by(choices: Iterable[Choice]) -> dict[Use, str]:
    """Return the model that each use of a policy has for all rows."""
    return {(one.name, kind): one.chosen for one in choices if one.chosen for kind in one.types}


def policies_in(program: Program) -> tuple[str, ...]:
    """Return the names of the policies that a program uses, with the sign."""
    return tuple(sorted(name for name in program.models if name.startswith(SIGN)))


def choices_of(program: Program, settings: RowSettings) -> tuple[Choice, ...]:
    """Return what the policies of a program choose. Raises `SettingError` if there is no model."""
    if settings.model.startswith(SIGN):
        hint = f"write it in the stages: E:{settings.model}"
        message = f"a policy can't be the default model: {settings.model}"
        raise error_of("setting", message, hint, setting="model")
    if only(settings.engine) is not None:
        return ()
    return tuple(one for name in policies_in(program) for one in _choices(name, program, settings))


def _choices(name: str, program: Program, settings: RowSettings) -> list[Choice]:
    """Return the choices of a policy: one for stages with equal needs."""
    policy = policy_of(name, settings)
    declared = {one.name: one for one in program.items if isinstance(one, Model)}
    found = [_candidate(one, settings, declared) for one in policy.models]
    needs = _needs(name, program, settings)
    groups: dict[str, list[str]] = {}
    for kind, needed in needs.items():
        groups.setdefault("" if policy.is_online else repr(sorted(needed.items())), []).append(kind)
    made: list[Choice] = []
    for kinds in groups.values():
        together: dict[str, Any] = {}
        for kind in kinds:
            most = max(together.get("output", 0), needs[kind]["output"])
            together |= {**needs[kind], "output": most}
        selection = selected(policy, found, needs=together, name=name.removeprefix(SIGN))
        before = program.kept.get((name, kinds[0]))
        made.append(evolve(_choice(name, policy, selection, before, settings), types=tuple(kinds)))
    if len({one.chosen for one in made}) > 1:
        return [evolve(one, apart=True) for one in made]
    types = tuple(kind for one in made for kind in one.types)
    return [evolve(one, types=types) for one in made[-1:]]


def _choice(
    name: str,
    policy: Policy,
    selection: Selection,
    before: str | None,
    settings: RowSettings,
) -> Choice:
    if before in policy.models:
        return Choice(name, policy, selection, before)
    if policy.strategy == "weighted":
        return Choice(name, policy, selection, best(selection).name)
    if policy.learnt is None:
        return Choice(name, policy, selection, None)
    bandit = Bandit(policy, tuple(one.name for one in selection.fit))
    for arm, reward in rewarded(Path(policy.learnt), settings):
        bandit.learn(arm, reward)
    means = {one.name: bandit.mean(one.name) for one in selection.fit}
    return Choice(name, policy, selection, max(means, key=lambda one: means[one]), means)


def _candidate(name: str, settings: RowSettings, declared: Mapping[str, Model]) -> Candidate:
    found = lookup(name, settings, given=settings_models(settings), declared=declared)
    model = Model(name, "vllm", name) if found is None else found.model
    base = next((str(one.value) for one in model.settings if one.name == BASE), None)
    return Candidate(name, model, facts_of(model, settings), base)


def _needs(name: str, program: Program, settings: RowSettings) -> dict[str, dict[str, Any]]:
    """Return the facts that the stages of a policy need, by their types."""
    found: dict[str, dict[str, Any]] = {}
    for stage in planned(program, settings).naive.stages:
        if stage.model == name:
            needs = found.setdefault(stage.name, {})
            needs |= {"structured_output": True} if stage.returns is not None else {}
            needs |= {"images": True} if stage.images is not None else {}
            needs["output"] = max(needs.get("output", 0), stage.sampling.max_tokens)
    return found


def fixed(program: Program, settings: RowSettings) -> Program:
    """Return a program with what its policies choose for all rows, as a run folder keeps it."""
    chosen = chosen_by(choices_of(program, settings))
    return choosing(program, chosen) if chosen else program


def resumed(program: Program, folder: Path) -> Program:
    """Return a program whose policies keep what they chose when the run in a folder was started."""
    path = folder / "graph.json"
    if not policies_in(program) or not path.is_file():
        return program
    try:
        body, items = from_document(path.read_text(encoding="utf-8"))
    except (ChainlangError, OSError, ValueError):  # which the run says more about
        return program
    now, before = _uses(program.body, program.items), _uses(body, items)
    if [kind for _, kind in now] != [kind for _, kind in before]:
        return program
    pairs = [(use, model) for use, (model, _) in zip(now, before, strict=True) if use[0] != model]
    kept = dict(pairs)
    is_same = all(kept[use] == model for use, model in pairs)
    chosen = all(name.startswith(SIGN) and it[:1] != SIGN for (name, _), it in kept.items())
    return evolve(program, kept=kept) if kept and is_same and chosen else program


def _uses(body: Expr, items: Iterable[Item]) -> list[Use]:
    """Return the models that stages and ops name, with their types, in the order of the text."""
    found: list[Use] = []
    for root in (*items, body):
        for node in walk(root):
            match node:
                case Stage(name=kind, model=str(model)):
                    found.append((model, kind))
                case Op(name=kind, settings=settings):
                    named = (one.value for one in settings if one.name == "model")
                    found += ((str(model), kind) for model in named)
    return found


def choosing(program: Program, names: Mapping[Use, str]) -> Program:
    """Return a program with models in place of its policies; the same one for the same models."""

    def made() -> Program:
        body = transform(program.body, change)
        items = tuple(transform(one, change) for one in program.items)
        return evolve(program, body=body, items=items)

    def change(node: Node) -> Node:
        match node:
            case Stage(name=kind, model=str(model)) if (model, kind) in names:
                return evolve(node, model=names[model, kind])
            case Op(name=kind, settings=settings):
                changed = tuple(_named(one, kind, names) for one in settings)
                return node if changed == settings else evolve(node, settings=changed)
        return node

    return program.memo.get(("choosing", *sorted(names.items())), made)


def _named(setting: Setting, kind: str, names: Mapping[Use, str]) -> Setting:
    """Return a setting of an op, with the model that is chosen for it."""
    if setting.name != "model" or (str(setting.value), kind) not in names:
        return setting
    return evolve(setting, value=names[str(setting.value), kind])
