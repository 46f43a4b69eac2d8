"""Control systems, which carry out tasks and pipelines."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from chainlang.api.parse import load
from chainlang.api.stage_types import E
from chainlang.compat.orchestrator.compiler import YAMLCompiler
from chainlang.compat.orchestrator.running import carried_out
from chainlang.compat.orchestrator.tasks import Pipeline, Task
from chainlang.errors import ChainlangError
from chainlang.pipelines.actions import shipped_names


class ControlSystem(ABC):
    """Abstract system that carries out tasks and pipelines; a subclass does so elsewhere."""

    @abstractmethod
    async def execute_task(self, task: Task, context: dict[str, Any]) -> Any:
        """Return the result of a task."""

    @abstractmethod
    async def execute_pipeline(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return the results of all tasks of a pipeline by their ids."""

    @abstractmethod
    def get_capabilities(self) -> dict[str, Any]:
        """Return what the system can do."""

    @abstractmethod
    async def health_check(self) -> bool:
        """Return whether the system can be asked."""


class ChainControlSystem(ControlSystem):
    """The control system of chainlang: a task is a part, and a pipeline a chain.

    `functions` do the actions of their names; `settings` are those of a call.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]] | None = None, **settings: Any
    ) -> None:
        self.functions = dict(functions or {})
        self.settings = settings

    async def execute_task(self, task: Task, context: dict[str, Any]) -> Any:
        """Return the answer of a task alone: its parameters read the context."""
        step = {"id": task.id, "action": task.action, "parameters": task.parameters}
        text = json.dumps({"name": "task", "steps": [step]})
        bound = {name: one for name, one in self.functions.items() if name == task.action}
        made = load(text=text, format="yaml", functions=bound, actions="model")
        found = await made.acall({"id": task.id, **context}, **self.settings)
        return None if found is None else found.answer

    async def execute_pipeline(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return the answers of all steps by their ids. Raises the error of the first failure."""
        chain = pipeline.chain
        if chain is None:
            compiler = YAMLCompiler(self.functions)
            chain = compiler.compiled(pipeline.text, pipeline.context).chain
        assert chain is not None  # the compiler has made it
        return await carried_out(pipeline, chain, self.settings)

    def get_capabilities(self) -> dict[str, Any]:
        """Return the actions that it knows, and what it can use."""
        return {
            "supported_operations": sorted({*shipped_names(), *self.functions}),
            "parallel_execution": True,
            "gpu_acceleration": find_spec("vllm") is not None,
            "distributed": False,
        }

    async def health_check(self) -> bool:
        """Return whether the model answers a short question."""
        try:
            found = await E(max_tokens=1, cut="keep").acall("1", **self.settings)
        except ChainlangError:
            return False
        return found is not None and found.ok
