"""Names of Orchestrator: pipelines in YAML, registries, control systems, errors.

Each is a door to what chainlang has: a pipeline is a chain, a run of it is a run folder, a registry
is a set of declared models. `docs/coming_from_orchestrator.md` lists them.

>>> import asyncio
>>> from chainlang.engines.fake import FakeEngine
>>> text = '''
... name: greeting
... steps:
...   - id: hello
...     action: generate
...     parameters: {prompt: "Greet {{ name }}"}
... '''
>>> orchestrator = Orchestrator(engine=FakeEngine(answers={"Greet Ada": "Hello, Ada!"}))
>>> result = asyncio.run(orchestrator.execute_yaml(text, context={"name": "Ada"}))
>>> result["status"], result["outputs"]
('completed', {'hello': 'Hello, Ada!'})
"""

from chainlang.compat.orchestrator.compiler import AmbiguityResolver, YAMLCompiler
from chainlang.compat.orchestrator.control_systems import ChainControlSystem, ControlSystem
from chainlang.compat.orchestrator.errors import (
    CircuitBreaker,
    ErrorCategory,
    ErrorHandler,
    ErrorSeverity,
    SystemUnavailableError,
)
from chainlang.compat.orchestrator.models import ModelRegistry
from chainlang.compat.orchestrator.orchestrator import Orchestrator
from chainlang.compat.orchestrator.storage import PostgresBackend, StateManager
from chainlang.compat.orchestrator.tasks import Pipeline, Task, TaskStatus

__all__ = [
    "AmbiguityResolver",
    "ChainControlSystem",
    "CircuitBreaker",
    "ControlSystem",
    "ErrorCategory",
    "ErrorHandler",
    "ErrorSeverity",
    "ModelRegistry",
    "Orchestrator",
    "Pipeline",
    "PostgresBackend",
    "StateManager",
    "SystemUnavailableError",
    "Task",
    "TaskStatus",
    "YAMLCompiler",
]
