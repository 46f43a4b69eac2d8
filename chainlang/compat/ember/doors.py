"""Names of Ember's that have another spelling here; using one is an error that says which."""

from __future__ import annotations

from typing import NoReturn

from chainlang.compat.ember.exceptions import NotHereError

__all__ = ["refuse"]

_ROWS = "rows are any iterable of dicts, a data frame, or a file: chain.map(rows)"
_METRICS = "from chainlang.evaluation import evaluate: evaluate(chain, rows, metric)"
_CONTEXT = "settings stand in chainlang.toml; ember.use(...) sets them for a block"
_DATA = "Dataset DatasetBuilder DatasetEntry DatasetInfo TaskType datasets list_available_datasets"
_GRAPHS = "with autograph() as graph: the calls in the block are recorded with what they read"
_RESULT = "execute_graph returns the output of each node, by its name"
_NAMES = {
    "ember": (
        ("datasets data", _ROWS),
        ("eval", _METRICS),
        ("current_context context", _CONTEXT),
    ),
    "ember.api": (("datasets", _ROWS),),
    "ember.api.data": ((f"{_DATA} DataAPI DataContext register", _ROWS),),
    "ember.api.xcs": (
        ("AutoGraphBuilder", _GRAPHS),
        ("ExecutionResult", _RESULT),
        ("TraceContextData", "TracerContext has the records"),
    ),
    "ember.xcs": (("AutoGraphBuilder", _GRAPHS), ("ExecutionResult", _RESULT)),
    "ember.xcs.jit": (("JITCache", "an operator keeps its chain, and nothing else is kept"),),
    "ember.xcs.tracer": (("AutoGraphBuilder", _GRAPHS),),
    "ember.xcs.tracer.autograph": (("AutoGraphBuilder", _GRAPHS),),
    "ember.api.eval": (("EvaluationPipeline EvaluationResult Evaluator", _METRICS),),
}


def refuse(module: str, name: str) -> NoReturn:
    """Raise `NotHereError` for a name of Ember's, `AttributeError` for any other."""
    place = module.partition("compat.")[2]
    for names, hint in _NAMES.get(place, ()):
        if name in names.split():
            raise NotHereError(f"{place}.{name} is not here", recovery_hint=hint)
    raise AttributeError(f"module '{module}' has no attribute '{name}'")
