"""Names of the samples in a stream, so that several of them can be told apart."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from chainlang.errors import error_of
from chainlang.ir.row_settings import SAMPLES
from chainlang.plan.steps import Generate, Leaf
from chainlang.runtime.stream import Chunk
from chainlang.semantics.seeds import Place


@define
class SampleNames:
    """Adds the name of its sample to a chunk that follows one of another sample.

    A stream of a single sample has no names. With `sample`, it has that number alone.
    """

    steps: list[Leaf]
    sample: int | None = None
    _last: tuple[Place, int] | None = field(default=None, init=False)

    @staticmethod
    def of(steps: Iterable[Leaf], sample: int | None) -> SampleNames:
        """Return the names of the samples of streamed stages.

        Raises `OperandError` for a sample that none of them has.
        """
        found = list(steps)
        counts = [_count(one) for one in found]
        if sample is not None and all(one is not None and sample >= one for one in counts):
            most = max((one for one in counts if one is not None), default=0)
            known = "there is 0" if most == 1 else f"there are 0 to {most - 1}"
            raise error_of("operand", f"there is no sample {sample}", known, kind="option")
        return SampleNames(found, sample)

    def named(self, chunk: Chunk) -> Chunk | None:
        """Return the chunk with its name, where it needs one; None if its sample is left out."""
        number = _number(chunk)
        if self.sample is not None and number != self.sample:
            return None
        sample, before = (chunk.place, chunk.sample), self._last
        self._last = sample
        if sample == before or (before is None and not self._several):
            return chunk
        start = "" if before is None else "\n"
        return evolve(chunk, lead=f"{start}[{chunk.stage} {number}] ")

    @property
    def _several(self) -> bool:
        return len(self.steps) > 1 or (
            self.sample is None and any(_count(one) != 1 for one in self.steps)
        )


def _count(step: Leaf) -> int | None:
    """Return the number of samples of a step; None if it depends on the candidates before it."""
    if not isinstance(step, Generate):
        return 1
    is_open = step.stage.kind == "map" or step.stage.varies(SAMPLES)
    return None if is_open else step.stage.count


def _number(chunk: Chunk) -> int:
    """Return the number of a sample among those of its stage: of its candidate, in a map."""
    last = chunk.place[-1] if chunk.place else ""
    return int(last[1:]) if last[:1] == "c" and last[1:].isdigit() else chunk.sample
