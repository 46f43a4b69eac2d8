"""The registry of models: those of a ``models.yaml``, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from chainlang.api.parse import chain
from chainlang.compat.orchestrator.tasks import Pipeline, Task, TaskStatus
from chainlang.errors import error_of
from chainlang.models import Declaration, Policy, read_yaml, use, weighted
from chainlang.session.policies import choices_of
from chainlang.settings import MapSettings

_NEEDS = {
    "context_window": "context",
    "supports_function_calling": "tool_call",
    "supports_structured_output": "structured_output",
    "tasks": "tasks",
    "languages": "languages",
    "accuracy": "accuracy",
}
"""Requirements of Orchestrator, and the facts of models that they ask for."""
_POLICY = "chosen"


class ModelRegistry:
    """Models by name, with what is known of them."""

    def __init__(self, models: Mapping[str, Declaration] | None = None) -> None:
        self.models: dict[str, Declaration] = dict(models or {})
        self.policies: dict[str, Policy] = {}

    @classmethod
    def from_config(cls, path: str | PathLike[str]) -> ModelRegistry:
        """Return the registry of a ``models.yaml``. Raises `SettingError` for a wrong file."""
        made = cls()
        for name, one in read_yaml(path).items():
            if isinstance(one, Policy):
                made.policies[name] = one
            else:
                made.models[name] = one
        return made

    def register_model(self, name: str, model: Declaration) -> None:
        """Add a model, as ``models.vllm(...)`` or ``models.openai(...)`` declares one."""
        self.models[name] = model

    @property
    def declared(self) -> dict[str, Declaration | Policy]:
        """All models and policies, as the setting `models` of a run takes them."""
        return {**self.models, **self.policies}

    async def select_model(self, requirements: Mapping[str, Any], **weights: float) -> str:
        """Return the name of the model that meets requirements, and has the best facts.

        `weights` are those of `accuracy`, `cost` and `latency` (default: accuracy alone); a model
        of which one is not known is left out. Raises `SettingError` if none is left, and for a
        requirement that is not known.
        """
        needs: dict[str, Any] = {}
        for name, one in requirements.items():
            if name not in _NEEDS:
                hint = f"write one of {', '.join(_NEEDS)}"
                raise error_of("setting", f"unknown requirement '{name}'", hint)
            needs[_NEEDS[name]] = one
        policy = weighted(list(self.models), needs=needs, **(weights or {"accuracy": 1.0}))
        with use(**self.models, **{_POLICY: policy}):
            (found,) = choices_of(chain(f"E:@{_POLICY}").program(), MapSettings.of({}))
        assert found.chosen is not None  # weighted chooses before a run
        return found.chosen


__all__ = ["ModelRegistry", "Pipeline", "Task", "TaskStatus"]
