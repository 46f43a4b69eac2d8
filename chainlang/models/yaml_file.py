"""Orchestrator's ``models.yaml``: models with what is known of them, and policies."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.engines.hosts import host_named
from chainlang.errors import SettingError
from chainlang.models.declaration import Declaration
from chainlang.models.policy import Policy

_CAPABILITIES = {
    "tasks": "tasks",
    "languages": "languages",
    "context_window": "context",
    "supports_function_calling": "tool_call",
    "supports_structured_output": "structured_output",
}
_METRICS = {"latency_p50": "latency", "accuracy": "accuracy"}
_NEEDS = ("memory_gb", "gpu_memory_gb", "cpu_cores")
_ALIASES = {"google": "gemini", "deepmind": "gemini"}
_LOCAL = ("local", "huggingface", "vllm")
REWARD = "ok"
"""Reward of its `ucb` policies, which name none: whether the row succeeded."""


def read_yaml(path: str | PathLike[str]) -> dict[str, Declaration | Policy]:
    """Return the models and the policies of a ``models.yaml``, to pass to `define` and `use`.

    A model's provider gives its address and the variable of its key; `local` is a folder or a name
    on the hub, which vLLM runs. A quantized variant inherits what is said of its base. The price is
    `cost_per_token`, for prompts and replies alike. Raises `SettingError` for a file that is not
    one.
    """
    file = Path(path)
    try:
        import yaml
    except ImportError:
        hint = "run: pip install 'chainlang[yaml]'"
        raise _error(f"{file}: reading YAML needs the package PyYAML", hint) from None
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _error(f"{file}: {error.strerror or 'this file can not be read'}") from None
    except (ValueError, yaml.YAMLError):
        raise _error(f"{file}: this is no YAML") from None
    models = found.get("models") if isinstance(found, Mapping) else None
    if not isinstance(models, Mapping) or not all(
        isinstance(one, Mapping) for one in models.values()
    ):
        raise _error(f"{file}: 'models' is no table of models")
    made: dict[str, Declaration | Policy] = {
        str(name): _model(str(name), one, models, f"{name} in {file}")
        for name, one in models.items()
    }
    policies = found.get("selection_policies", {})
    for name, one in policies.items() if isinstance(policies, Mapping) else ():
        made[str(name)] = _policy(one, list(map(str, models)), f"the policy {name} in {file}")
    return made


def _error(message: str, hint: str | None = None) -> SettingError:
    return SettingError([Diagnostic("setting", message, hint=hint)])


def _model(
    name: str, given: Mapping[str, Any], models: Mapping[str, Any], where: str
) -> Declaration:
    base = given.get("base_model")
    if base is not None and (base not in models or "base_model" in models[base]):
        raise _error(f"{where}: its base_model {shown(base)} is no model of the file")
    parent: Mapping[str, Any] = {} if base is None else models[base]
    facts: dict[str, Any] = {}
    for one in (parent, given):  # a variant has what its base can do, and needs and metrics its own
        facts |= _taken(one.get("capabilities", {}), _CAPABILITIES)
    facts |= _taken(given.get("requirements", {}), {one: one for one in _NEEDS})
    facts |= _taken(given.get("metrics", {}), _METRICS)
    settings: dict[str, Any] = {"facts": facts} if facts else {}
    cost = given.get("metrics", {}).get("cost_per_token")
    if cost is not None:
        million = float(Decimal(str(cost)) * 1_000_000)
        settings["price"] = {"input": million, "output": million}
    provider = str(given.get("provider", parent.get("provider", "")))
    provider = _ALIASES.get(provider, provider)
    source = str(given.get("model", name))
    if provider in _LOCAL:
        if base is not None and (how := given.get("quantization")) in ("gptq", "awq"):
            settings["quantization"] = how
        return Declaration.of("vllm", source, settings, where).about(base_model=base)
    host = host_named(provider)
    if host is None:
        hint = f"a provider is {', '.join(_LOCAL)}, or one that `chainlang models` lists"
        raise _error(f"{where}: unknown provider {shown(provider)}", hint)
    return Declaration.of(host.engine, source, settings, where).about(
        provider=host.prefix, base_model=base
    )


def _taken(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: given[theirs] for theirs, ours in names.items() if given.get(theirs) is not None}


def _policy(given: Any, models: list[str], where: str) -> Policy:
    if not isinstance(given, Mapping) or "strategy" not in given:
        raise _error(f"{where} has no strategy", "write strategy: ucb, thompson or weighted")
    settings: dict[str, Any] = {"models": given.get("models", models)}
    rest = {name: one for name, one in given.items() if name not in ("strategy", "models")}
    if "exploration_factor" in rest:
        rest["exploration"] = rest.pop("exploration_factor")
    if given["strategy"] != "weighted":
        rest.setdefault("reward", REWARD)
    return Policy.of(str(given["strategy"]), {**settings, **rest}, where)
