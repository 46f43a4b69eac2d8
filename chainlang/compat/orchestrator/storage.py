"""Storage of runs: where the journals are, and named states as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.semantics.seeds import row_id

VERSION = "1.0"


@frozen
class PostgresBackend:
    """A PostgreSQL database with the journals of runs: the setting `store` of a run."""

    url: str


@frozen
class StateManager:
    """Named states of pipelines: a line of JSON for each, in a file of each pipeline.

    What a run needs to go on is in the journal of its folder; states are for code around it.
    """

    folder: Path

    async def save_checkpoint(
        self, pipeline_id: str, state: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Add a state. It has to be JSON."""
        line = json.dumps({
            "pipeline_id": pipeline_id,
            "state": state,
            "metadata": metadata or {},
            "timestamp": datetime.now(UTC).isoformat(),
            "version": VERSION,
        })  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(pipeline_id).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    async def restore_checkpoint(
        self, pipeline_id: str, timestamp: datetime | None = None
    ) -> dict[str, Any] | None:
        """Return the last state, or the last that is not after a time; None if there is none."""
        path = self._path(pipeline_id)
        if not path.is_file():
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(one) for one in lines if one.endswith("}")]  # the last may be broken
        if timestamp is not None:
            found = [one for one in found if datetime.fromisoformat(one["timestamp"]) <= timestamp]
        last: dict[str, Any] | None = found[-1] if found else None
        return last

    @asynccontextmanager
    async def checkpoint_context(self, pipeline_id: str, task_id: str) -> AsyncIterator[None]:
        """Save a state after a block: that the task is completed, or how it has failed."""
        try:
            yield
        except Exception as error:
            failed = {"last_failed_task": task_id, "error": str(error)}
            await self.save_checkpoint(pipeline_id, failed)
            raise
        await self.save_checkpoint(pipeline_id, {"last_completed_task": task_id})

    def _path(self, pipeline_id: str) -> Path:
        is_plain = pipeline_id.replace("-", "").replace("_", "").isalnum() and pipeline_id.isascii()
        name = pipeline_id if is_plain else row_id({"name": pipeline_id}).removeprefix("#")
        return self.folder / f"{name[:100]}.states.jsonl"
