"""The orchestrator: runs pipelines into folders, and goes on with those that failed."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chainlang.compat.orchestrator.compiler import YAMLCompiler
from chainlang.compat.orchestrator.control_systems import ControlSystem
from chainlang.compat.orchestrator.models import ModelRegistry
from chainlang.compat.orchestrator.running import answers, labels
from chainlang.compat.orchestrator.storage import PostgresBackend, StateManager
from chainlang.compat.orchestrator.tasks import Pipeline, TaskStatus
from chainlang.errors import error_of
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.outputs import EVERYTHING
from chainlang.session.result import result_of

_STATE, _DONE, _FAILED = "pipeline", "completed", "failed"


class Orchestrator:
    """Runs files of steps: each pipeline has a run folder, whose journal a recovery goes on with.

    `storage_backend`: where the journals are (default: in the folders). `folder`: where the run
    folders are (default: a temporary folder). `control_system`: what carries pipelines out in place
    of chainlang. Other `settings` are those of a run: `engine`, `model`, `seed`, `cache`.
    """

    def __init__(
        self,
        storage_backend: PostgresBackend | None = None,
        model_registry: ModelRegistry | None = None,
        *,
        control_system: ControlSystem | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        folder: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp() if folder is None else folder)
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.state_manager = StateManager(self.folder)
        self.control_system = control_system
        self.compiler = YAMLCompiler(functions)
        self.settings = dict(settings)
        if storage_backend is not None:
            self.settings["store"] = storage_backend.url
        if model_registry is not None:
            self.settings["models"] = model_registry.declared

    async def execute_yaml(
        self, yaml_content: str, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Compile a text, and run it; see `execute_pipeline`."""
        return await self.execute_pipeline(await self.compiler.compile(yaml_content, context))

    async def execute_pipeline(self, pipeline: Pipeline) -> dict[str, Any]:
        """Return the id of a pipeline, its status, and the answers of its steps by their ids.

        Raises `RowError` if a step fails and nothing in the file goes on after it; then
        `recover_pipeline` with its id goes on at that step.
        """
        if self.control_system is not None:
            found = await self.control_system.execute_pipeline(pipeline)
            return {"id": pipeline.id, "status": _DONE, "outputs": found}
        return await self._run(pipeline)

    async def recover_pipeline(self, pipeline_id: str) -> dict[str, Any]:
        """Go on with a pipeline: no step that is completed is run again.

        ``resumed_from`` is the step that had failed; None if no step is known to have. Raises
        `SourceError` for an id without a pipeline and without a state. What only has a state, which
        `state_manager` was given, is not run.
        """
        checkpoint = await self.state_manager.restore_checkpoint(pipeline_id)
        if checkpoint is None:
            message = f"there is no pipeline '{pipeline_id}' to go on with"
            raise error_of("file", message, f"its run is not in {self.folder}")
        state: dict[str, Any] = checkpoint["state"]
        found = {"recovered": True, "resumed_from": state.get("failed_step")}
        if _STATE not in state:
            return {"id": pipeline_id, **state, **found}
        pipeline = self.compiler.compiled(state[_STATE], state["context"])
        return {**await self._run(pipeline), **found}

    async def _run(self, pipeline: Pipeline) -> dict[str, Any]:
        """Run a pipeline into its folder, and record how it ended."""
        known: dict[str, Any] = {_STATE: pipeline.text, "context": pipeline.context}
        before = await self.state_manager.restore_checkpoint(pipeline.id)
        if before is not None and before["state"].get("status") == _DONE:
            outputs: dict[str, Any] = before["state"]["outputs"]
            return {"id": pipeline.id, "status": _DONE, "outputs": outputs}
        await self.state_manager.save_checkpoint(pipeline.id, known)
        seen: list[Outcome] = []
        chain, row = pipeline.chain, {"id": pipeline.id, **pipeline.context}
        if chain is None:
            chain = self.compiler.compiled(pipeline.text, pipeline.context).chain
            assert chain is not None  # the compiler has made it
        folder = self.folder / pipeline.id
        settings = {**self.settings, "retry_failed": before is not None and folder.is_dir()}

        def kept(outcome: Outcome, _: float | None) -> None:
            seen.append(outcome)

        await asyncio.to_thread(chain.run, [row], folder, on_row=kept, **settings)
        (outcome,) = seen[-1:]
        if outcome.failure is not None:
            names = {label: name for name, label in labels(pipeline).items()}
            failed = next((names[one] for one in outcome.failure.place if one in names), None)
            if failed is not None:
                pipeline.tasks[failed].status = TaskStatus.FAILED
            state = {"status": _FAILED, "failed_step": failed, "error": outcome.failure.message}
            await self.state_manager.save_checkpoint(pipeline.id, {**known, **state})
            raise outcome.failure.error()
        outputs = answers(pipeline, result_of(outcome, EVERYTHING))
        state = {"status": _DONE, "outputs": json.loads(json.dumps(outputs, default=str))}
        await self.state_manager.save_checkpoint(pipeline.id, {**known, **state})
        return {"id": pipeline.id, "status": _DONE, "outputs": outputs}
