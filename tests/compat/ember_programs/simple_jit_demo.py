"""Ten steps that wait: jitted, as a graph under two schedulers, and with threads of their own."""

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import (
    Operator,
    Specification,
)
from chainlang.compat.ember.core.types.ember_model import EmberModel
from chainlang.compat.ember.xcs import TracerContext, XCSGraph, execution_options, jit
from chainlang.compat.ember.xcs.engine.execution_options import get_execution_options
from chainlang.compat.ember.xcs.engine.xcs_engine import (
    TopologicalSchedulerWithParallelDispatch,
    compile_graph,
)
from chainlang.compat.ember.xcs.engine.xcs_noop_scheduler import XCSNoOpScheduler


class Task(EmberModel):
    task_id: str


class Done(EmberModel):
    result: str


class AllDone(EmberModel):
    results: list[str]


class TaskSpecification(Specification):
    input_model: type[EmberModel] = Task
    structured_output: type[EmberModel] = Done


class AllSpecification(Specification):
    input_model: type[EmberModel] = Task
    structured_output: type[EmberModel] = AllDone


class Work(Operator[Task, Done]):
    specification: ClassVar[Specification] = TaskSpecification()
    name: str

    def forward(self, *, inputs: Task) -> Done:
        return Done(result=f"{self.name} did {inputs.task_id}")


@jit
class Crew(Operator[Task, AllDone]):
    specification: ClassVar[Specification] = AllSpecification()
    workers: list[Work]

    def __init__(self, *, count: int) -> None:
        self.workers = [Work(name=f"worker {number}") for number in range(count)]

    def forward(self, *, inputs: Task) -> AllDone:
        done = []
        for number, worker in enumerate(self.workers):
            done.append(worker(inputs=Task(task_id=f"{inputs.task_id}.{number}")))
        return AllDone(results=[one.result for one in done])


@jit
class Adaptive(Crew):
    def forward(self, *, inputs: Task) -> AllDone:
        if not get_execution_options().use_parallel:
            return AllDone(results=[one(inputs=inputs).result for one in self.workers])
        with ThreadPoolExecutor(max_workers=len(self.workers)) as pool:
            futures = [pool.submit(one, inputs=inputs) for one in self.workers]
            return AllDone(results=[future.result().result for future in futures])


def main() -> None:
    crew = Crew(count=10)
    for number in range(2):
        print(f"run {number}:", len(crew(inputs=Task(task_id=f"run{number}")).results))
    with TracerContext() as tracer:
        crew(inputs=Task(task_id="traced"))
    print("recorded:", len(tracer.records), sorted({one.operator_name for one in tracer.records}))
    graph = XCSGraph()
    for number, worker in enumerate(crew.workers):
        graph.add_node(
            operator=lambda inputs, worker=worker: worker(inputs=Task(task_id=inputs["task_id"])),
            node_id=f"node_{number}",
        )
    plan = compile_graph(graph=graph)
    for scheduler in (
        XCSNoOpScheduler(),
        TopologicalSchedulerWithParallelDispatch(max_workers=10),
    ):
        found = scheduler.run_plan(plan=plan, global_input={"task_id": "all"}, graph=graph)
        print(f"{type(scheduler).__name__}:", len(found), found["node_9"]["result"])
    adaptive = Adaptive(count=3)
    for parallel in (False, True):
        with execution_options(use_parallel=parallel):
            print("adaptive:", adaptive(inputs=Task(task_id="x")).results)
