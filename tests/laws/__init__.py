"""The laws of DESIGN.md, each a short test over random nodes.

CI tries each law with 2,000 examples, a plain `pytest` with 200. Those of CI are the same each
time, so that it says what a change has broken and not what was found by chance; `make search` looks
for that, in 2,000 that are new each time. `HYPOTHESIS_PROFILE` chooses ``laws``, ``laws-ci`` or
``laws-search`` by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

_QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
for _name, _examples, _same in (
    ("laws", 200, False),
    ("laws-ci", 2000, True),
    ("laws-search", 2000, False),
):
    settings.register_profile(
        _name,
        max_examples=_examples,
        derandomize=_same,
        print_blob=True,
        phases=tuple(phase for phase in Phase if phase is not Phase.explain),
        suppress_health_check=_QUIET,
    )
_CHOSEN = os.environ.get("HYPOTHESIS_PROFILE", "laws-ci" if os.environ.get("CI") else "laws")

Test = Callable[..., None]


def law(*given_by: SearchStrategy[Any], share: int = 1) -> Callable[[Test], Test]:
    """Make a test a law: it holds for everything that the strategies give.

    `share` divides the examples, for a law whose one example costs as much as many.
    """
    profile = settings.get_profile(_CHOSEN)
    chosen = settings(profile, max_examples=profile.max_examples // share)
    return lambda test: chosen(given(*given_by)(test))
