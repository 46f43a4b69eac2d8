"""The compact notation: an ensemble, a verified chain, branches, components, types of one's own."""

from chainlang.compat.ember.core import non


def ensemble_type() -> non.OpRegistry:
    registry = non.OpRegistry.create_standard_registry()
    registry.register(
        "CE",
        lambda count, model, temp: non.Sequential(
            operators=[
                non.UniformEnsemble(num_units=count, model_name=model, temperature=temp),
                non.MostCommon(),
            ]
        ),
    )
    return registry


def main() -> None:
    question = "What is the capital of Australia?"
    systems = {
        "judged": non.build_graph(["3:E:gpt-4o:0.7", "1:J:claude:0.0"]),
        "verified": non.build_graph(["3:E:gpt-4o:0.7", "1:J:claude:0.0", "1:V:gpt-4o:0.0"]),
        "branches": non.build_graph(
            [["2:E:gpt-4o:0.7", "1:V:gpt-4o:0.0"], ["2:E:haiku:0.7"], "1:J:claude:0.0"]
        ),
        "components": non.build_graph(
            ["$both", "1:M"],
            components={"one": "2:E:gpt-4o:0.7", "both": ["$one", ["3:E:haiku:0.7"]]},
        ),
        "own type": non.build_graph("5:CE:gpt-4o:0.7", type_registry=ensemble_type()),
    }
    for name, system in systems.items():
        found = system(query=question)
        print(f"{name}: {found.answer}")
