"""Usage by stage and by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import frozen

from chainlang.protocol.messages import Completion, Failure, Usage

Name = TypeVar("Name")


@frozen
class Usages:
    """Usage of each stage and model. Usages can be added.

    >>> found = Usages({("E", "a"): Usage(3, 30), ("J", "b"): Usage(1, 50)})
    >>> (found + Usages({("E", "b"): Usage(2, 20)})).by_model()
    {'a': Usage(calls=3, prompt_tokens=30, cached_tokens=0, output_tokens=0),
     'b': Usage(calls=3, prompt_tokens=70, cached_tokens=0, output_tokens=0)}
    """

    parts: Mapping[tuple[str, str], Usage] = {}
    """Usage by the names of a stage and of its model; both are empty where they are unknown."""

    def __add__(self, other: Usages) -> Usages:
        if not other.parts:
            return self
        return Usages.of((*self.parts.items(), *other.parts.items()))

    @property
    def total(self) -> Usage:
        """The sum over all stages."""
        return Usage.total(self.parts.values())

    def by_stage(self) -> dict[str, Usage]:
        """Return the usage of each stage, over its models."""
        return _summed((stage, usage) for (stage, _), usage in self.parts.items())

    def by_model(self) -> dict[str, Usage]:
        """Return the usage of each model, over the stages."""
        return _summed((model, usage) for (_, model), usage in self.parts.items())

    def note(self) -> list[list[Any]]:
        """Return the usages as JSON values."""
        return [[*names, usage.as_json()] for names, usage in self.parts.items()]

    @classmethod
    def noted(cls, note: Iterable[list[Any]]) -> Usages:
        """Return the usages of a note."""
        return cls({(stage, model): Usage.of_json(usage) for stage, model, usage in note})

    @classmethod
    def of(cls, several: Iterable[tuple[tuple[str, str], Usage]]) -> Usages:
        """Return the sum of the usages of stages and models."""
        parts = [*several]
        return cls(dict(parts) if len(parts) == 1 and parts[0][0] else _summed(parts))


def used(
    stage: str, model: str, reply: Completion | Failure
) -> list[tuple[tuple[str, str], Usage]]:
    """Return the usage of a reply to a stage by model, its own model first.

    >>> reply = Completion("1", (), Usage(3, 30), (("b", Usage(1, 10)),))
    >>> [(names, usage.calls) for names, usage in used("E", "a", reply)]
    [(('E', 'a'), 2), (('E', 'b'), 1)]
    """
    own, parts = reply.usage, reply.others if isinstance(reply, Completion) else ()
    if not parts:
        return [((stage, model), own)]
    for _, usage in parts:
        own -= usage
    others = [((stage, name), usage) for name, usage in parts]
    return others if own == Usage() else [((stage, model), own), *others]


def _summed(several: Iterable[tuple[Name, Usage]]) -> dict[Name, Usage]:
    found: dict[Name, list[Usage]] = {}
    for name, usage in several:
        if name in found:
            found[name].append(usage)
        else:
            found[name] = [usage]
    return {
        name: usages[0] if len(usages) == 1 else Usage.total(usages)
        for name, usages in found.items()
        if name
    }
