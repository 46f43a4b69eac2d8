"""Tasks and pipelines: the steps of a file, and the chain that they are."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Any

from attrs import define, field

from chainlang.api.chain import Chain
from chainlang.errors import error_of
from chainlang.pipelines.order import cycles


class TaskStatus(Enum):
    """State of a task."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@define
class Task:
    """A step of a pipeline, with its result once it has one."""

    id: str
    name: str
    action: str
    parameters: dict[str, Any] = field(factory=dict)
    dependencies: list[str] = field(factory=list)
    """Ids of the steps that it lists, and of those that it reads."""
    status: TaskStatus = TaskStatus.PENDING
    result: Any = None
    error: Exception | None = None
    metadata: dict[str, Any] = field(factory=dict)

    def is_ready(self, completed_tasks: Collection[str]) -> bool:
        """Return whether all its dependencies are completed.

        >>> Task("b", "b", "plan", dependencies=["a"]).is_ready({"a"})
        True
        """
        return all(one in completed_tasks for one in self.dependencies)


@define
class Pipeline:
    """A file of steps, with the values that its templates read."""

    id: str
    name: str
    tasks: dict[str, Task] = field(factory=dict)
    context: dict[str, Any] = field(factory=dict)
    metadata: dict[str, Any] = field(factory=dict)
    text: str = field(default="", repr=False)
    """The file."""
    chain: Chain | None = field(default=None, repr=False)
    """The chain that it is; None for a pipeline that was built of tasks."""

    def get_execution_order(self) -> list[list[str]]:
        """Return the ids of the tasks by level: each level needs only those before it.

        A run has no such levels: a step starts as soon as what it reads is there. Raises
        `MeaningError` for tasks that wait for each other, or for one that there is not.

        >>> tasks = [Task("a", "a", "x"), Task("b", "b", "x", dependencies=["a"])]
        >>> Pipeline("p", "p", {one.id: one for one in tasks}).get_execution_order()
        [['a'], ['b']]
        """
        waits = {name: list(task.dependencies) for name, task in self.tasks.items()}
        for name, several in waits.items():
            for one in several:
                if one not in waits:
                    message = f"the task '{name}' waits for '{one}', and there is no such task"
                    raise error_of("unknown-name", message, subject=one)
        if circles := list(cycles(waits)):
            ways = "; ".join(" -> ".join((*one, one[0])) for one in circles)
            raise error_of("cycle", f"these tasks wait for each other: {ways}")
        levels: list[list[str]] = []
        done: set[str] = set()
        while len(done) < len(waits):
            level = [one for one in waits if one not in done and done.issuperset(waits[one])]
            levels.append(level)
            done.update(level)
        return levels
