"""An ensemble and a judge in a sequence, from the package's own names."""

from chainlang.compat.ember import non
from chainlang.compat.ember.api.operators import EmberModel


class Query(EmberModel):
    query: str


def main() -> None:
    pipeline = non.Sequential(
        operators=[
            non.UniformEnsemble(num_units=3, model_name="openai:gpt-4o-mini", temperature=0.7),
            non.JudgeSynthesis(model_name="openai:gpt-4o", temperature=0.2),
        ]
    )
    found = pipeline(inputs=Query(query="What is the capital of Peru?"))
    print(found.final_answer, "/", found["reasoning"])
