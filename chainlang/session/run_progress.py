"""The meter of a run, as the setting `progress` asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from chainlang.display.progress import EVERY, Meter
from chainlang.display.progress_displays import NotebookCell, is_notebook, standard_display
from chainlang.settings import RowSettings

Some = TypeVar("Some", bound=RowSettings)


def metered(
    settings: Some, expected: Callable[[], float | None] = lambda: None
) -> tuple[Some, Meter | None]:
    """Return the settings of a run with the callback of its meter, and the meter, if it has one.

    Without the setting, a notebook shows progress, and nothing else does.
    """
    given = settings.progress
    if given is None:
        show: Callable[[str], object] | None = NotebookCell() if is_notebook() else None
    elif given is True:
        show = standard_display()
    else:
        show = given or None
    if show is None:
        return settings, None
    meter = Meter(show, getattr(show, "every", EVERY), expected=expected)
    return settings.model_copy(update={"progress": meter.say}), meter


def ended(meter: Meter | None) -> AbstractContextManager[None]:
    """Return a context that ends the progress with its block, however it ends."""
    return _NOTHING if meter is None else _ended(meter)


_NOTHING = nullcontext()


@contextmanager
def _ended(meter: Meter) -> Iterator[None]:
    try:
        yield
    finally:
        meter.end()
