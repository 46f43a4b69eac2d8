"""The steps of a plan. A plan is the same for every row; running it is the runtime's business.

Where a step runs several times for a row, the places inside it hold a star for the number: ``&*``
for the run of a repeat, ``!*`` for an attempt, ``+*`` for a round, ``#*`` for an item.
"""

from __future__ import annotations

from attrs import field, frozen

from chainlang.diagnostics.source import Span
from chainlang.semantics.combinators import ONCE, Tries
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.outputs import EVERYTHING, Outputs
from chainlang.semantics.seeds import Place
from chainlang.semantics.stages import Meaning, Vote
from chainlang.semantics.stopping_rules import Rule

LARGEST_REQUEST = 256
"""Samples that one request asks for; a wider stage asks several times."""


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
    tries: Tries = ONCE
    """How often a sample that failed is drawn again."""
    together: bool = False
    """Whether all samples of a prompt are asked for by one request."""
    shared: bool = False
    """Whether the reply to an equal request will do, wherever that is asked."""
    until_decided: bool = False
    """Whether a reply may end once only one value of its type is left."""


@frozen
class Count(Step):
    """Vote."""

    vote: Vote
    place: Place


@frozen
class Call(Step):
    """Call a function of the user: once, or once for each candidate."""

    function: UserFunction
    place: Place
    tries: Tries = ONCE
    """How often a call that failed is made again."""
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Sequence(Step):
    """One step after another, each reading what the one before it left."""

    steps: tuple[Step, ...]


@frozen
class Fused(Step):
    """Functions and votes, one after the other, none of which waits for anything."""

    steps: tuple[Step, ...]


@frozen
class Overlap(Step):
    """Steps of a sequence that do not read each other, run together; the last's candidates stay."""

    steps: tuple[Step, ...]


@frozen
class Decide(Step):
    """Samples and the vote on them; none is drawn after a rule says that the vote is over."""

    generate: Generate
    count: Count
    rule: Rule = "exact"
    """By the exact rule, what is left could not change its winner."""


@frozen
class Cascade(Step):
    """Operands of a vote, one after the other; none is run after those before it agree."""

    steps: tuple[Step, ...]
    count: Count


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
    own: bool = False
    """Whether it is the name of the op, and no label."""


@frozen
class Fallback(Step):
    """The first of several steps that does not fail."""

    steps: tuple[Step, ...]
    places: tuple[Place, ...]
    """Of each step."""


@frozen
class Retry(Step):
    """A step, and again as a whole if it fails."""

    step: Step
    tries: Tries
    place: Place


@frozen
class Timeout(Step):
    """A step that fails if it takes too long."""

    step: Step
    seconds: float
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Route(Step):
    """One of several steps, which a value of the record chooses."""

    by: str | Call
    arms: tuple[tuple[str, Step], ...]
    default: Step | None
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Loop(Step):
    """A step again and again, each time on what it left, until a condition holds."""

    step: Step
    until: str | Call
    most: int
    mark: str
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Each(Step):
    """A step for each item of a list at the same time; the candidates are joined in order."""

    step: Step
    over: str
    item: str
    most: int
    """Items at most."""
    mark: str
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Plan:
    """What to do for each row, and the models it needs, in the order of their first use."""

    root: Step
    models: tuple[str, ...] = field(default=())
    outputs: Outputs = EVERYTHING
    """What of the results is looked at."""
    rows_once: bool = False
    """Whether equal rows are taken through it once."""
    by_prefix: bool = False
    """Whether requests that are ready together are asked in the order of their prompts."""
    lossy: tuple[str, ...] = ()
    """The passes that may have changed what a row becomes."""
    by_model: bool = False
    """Whether many rows share the loading of a model, where not all fit into the memory."""
