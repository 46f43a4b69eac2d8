"""Operators that wait, jitted: the results of several runs are equal, and nothing is replayed."""

import time
from typing import Any

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.xcs import execution_options, jit


class Wait(Operator):
    seconds: float
    name: str

    def forward(self, *, inputs: Any) -> Any:
        time.sleep(self.seconds)
        return {"name": self.name, "of": inputs["run"]}


class Waits(Operator):
    waits: list[Wait]

    def __init__(self, *, count: int = 5) -> None:
        self.waits = [Wait(seconds=0.002, name=f"wait {number}") for number in range(count)]

    def forward(self, *, inputs: Any) -> Any:
        results = [one(inputs=inputs) for one in self.waits]
        return {"names": [one["name"] for one in results], "run": results[-1]["of"]}


@jit
class JittedWaits(Waits):
    """The same, overlapping."""


def main() -> None:
    plain, jitted = Waits(), JittedWaits()
    expected = plain(run=0)
    for run in range(3):
        found = jitted(inputs={"run": run})
        print(f"run {found['run']}: the same names: {found['names'] == expected['names']}")
    with execution_options(max_workers=2):
        print("two at a time:", jitted(run=3)["names"] == expected["names"])
