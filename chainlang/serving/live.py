"""Live chains: those whose answer is the text of one reply, which can be sent as it comes."""

from __future__ import annotations

from chainlang.plan.steps import Generate, Graph, Name, Plan, Sequence, Step, Timeout
from chainlang.semantics.combinators import ONCE
from chainlang.semantics.stages import Meaning


def is_live(plan: Plan) -> bool:
    """Return whether the text of the last stage is the answer, sample by sample and for good.

    A typed reply is JSON with an answer in it; one of several samples may fail while the others
    go on; a retry, a loop or another model may replace what was sent.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [is_live(lower(chain(text).body)) for text in ("3:E >> E", "E >> J", "3:E", "E >> V")]
    [True, False, False, False]
    """
    step: Step = plan.root
    while not isinstance(step, Generate):
        match step:
            case Graph(inside) | Name(_, inside) | Timeout(inside):
                step = inside
            case Sequence(steps):
                step = steps[-1]
            case _:
                return False
    return step.tries == ONCE and _is_text(step.stage)


def _is_text(stage: Meaning) -> bool:
    """Return whether a stage has one sample, whose whole text is its answer."""
    is_plain = stage.returns is None and stage.answer is None and stage.replies is None
    return is_plain and stage.count == 1 and stage.kind != "map" and not stage.fallbacks
