"""`execute_graph`: each node starts when the outputs that it reads are there; no waves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.compat.ember.chain_operator import ChainOperator
from chainlang.compat.ember.dataflow import Work, together
from chainlang.compat.ember.exceptions import ExecutionError
from chainlang.compat.ember.execution_options import (
    ExecutionOptions,
    execution_options,
    get_execution_options,
)
from chainlang.compat.ember.graph import XCSGraph, XCSNode
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.recording import Reference, resolved
from chainlang.compat.ember.structures import fields_of
from chainlang.compat.ember.use import positions
from chainlang.errors import ChainlangError

__all__ = [
    "GraphOutputs",
    "Scheduler",
    "XCSPlan",
    "compile_graph",
    "create_scheduler",
    "execute_graph",
]

RECORDED = "recorded inputs"
"""Key of a node's metadata: inputs of a recorded call."""


@frozen
class XCSPlan:
    """A graph whose order is known."""

    graph: XCSGraph
    order: tuple[str, ...]
    """The nodes, each after those that it reads."""


def compile_graph(graph: XCSGraph) -> XCSPlan:
    """Return the plan of a graph, for `Scheduler.run_plan`; a cycle is an error.

    >>> graph = XCSGraph()
    >>> node = graph.add_node(lambda *, inputs: {"value": inputs["value"] + 10}, "add")
    >>> Scheduler("sequential").run_plan(plan=compile_graph(graph), global_input={"value": 5})
    {'add': {'value': 15}}
    """
    return XCSPlan(graph, tuple(graph.topological_sort()))


@frozen
class Scheduler:
    """The way in which a graph is run, by the name of Ember's scheduler."""

    name: str = "auto"
    max_workers: int | None = None

    def options(self) -> dict[str, Any]:
        """Return the execution options that mean the same."""
        return {"scheduler": self.name, "max_workers": self.max_workers}

    def run_plan(
        self,
        plan: XCSPlan,
        global_input: Mapping[str, Any] | None = None,
        graph: XCSGraph | None = None,
    ) -> GraphOutputs:
        """Return the outputs of all nodes, as `execute_graph` does; `graph` may be left out."""
        return execute_graph(graph or plan.graph, global_input, scheduler=self)


def create_scheduler(type: str = "auto", max_workers: int | None = None) -> Scheduler:  # noqa: A002
    """Return a scheduler. Raises `InvalidArgumentError` for an unknown name."""
    ExecutionOptions(scheduler=type, max_workers=max_workers)
    return Scheduler(type, max_workers)


class GraphOutputs(dict[str, Any]):
    """Outputs of a graph by the ids of its nodes; `errors` are those of nodes that failed."""

    errors: dict[str, BaseException]

    def __init__(
        self, outputs: Mapping[str, Any], errors: Mapping[str, BaseException] | None = None
    ) -> None:
        super().__init__(outputs)
        self.errors = dict(errors or {})

    def __getitem__(self, node: str | Reference) -> Any:
        if not isinstance(node, Reference):
            return super().__getitem__(node)
        return resolved(node, self)


def execute_graph(
    graph: XCSGraph,
    inputs: Mapping[str, Any] | None = None,
    options: ExecutionOptions | Mapping[str, Any] | None = None,
    scheduler: Scheduler | str | None = None,
    *,
    global_input: Mapping[str, Any] | None = None,
    max_workers: int | None = None,
    continue_on_error: bool = False,
    return_partial_results: bool = False,
) -> GraphOutputs:
    """Return the outputs of all nodes, by id, as dicts.

    `inputs` (or `global_input`) are the inputs of the nodes without predecessors; other nodes get
    those of its fields that they declare and no predecessor has. `options` change the execution
    options in force. A node that fails is an `ExecutionError`, whose `outputs` are those of the
    others; with `continue_on_error` the nodes that do not need it still run, and with
    `return_partial_results` what they give is returned, and the errors are in its `errors`.

    >>> graph = XCSGraph()
    >>> first = graph.add_node(lambda *, inputs: {"value": inputs["value"] + 10}, "add")
    >>> second = graph.add_node(lambda *, inputs: {"value": inputs["value"] * 2}, "double")
    >>> edge = graph.add_edge(first, second)
    >>> execute_graph(graph, {"value": 5})
    {'add': {'value': 15}, 'double': {'value': 30}}
    """
    given = dict(inputs or global_input or {})
    changed: dict[str, Any] = {}
    whole = options if isinstance(options, ExecutionOptions) else None
    if options is not None and not isinstance(options, ExecutionOptions):
        named = dict(options)
        continue_on_error = named.pop("continue_on_error", continue_on_error)
        return_partial_results = named.pop("return_partial_results", return_partial_results)
        if "scheduler_type" in named:
            named["scheduler"] = named.pop("scheduler_type")
        changed |= named
    if isinstance(scheduler, Scheduler):
        changed |= scheduler.options()
    elif scheduler is not None:
        changed["scheduler"] = scheduler
    if max_workers is not None:
        changed["max_workers"] = max_workers
    with execution_options(whole, **changed) as chosen:
        run = _Run(graph, given, keeps_on=continue_on_error or not chosen.fail_fast)
        outputs = run.outputs(chosen)
    if run.errors and not return_partial_results:
        name, error = next(iter(run.errors.items()))
        raise ExecutionError(
            f"node '{name}' failed: {_said(error)}", outputs=outputs, errors=run.errors
        ) from error
    return GraphOutputs(outputs, run.errors)


def _said(error: BaseException) -> str:
    if isinstance(error, ChainlangError):
        return error.diagnostics[0].message
    return f"{type(error).__name__}: {error}"


@frozen(eq=False)
class _Run:
    """One execution of a graph."""

    graph: XCSGraph
    inputs: Mapping[str, Any]
    keeps_on: bool
    results: dict[str, Any] = field(factory=dict)
    errors: dict[str, BaseException] = field(factory=dict)
    _done: dict[str, threading.Event] = field(factory=dict)

    def outputs(self, options: ExecutionOptions) -> dict[str, Any]:
        """Run the nodes, and return what they gave, in the order of the graph."""
        order = self.graph.topological_sort()
        if options.scheduler == "noop":
            return {name: {"_simulated": True} for name in order}
        self._done.update({name: threading.Event() for name in order})
        works = [
            Work(name, position, lambda name=name: self._node(name), self._waits(name))  # type: ignore[misc]
            for name, position in zip(order, positions(len(order)), strict=True)
        ]
        together(works, get_execution_options(), seconds=options.timeout_seconds, fail_fast=False)
        found = {name: self.results[name] for name in self.graph.nodes if name in self.results}
        plain = {name: fields_of(output) for name, output in found.items()}
        return {name: found[name] if one is None else one for name, one in plain.items()}

    def _waits(self, name: str) -> tuple[threading.Event, ...]:
        return tuple(self._done[one] for one in self.graph.nodes[name].inbound_edges)

    def _node(self, name: str) -> None:
        node = self.graph.nodes[name]
        try:
            missing = [one for one in node.inbound_edges if one not in self.results]
            if missing or (self.errors and not self.keeps_on):
                return
            self.results[name] = node.operator(inputs=self._inputs_of(node))
        except Exception as error:  # noqa: BLE001  # raised at the end, with the outputs
            self.errors[name] = error
        finally:
            self._done[name].set()

    def _inputs_of(self, node: XCSNode) -> Any:
        if RECORDED in node.metadata:
            return self._recorded(node)
        if not node.inbound_edges:
            return dict(self.inputs)
        inputs = self.graph.prepare_node_inputs(node.node_id, self.results)
        declared = _declared(node.operator)
        for name, value in self.inputs.items():
            if declared is None or name in declared:
                inputs.setdefault(name, value)
        if declared is not None and not isinstance(node.operator, ChainOperator):
            inputs = {name: one for name, one in inputs.items() if name in declared}
        return inputs

    def _recorded(self, node: XCSNode) -> Any:
        written = node.metadata[RECORDED]
        if isinstance(written, dict):
            changed = {
                name: self.inputs[name]
                for name, one in written.items()
                if name in self.inputs and not isinstance(one, Reference)
            }
            return {**resolved(written, self.results), **changed}
        fields = None if isinstance(written, Reference) else fields_of(written)
        if fields is None or not any(name in self.inputs for name in fields):
            return resolved(written, self.results)
        return {name: self.inputs.get(name, one) for name, one in fields.items()}


def _declared(operator: Any) -> tuple[str, ...] | None:
    """Return the fields that an operator declares; None if it takes any."""
    if not isinstance(operator, Operator) or operator.specification is None:
        return None
    model = operator.specification.input_model
    return None if model is None else tuple(model.model_fields)
