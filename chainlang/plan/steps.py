"""Steps of a plan, which is the same for every row; the runtime runs it.

If a step runs several times for a row, the places inside it have a star for the number: ``&*`` for
the run of a repeat, ``!*`` for an attempt, ``+*`` for a round, ``#*`` for an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import field, frozen

from chainlang.analysis.memo import Memo
from chainlang.diagnostics.source import Span
from chainlang.semantics.combinators import ONCE, RetryPolicy
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.given_fields import GivenField
from chainlang.semantics.outputs import EVERYTHING, Outputs
from chainlang.semantics.seeds import Place
from chainlang.semantics.stages import Meaning, Vote
from chainlang.semantics.stopping_rules import Rule

ASKED = {"asked": True}
"""Of a field: what a step asks of a record by itself. It is no step inside it."""
LARGEST_REQUEST = 256
"""Maximum number of samples of one request; stages with more send several requests."""


@frozen
class Generate:
    """Request `stage.count` samples from a model: once, or once for each candidate."""

    stage: Meaning
    place: Place
    tries: RetryPolicy = ONCE
    """Retry policy of failed samples."""
    together: bool = False
    """Whether one request asks for all samples of a prompt."""
    shared: bool = False
    """Whether requests are deduplicated with equal ones."""
    until_decided: bool = False
    """Whether a reply may be stopped once its type allows a single value."""
    arms: tuple[str, ...] = field(default=(), kw_only=True)
    """Keys of the arms of routes around it, the outermost first."""


@frozen
class Count:
    """Count the votes of the candidates."""

    vote: Vote
    place: Place
    arms: tuple[str, ...] = field(default=(), kw_only=True)


@frozen
class Call:
    """Call a Python function: once, or once for each candidate."""

    function: UserFunction
    place: Place
    tries: RetryPolicy = ONCE
    """Retry policy of failed calls."""
    of: tuple[str, ...] = ()
    """Named parts whose candidates it reads; empty for those of the step before it."""
    arms: tuple[str, ...] = field(default=(), kw_only=True)
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Sequence:
    """Run steps one after another; each reads the candidates of the one before it."""

    steps: tuple[Step, ...]


@frozen
class Fused:
    """Run functions and votes that never wait, one after another, without the scheduler."""

    steps: tuple[Step, ...]


@frozen(eq=False)  # equal ones may have other functions and spans, and what is derived is cached
class Graph:
    """Run each step inside once what it reads is there (`plan/graph.py`)."""

    step: Step
    """Sequences, joins, branches and names, around the nodes of the graph."""


@frozen
class Decide:
    """Request samples and vote on them, in waves, until a rule ends the vote."""

    generate: Generate
    count: Count
    rule: Rule = "exact"
    """The exact rule ends the vote once the remaining samples can't change the winner."""


@frozen
class AskUntilAgreement:
    """Run the operands of a vote one after another, until all answers so far agree."""

    steps: tuple[Step, ...]
    count: Count


@frozen
class Gather:
    """Run steps in parallel on the same record; join their candidates in order."""

    steps: tuple[Step, ...]


@frozen
class Repeat:
    """Run a step several times in parallel, with different samples; join the candidates."""

    count: int
    step: Step
    first: int
    """Position of the first run among the operands of its join."""


@frozen
class Fork:
    """Run steps in parallel on the same record; each has a result of its own, by name."""

    steps: tuple[tuple[str, Step], ...]


@frozen
class Name:
    """Run a step and store its output in the record under a name."""

    name: str
    step: Step
    own: bool = False
    """Whether the name is that of the op, rather than a label."""


@frozen
class Fallback:
    """Run steps one after another until one does not fail."""

    steps: tuple[Step, ...]
    places: tuple[Place, ...]
    """Place of each step."""
    on: frozenset[str] | None = None
    """Causes of failure after which the next step runs; None for all."""


@frozen
class Cascade:
    """Run steps one after another until the result of one is accepted."""

    steps: tuple[Step, ...]
    accept: str | Call = field(metadata=ASKED)
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Retry:
    """Run a step, and run it again as a whole if it fails."""

    step: Step
    tries: RetryPolicy
    place: Place


@frozen
class Timeout:
    """Run a step, and fail if it takes too long."""

    step: Step
    seconds: float
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Route:
    """Run the step that a value of the record selects."""

    by: str | Call = field(metadata=ASKED)
    arms: tuple[tuple[str, Step], ...]
    default: Step | None
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Loop:
    """Repeat a step on its own output until a condition holds."""

    step: Step
    until: str | Call = field(metadata=ASKED)
    most: int
    mark: str
    place: Place
    counts: bool
    """Whether something inside may read the number of the round."""
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Each:
    """Run a step for each item of a list in parallel; join the candidates in order."""

    step: Step
    over: str = field(metadata=ASKED)
    item: str
    most: int
    """Maximum number of items."""
    mark: str
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class WithFields:
    """Run a step with fields in place of those of the row."""

    step: Step
    fields: tuple[GivenField, ...]
    place: Place
    span: Span | None = field(default=None, eq=False, repr=False)


Leaf: TypeAlias = Generate | Count | Call
"""The steps that make candidates."""
Step: TypeAlias = (
    Leaf
    | Sequence
    | Fused
    | Graph
    | Decide
    | AskUntilAgreement
    | Gather
    | Repeat
    | Fork
    | Name
    | Fallback
    | Cascade
    | Retry
    | Timeout
    | Route
    | Loop
    | Each
    | WithFields
)
"""One thing to do for a row."""


@frozen
class Plan:
    """Execution plan of a row, with its models in the order of their first use."""

    root: Step
    models: tuple[str, ...] = field(default=())
    stages: tuple[Meaning, ...] = field(default=(), kw_only=True)
    """Stages that ask a model, in the order of the chain."""
    outputs: Outputs = EVERYTHING
    """Parts of the results that the caller reads."""
    shares: bool = False
    """Whether equal requests share a reply."""
    rows_once: bool = False
    """Whether equal rows are deduplicated."""
    row_budget: bool = False
    """Whether the calls or tokens of a row are limited."""
    by_prefix: bool = False
    """Whether requests that are ready together are ordered by prompt."""
    lossy: tuple[str, ...] = ()
    """Names of the lossy passes that have changed the plan."""
    by_model: bool = False
    """Whether the work of many rows is grouped by model, if not all models fit into memory."""
    memo: Memo = field(factory=Memo, init=False, eq=False, repr=False)
    """Cache of what is computed from the plan."""

    @property
    def adapters(self) -> Mapping[str, str]:
        """The LoRA adapter of each model that has one."""
        asked = (
            one for stage in self.stages for one in ((stage.model, stage.adapter), *stage.fallbacks)
        )
        return {model: adapter for model, adapter in asked if adapter}
