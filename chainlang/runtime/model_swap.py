"""Model swapping: loads and unloads models that do not fit into memory together.

A request for a model that is not loaded waits in its port. Models are swapped only if all requests
in flight wait, so each model does all its work for the rows in flight before it is unloaded.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from weakref import WeakSet

from attrs import define, field

from chainlang.engines.protocol import Engine, Loadable, is_loadable
from chainlang.interrupts import check
from chainlang.plan.model_schedule import Residency
from chainlang.runtime.ports.port import unload

SWAP_FACTOR = 32
"""Factor by which the window grows if models are swapped: loading a model takes seconds to minutes,
so many rows should share it."""

_KNOWN: WeakSet[Loadable] = WeakSet()
_NONE = Residency({}, sys.maxsize, ((),), 0)
"""Residency of models that take no memory here."""
_SWAPPING = threading.RLock()


@define(eq=False)
class Swapper:
    """Loads and unloads the models of a run. Models of earlier runs are unloaded first.

    >>> from chainlang.engines.fake import FakeEngine
    >>> a, b = FakeEngine(size=6), FakeEngine(size=6)
    >>> phases = (("a",), ("b",), ("a",))
    >>> swapper = Swapper(Residency({"a": 6, "b": 6}, 8, phases), {"a": a, "b": b})
    >>> swapper.begin()
    >>> swapper.swap([a])
    >>> swapper.swap([b])
    >>> a.loaded, b.loaded, swapper.loads
    (False, True, 2)
    """

    residency: Residency
    engines: Mapping[str, Engine]
    """Engine of each model."""
    load: Callable[[str, Loadable], None] = field(default=lambda _, engine: engine.load())
    """Function that loads a model."""
    loads: int = 0
    """Number of loads in the run."""
    _at: int = 0
    """Phase whose models were loaded last."""

    @staticmethod
    def loaded(engines: Mapping[str, Engine]) -> Swapper:
        """Return a swapper with all models loaded, regardless of memory."""
        several = tuple(_several(engines))
        sizes = {name: size.total for name, one in several if (size := one.size) and size.total}
        residency = Residency(sizes, sys.maxsize, (tuple(sizes),), len(sizes)) if sizes else _NONE
        swapper = Swapper(residency, engines)
        swapper._begin(several)
        return swapper

    @property
    def changes(self) -> bool:
        """Whether the models do not fit together."""
        return not self.residency.together

    def begin(self) -> None:
        """Load all models if they fit together; else each is loaded on its first request."""
        self._begin(tuple(_several(self.engines)))

    def _begin(self, several: tuple[tuple[str, Loadable], ...]) -> None:
        if not several:
            return
        _KNOWN.update([one for _, one in several if one.size is None or one.size.total])
        if self.changes:
            self._make_room(0, self.residency.phases[0])
            return
        for name, engine in several:
            if not engine.loaded:
                self._bring(name, engine, self.residency.sizes)

    def swap(self, waiting: Collection[Engine]) -> None:
        """Load the requested models of the next phase that has any.

        The engines of this run must have no requests in flight.
        """
        ids = {id(engine) for engine in waiting}
        asked = {
            name: engine
            for name, engine in _several(self.engines)
            if not engine.loaded and id(engine) in ids
        }
        group = self._group(asked)
        for name, engine in asked.items():
            if name in group:
                self._bring(name, engine, group)

    def _group(self, asked: Iterable[str]) -> tuple[str, ...]:
        phases = self.residency.phases
        for further in range(len(phases)):
            at = (self._at + further) % len(phases)
            if any(name in phases[at] for name in asked):
                self._at = at
                return phases[at]
        return tuple(asked)[:1]

    def _bring(self, name: str, engine: Loadable, group: Collection[str]) -> None:
        """Load a model; unload others that are not in the group until it fits."""
        with _SWAPPING:
            self._make_room(self.residency.sizes.get(name, 0), group)
            try:
                self.load(name, engine)
            finally:
                check()  # loading may have swallowed a Ctrl-C
            self.loads += 1

    def _make_room(self, size: int, group: Collection[str]) -> None:
        for other in self._others(group):
            if _held() + size <= self.residency.memory:
                break
            unload(other)

    def _others(self, group: Collection[str]) -> list[Loadable]:
        """Return the loaded models outside a group, those of other runs first."""
        own = {id(engine): name for name, engine in _several(self.engines)}
        found = [one for one in _KNOWN if one.loaded and own.get(id(one)) not in group]
        return sorted(found, key=lambda one: id(one) in own)


def _held() -> int:
    """Return the memory of the loaded models, in bytes."""
    return sum(one.size.total for one in _KNOWN if one.loaded and one.size is not None)


def _several(engines: Mapping[str, Engine]) -> Iterator[tuple[str, Loadable]]:
    """Yield each loadable engine once, with its first model."""
    seen = set[int]()
    for name, engine in engines.items():
        if is_loadable(engine) and id(engine) not in seen:
            seen.add(id(engine))
            yield name, engine
