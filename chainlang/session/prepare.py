"""Preparation of a run from a program and settings, shared by calls, `map`, folders and streams."""

from __future__ import annotations

from datetime import date

from chainlang.analysis.program import Program
from chainlang.optimizer.compile import planned
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.prepared import Prepared
from chainlang.session.memory_plan import swapper_of
from chainlang.session.prices import prices_of
from chainlang.session.sample_cache import open_port_of
from chainlang.session.switching import switching
from chainlang.settings import RowSettings


def prepare(program: Program, settings: RowSettings, *, ordered: bool = True) -> Prepared:
    """Return a prepared run: compile the program, load its models, and open the sample cache.

    Raises `SettingError` for unknown passes and outputs, `EngineError` for an unavailable model,
    and `SourceError` for a damaged cache.
    """
    plan = planned(program, settings).plan
    prices = prices_of(plan, program.items, settings)
    swapper = swapper_of(plan, program.items, settings)
    return Prepared(
        plan,
        swapper.engines,
        seed=settings.seed,
        date=(settings.run_date or date.today()).isoformat(),
        window=settings.window,
        ordered=ordered,
        limits=RunLimits.of(settings),
        open_port=switching(open_port_of(settings), plan, swapper.engines),
        prices=prices,
        swapper=swapper,
    )
