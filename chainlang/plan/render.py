"""Plans as text, for people and for the run folder."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.ops.stages import Meaning, Vote
from chainlang.plan.steps import Count, Fork, Gather, Generate, Name, Plan, Repeat, Sequence, Step


def render(plan: Plan) -> str:
    """Return a plan as text, one step a line.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> print(render(lower(chain("(fr = 3:E:a & E) >> J:b").body)))
    models: a, tiny, b
    sequence
      gather
        name fr
          generate 3 × E  a  T=0.7  max_tokens=1024  at 0/fr
        generate 1 × E  tiny  T=0.7  max_tokens=1024  at 0/&1
      fold 1 × J  b  T=0  max_tokens=1024  schema  at 1
    """
    models = ", ".join(plan.models) or "none"
    return "\n".join([f"models: {models}", *_lines(plan.root, "")])


def _lines(step: Step, indent: str) -> Iterator[str]:
    inner = indent + "  "
    match step:
        case Generate(stage, place):
            yield f"{indent}{_stage(stage)}  at {'/'.join(place) or 'root'}"
        case Count(vote):
            yield f"{indent}{_vote(vote)}"
        case Sequence(steps) | Gather(steps):
            yield f"{indent}{type(step).__name__.lower()}"
            for one in steps:
                yield from _lines(one, inner)
        case Repeat(count, one):
            yield f"{indent}repeat {count} ×"
            yield from _lines(one, inner)
        case Fork(branches):
            yield f"{indent}fork"
            for name, one in branches:
                yield f"{inner}{name}:"
                yield from _lines(one, inner + "  ")
        case Name(name, one):
            yield f"{indent}name {name}"
            yield from _lines(one, inner)


def _stage(stage: Meaning) -> str:
    sampling = stage.sampling
    words = [
        f"{stage.kind} {stage.count} × {stage.name}",
        stage.model,
        f"T={sampling.temperature:g}",
        f"max_tokens={sampling.max_tokens}",
    ]
    words += ["schema"] if stage.returns is not None else []
    words += [f"need={stage.need}"] if stage.need is not None else []
    return "  ".join(words)


def _vote(vote: Vote) -> str:
    options = {"by": vote.by, "normalize": vote.normalize}
    return "  ".join(["vote", *(f"{name}={value}" for name, value in options.items() if value)])
