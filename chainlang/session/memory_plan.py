"""Memory of the models of a plan, and their swapper."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping

from attrs import field, frozen

from chainlang import tiny
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.engines.protocol import Engine, Loadable, Size, is_loadable
from chainlang.engines.vllm import memory_size
from chainlang.errors import EngineError, error_of
from chainlang.interrupts import loading
from chainlang.ir.declarations import Item, Model
from chainlang.models.facts import facts_of
from chainlang.models.open_engines import of_base
from chainlang.plan.model_schedule import Residency, residency
from chainlang.plan.steps import Plan
from chainlang.protocol.programs import sandbox_of
from chainlang.runtime.model_swap import Swapper
from chainlang.session.engine_pool import adapters_beside, engines_of, located, wanted
from chainlang.session.warm_models import warmed
from chainlang.settings import RowSettings


@frozen
class Memory:
    """Memory of the models of a plan, and the models that are loaded together."""

    needs: Mapping[str, Size | None]
    """Size of each model that is loaded on this machine, in the order of first use; None if it is
    unknown before its files are downloaded."""
    residency: Residency
    chosen: bool = False
    """Whether the amount of memory is set by `memory=`; otherwise it is that of the device."""
    same: Mapping[str, str] = field(factory=dict)
    """First name of each model, by its other names."""


def memory_of(plan: Plan, named: Mapping[str, Engine | Model], settings: RowSettings) -> Memory:
    """Return the memory of the models of a plan, without loading models or creating engines.

    Without `memory=`, a model that is larger than the device counts as all of its memory, and its
    engine decides whether it can be loaded.
    """
    first: dict[Hashable, str] = {}
    same: dict[str, str] = {}
    needs: dict[str, Size | None] = {}
    for name, one in named.items():
        same[name] = first.setdefault(_identity(one), name)
        size = _size(one, named)
        if same[name] == name and (size is None or size.total):
            needs[name] = size
    sizes = {name: size.total for name, size in needs.items() if size is not None}
    memory = int(settings.memory or 0)
    if settings.memory is None:
        memory = memory_size.device_memory() if sizes else 0
        sizes = {name: min(size, memory) for name, size in sizes.items()}
    found = residency(plan.root, sizes, memory, same)
    return Memory(needs, found, settings.memory is not None, same)


def swapper_of(plan: Plan, declared: Iterable[Item], settings: RowSettings) -> Swapper:
    """Return the model swapper of a plan; models that fit together are loaded.

    Raises `EngineError` for a model that is unavailable, or too large for the memory.
    """
    declared = tuple(declared)
    named = warmed(plan, wanted(plan, declared, settings), settings)
    if all(map(_takes_no_memory, named.values())):
        return Swapper.loaded(engines_of(plan, named, declared, settings))
    memory = memory_of(plan, named, settings)
    for name in memory.residency.too_large:
        with located(plan, name, named[name]):
            raise EngineError([_too_large(name, memory)])
    engines = engines_of(plan, named, declared, settings)
    for name, size in memory.needs.items():
        if memory.chosen and size is None:
            what = f"how much memory the model {name!r} needs can't be known before it is here"
            with located(plan, name, named[name]):
                raise error_of("engine", what, _fetch(named[name]))

    def load(name: str, engine: Loadable) -> None:
        with located(plan, name, named[name]):
            engine.load(settings.say)

    swapper = Swapper(memory.residency, engines, load)
    with loading():
        swapper.begin()
    return swapper


def _identity(one: Engine | Model) -> Hashable:
    """Return a key that is equal for two names of one model."""
    if isinstance(one, Model):
        return (one.engine, one.source, *((it.name, repr(it.value)) for it in of_base(one)))
    return id(one)


def _size(one: Engine | Model, named: Mapping[str, Engine | Model]) -> Size | None:
    """Return the size of a model with the adapters that share its engine."""
    if not isinstance(one, Model):
        return one.size if is_loadable(one) else Size(0)
    if one.engine != "vllm":
        return Size(0)
    settings = {it.name: it.value for it in of_base(one)}
    return memory_size.size(os.fspath(_source(one)), settings, adapters_beside(one, named))


def contexts_of(named: Mapping[str, Engine | Model]) -> dict[str, int | None]:
    """Return the context of each model in tokens, as far as it is known without loading it."""
    return {name: _context(one) for name, one in named.items() if sandbox_of(name) is None}


def _context(one: Engine | Model) -> int | None:
    if not isinstance(one, Model):
        ready = not is_loadable(one) or one.loaded
        return one.reader.context if ready and one.reader is not None else None
    settings = {it.name: it.value for it in one.settings}
    if one.engine == "vllm":
        return memory_size.context(os.fspath(_source(one)), settings)
    known = facts_of(one).get("context")
    return None if known is None else int(known.value)


def _source(one: Model) -> str | os.PathLike[str]:
    return tiny.path() if one.source == tiny.NAME else one.source


def _takes_no_memory(one: Engine | Model) -> bool:
    size = None if isinstance(one, Model) else _size(one, {})
    return size is not None and size.total == 0


def _too_large(name: str, memory: Memory) -> Diagnostic:
    size = memory.needs[name]
    assert size is not None
    what = (
        f"the model {name!r} needs {amount(size.total)} of memory ({parts(size)}), and there are "
        f"{amount(memory.residency.memory)}"
    )
    smaller = (
        "give its `model` a smaller max_model_len, which takes less cache" if size.cache else ""
    )
    hints = ["raise memory=, if this machine has more", smaller, "or name a smaller model"]
    return Diagnostic("engine", what, hint="\n".join(filter(None, hints)))


def _fetch(one: Engine | Model) -> str:
    if isinstance(one, Model):
        return f"run: hf download {one.source}\nor leave memory= out"
    return "leave memory= out"


def parts(size: Size) -> str:
    """Return the components of a size, for messages."""
    return ", ".join(_parts(size))


def _parts(size: Size) -> Iterator[str]:
    yield f"weights {amount(size.weights)}"
    if size.cache:
        yield f"cache {amount(size.cache)}"
    if size.other:
        yield f"besides {amount(size.other)}"


def amount(number: int) -> str:
    """Return a number of bytes with a unit.

    >>> amount(5), amount(1536), amount(8 << 30)
    ('5 B', '1.5 KiB', '8 GiB')
    """
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if number >= 1 << power:
            return f"{number / (1 << power):.1f}".removesuffix(".0") + f" {unit}"
    return f"{number} B"
