"""The steps of a plan. A plan is the same for every row; running it is the runtime's business."""

from __future__ import annotations

from attrs import field, frozen

from chainlang.ops.stages import Meaning, Vote
from chainlang.places import Place


@frozen
class Step:
    """One thing to do for a row."""


@frozen
class Generate(Step):
    """Ask a model: once, or once for each candidate, `stage.count` samples each time."""

    stage: Meaning
    place: Place
    depth: int
    """How many stages a row has behind it here; the runtime prefers later ones."""


@frozen
class Count(Step):
    """Vote."""

    vote: Vote
    place: Place


@frozen
class Sequence(Step):
    """One step after another, each reading what the one before it left."""

    steps: tuple[Step, ...]


@frozen
class Gather(Step):
    """Steps that read the same record at the same time; their candidates are joined in order."""

    steps: tuple[Step, ...]


@frozen
class Repeat(Step):
    """The same step several times at the same time, joined; each run draws for itself."""

    count: int
    step: Step
    first: int
    """The position of the first run among its neighbours."""


@frozen
class Fork(Step):
    """Steps that read the same record at the same time; their results stay apart, by name."""

    steps: tuple[tuple[str, Step], ...]


@frozen
class Name(Step):
    """Give the output of a step a name in the record."""

    name: str
    step: Step


@frozen
class Plan:
    """What to do for each row, and the models it needs, in the order of their first use."""

    root: Step
    models: tuple[str, ...] = field(default=())
