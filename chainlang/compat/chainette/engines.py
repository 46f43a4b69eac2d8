"""`register_engine`: models of steps by name."""

from __future__ import annotations

from typing import Any

from chainlang import models
from chainlang.engines.hosts import host_named
from chainlang.ir.model_settings import ENGINES
from chainlang.models.declaration import Declaration, trusted

__all__ = ["register_engine"]


_SERVED = {"vllm_api": "vllm"}
"""Providers by Chainette's names of servers."""


def register_engine(
    name: str, model: str, *, backend: str = "vllm", endpoint: str | None = None, **settings: Any
) -> None:
    """Declare a model for the steps that name it, in every chain of this process from now on.

    `backend`: vllm, openai (any server with its protocol, at `endpoint`), fake, or a provider such
    as ollama, with its address and key. `api_key` and the other settings are those of
    `chainlang.models`, as are the errors; `chainlang.models.define` does the same.
    """
    given = settings if endpoint is None else {**settings, "base_url": endpoint}
    host = None if backend in ENGINES else host_named(_SERVED.get(backend, backend))
    engine = backend if host is None else host.engine
    made = trusted(Declaration.of(engine, model, given, "register_engine()"))
    if host is not None and endpoint is None:
        made = made.about(provider=host.prefix)
    models.define({name: made})
