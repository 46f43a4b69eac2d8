"""Three ensembles of different temperatures and a judge of all nine answers, wired as a graph."""

from chainlang.compat.ember.core.non import UniformEnsemble
from chainlang.compat.ember.core.registry.model.model_module.lm import LMModule, LMModuleConfig
from chainlang.compat.ember.core.registry.operator.core.synthesis_judge import (
    JudgeSynthesisOperator,
)
from chainlang.compat.ember.xcs.engine.xcs_engine import (
    TopologicalSchedulerWithParallelDispatch,
    execute_graph,
)
from chainlang.compat.ember.xcs.graph.xcs_graph import XCSGraph
from chainlang.compat.ember.xcs.tracer.tracer_decorator import jit


@jit()
class Facts(UniformEnsemble):
    """Answers that keep to facts."""


@jit()
class Ideas(UniformEnsemble):
    """Answers with new ideas."""


@jit()
class Details(UniformEnsemble):
    """Answers with details."""


def main() -> None:
    graph = XCSGraph()
    branches = {"facts": (Facts, 0.3), "ideas": (Ideas, 0.9), "details": (Details, 0.5)}
    for name, (kind, temperature) in branches.items():
        operator = kind(num_units=3, model_name=name, temperature=temperature)
        graph.add_node(operator=operator, node_id=name)
    config = LMModuleConfig(model_name="openai:gpt-4o", temperature=0.0)
    judge = JudgeSynthesisOperator(lm_module=LMModule(config=config))
    graph.add_node(operator=judge, node_id="judge")
    for name in branches:
        graph.add_edge(from_id=name, to_id="judge")
    found = execute_graph(
        graph=graph,
        global_input={"query": "What is the capital of Australia?"},
        scheduler=TopologicalSchedulerWithParallelDispatch(max_workers=4),
    )
    print("answers:", sum(len(found[name]["responses"]) for name in branches))
    print("judged: ", found["judge"]["final_answer"])
    print("because:", found["judge"]["reasoning"])
