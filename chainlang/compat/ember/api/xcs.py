"""Graphs and transforms, under the path of Ember's API."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from chainlang.compat.ember import xcs
from chainlang.compat.ember.autograph import (
    autograph,
)
from chainlang.compat.ember.compilation import (
    JITOptions,
    disable_structural_jit,
    explain_jit_selection,
    get_jit_stats,
    jit,
    structural_jit,
)
from chainlang.compat.ember.doors import refuse as _refuse
from chainlang.compat.ember.execution import (
    execute_graph,
)
from chainlang.compat.ember.execution_options import (
    ExecutionOptions,
    XCSExecutionOptions,
    execution_options,
    get_execution_options,
    reset_execution_options,
    set_execution_options,
)
from chainlang.compat.ember.graph import (
    XCSEdge,
    XCSGraph,
    XCSGraphNode,
    XCSNode,
    merge_xcs_graphs,
)
from chainlang.compat.ember.mesh import (
    DeviceMesh,
    PartitionSpec,
    mesh_sharded,
)
from chainlang.compat.ember.schedulers import (
    BaseScheduler,
    NoOpScheduler,
    ParallelScheduler,
    Scheduler,
    SequentialScheduler,
    TopologicalScheduler,
    TopologicalSchedulerWithParallelDispatch,
    WaveScheduler,
    XCSNoOpScheduler,
    create_scheduler,
)
from chainlang.compat.ember.tracing import (
    TracerContext,
    TraceRecord,
    get_tracing_context,
)
from chainlang.compat.ember.transforms import (
    TransformOptions,
    compose,
    pjit,
    pmap,
    vmap,
)

execute = execute_graph

__all__ = [
    "BaseScheduler",
    "DeviceMesh",
    "ExecutionOptions",
    "JITOptions",
    "NoOpScheduler",
    "ParallelScheduler",
    "PartitionSpec",
    "Scheduler",
    "SequentialScheduler",
    "TopologicalScheduler",
    "TopologicalSchedulerWithParallelDispatch",
    "TraceRecord",
    "TracerContext",
    "TransformOptions",
    "WaveScheduler",
    "XCSEdge",
    "XCSExecutionOptions",
    "XCSGraph",
    "XCSGraphNode",
    "XCSNoOpScheduler",
    "XCSNode",
    "autograph",
    "compose",
    "create_scheduler",
    "disable_structural_jit",
    "execute",
    "execute_graph",
    "execution_options",
    "explain_jit_selection",
    "get_execution_options",
    "get_jit_stats",
    "get_tracing_context",
    "jit",
    "merge_xcs_graphs",
    "mesh_sharded",
    "pjit",
    "pmap",
    "reset_execution_options",
    "set_execution_options",
    "structural_jit",
    "vmap",
    "xcs",
]

if not _TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> _NoReturn:
        """Refuse a name of Ember's that has another spelling here."""
        _refuse(__name__, name)
