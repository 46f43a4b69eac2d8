"""Running of a pipeline: its steps, their answers, and the step that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.api.chain import Chain
from chainlang.compat.orchestrator.tasks import Pipeline, TaskStatus
from chainlang.ir.made_labels import made_labels
from chainlang.session.result import Result


def labels(pipeline: Pipeline) -> dict[str, str]:
    """Return the label of each step by its id."""
    return dict(zip(pipeline.tasks, made_labels(pipeline.tasks), strict=True))


def answers(pipeline: Pipeline, result: Result) -> dict[str, Any]:
    """Return the answers of the steps by their ids, and note them in the tasks."""
    found: dict[str, Any] = {}
    for name, label in labels(pipeline).items():
        if label in result.history:
            found[name] = result[label].answer
            task = pipeline.tasks[name]
            task.status, task.result = TaskStatus.COMPLETED, found[name]
            fields = result[label].candidates[0].fields if result[label].candidates else {}
            if fields.get("status") in ("skipped", "failed"):
                task.status = TaskStatus(fields["status"])
    return found


async def carried_out(
    pipeline: Pipeline, chain: Chain, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answers of a pipeline that is run as one call. Raises its error."""
    row = {"id": pipeline.id, **pipeline.context}
    result = await chain.acall(row, **settings)
    assert result is not None  # only with on_error="skip"
    return answers(pipeline, result)
