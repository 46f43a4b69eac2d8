"""The short imports: jit with and without options, vmap, pmap, autograph, execution options."""

from typing import Any

from chainlang.compat.ember.api.xcs import autograph, execute, jit, pmap, vmap
from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.xcs.engine.execution_options import execution_options
from chainlang.compat.ember.xcs.tracer.tracer_decorator import JITOptions


@jit
class Shout(Operator):
    def forward(self, *, inputs: Any) -> Any:
        return {"query": inputs["query"].upper()}


@jit(options=JITOptions(sample_input={"query": "sample"}))
class Ask(Operator):
    def forward(self, *, inputs: Any) -> Any:
        return {"query": f"{inputs['query']}?"}


def main() -> None:
    shout, ask = Shout(), Ask()
    print(shout(inputs={"query": "is it so"})["query"])
    print(ask(query="is it so")["query"])
    print(vmap(lambda item: item * 2)([1, 2, 3]))
    print(pmap(lambda item: item + 1, num_workers=2)([1, 2, 3]))
    with autograph() as graph:
        loud = shout(inputs={"query": "why"})
        ask(inputs=loud)
    with execution_options(scheduler="parallel"):
        print(execute(graph)["ask"]["query"])
        print(execute(graph, inputs={"query": "how"})["ask"]["query"])
