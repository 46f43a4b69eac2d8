"""From a program and settings to a plan that is ready to run: the one way of all front ends.

Calls, `map`, run folders and streams differ in where rows come from and where outcomes go. What
stands between is made here.
"""

from __future__ import annotations

from chainlang.analysis.program import Program
from chainlang.optimizer.compile import planned
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.prepared import Prepared
from chainlang.session.memory_plan import swapper_of
from chainlang.session.sample_cache import open_port_of
from chainlang.settings import RowSettings


def prepare(program: Program, settings: RowSettings, *, ordered: bool = True) -> Prepared:
    """Return a program ready to run: compiled, its models loaded, its cache of samples open.

    Raises `SettingError` for passes and outputs that there are not, `EngineError` for a model that
    can't be had, `SourceError` for a broken cache.
    """
    plan = planned(program, settings).plan
    swapper = swapper_of(plan, program.items, settings)
    return Prepared(
        plan,
        swapper.engines,
        seed=settings.seed,
        window=settings.window,
        ordered=ordered,
        limits=RunLimits.of(settings),
        open_port=open_port_of(settings),
        swapper=swapper,
    )
