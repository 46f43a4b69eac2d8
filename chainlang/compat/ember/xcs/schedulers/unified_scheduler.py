"""Schedulers, under the path of Ember's engine."""

from chainlang.compat.ember.schedulers import (
    NoOpScheduler,
    ParallelScheduler,
    SequentialScheduler,
    TopologicalScheduler,
    WaveScheduler,
)

__all__ = [
    "NoOpScheduler",
    "ParallelScheduler",
    "SequentialScheduler",
    "TopologicalScheduler",
    "WaveScheduler",
]
