"""The chains that Ember's documents show: the six of its compact notation, those of its README.

Model names, counts and temperatures are theirs. Beside each stands what it means in the notation,
and how many answers are asked for at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from chainlang.compat.ember import non


@frozen
class Documented:
    name: str
    build: Callable[[], non.Operator]
    text: str
    wide: int
    keys: tuple[str, ...]


ANSWERS = ("responses",)
VOTE = ("final_answer", "votes", "confidence")
JUDGED = ("final_answer", "reasoning", "synthesized_response")
CHECKED = ("verdict", "explanation", "revised_answer")

GPT, CLAUDE, HAIKU = "gpt-4o", "claude-3-5-sonnet", "claude-3-5-haiku"


def own_types() -> non.OpRegistry:
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


def ensemble_and_judge() -> non.Operator:
    return non.build_graph([f"3:E:{GPT}:0.7", f"1:J:{CLAUDE}:0.0"])


def verification() -> non.Operator:
    return non.build_graph([f"3:E:{GPT}:0.7", f"1:J:{CLAUDE}:0.0", f"1:V:{GPT}:0.0"])


def nested() -> non.Operator:
    first = [f"3:E:{GPT}:0.7", f"1:V:{GPT}:0.0"]
    second = [f"3:E:{HAIKU}:0.7", f"1:V:{HAIKU}:0.0"]
    return non.build_graph([first, second, f"1:J:{CLAUDE}:0.0"])


def recursive_references() -> non.Operator:
    components = {
        "gpt_ensemble": f"3:E:{GPT}:0.7",
        "claude_ensemble": f"3:E:{HAIKU}:0.7",
        "verification_pipeline": ["$gpt_ensemble", f"1:V:{GPT}:0.0"],
        "double_verification": [
            "$verification_pipeline",
            ["$claude_ensemble", f"1:V:{HAIKU}:0.0"],
        ],
    }
    return non.build_graph(["$double_verification", f"1:J:{CLAUDE}:0.0"], components=components)


def custom_types() -> non.Operator:
    return non.build_graph([f"5:CE:{GPT}:0.7", f"1:J:{CLAUDE}:0.0"], type_registry=own_types())


def nested_network() -> non.Operator:
    # Theirs draws at temperature 0, where two draws are the same.
    components = {"sub": [f"2:E:{GPT}:0.0", f"1:V:{GPT}:0.0"]}
    return non.build_graph(["$sub", "$sub", f"1:J:{GPT}:0.0"], components=components)


COMPACT = (
    Documented(
        "basic ensemble and judge",
        ensemble_and_judge,
        "3:E:gpt-4o:0.7 >> J:claude-3-5-sonnet:0",
        3,
        JUDGED,
    ),
    Documented(
        "verification pipeline",
        verification,
        "3:E:gpt-4o:0.7 >> J:claude-3-5-sonnet:0 >> V:gpt-4o:0",
        3,
        CHECKED,
    ),
    Documented(
        "nested architecture",
        nested,
        "((3:E:gpt-4o:0.7 >> V:gpt-4o:0) & (3:E:claude-3-5-haiku:0.7 >> V:claude-3-5-haiku:0))"
        " >> J:claude-3-5-sonnet:0",
        6,
        JUDGED,
    ),
    Documented(
        "recursive component references",
        recursive_references,
        "$double_verification >> J:claude-3-5-sonnet:0",
        6,
        JUDGED,
    ),
    Documented(
        "custom operator types",
        custom_types,
        "5:E:gpt-4o:0.7 >> M >> J:claude-3-5-sonnet:0",
        5,
        JUDGED,
    ),
    Documented("nested network", nested_network, "($sub & $sub) >> J:gpt-4o:0", 4, JUDGED),
)


def branches() -> non.Operator:
    components = {
        "reasoning": [f"3:E:{GPT}:0.7", f"1:V:{GPT}:0.0"],
        "research": [f"3:E:{CLAUDE}:0.5", f"1:V:{CLAUDE}:0.0"],
    }
    spec = ["$reasoning", "$research", "1:J:claude-3-5-opus:0.0"]
    return non.build_graph(spec, components=components)


def standard() -> non.Operator:
    return non.Sequential(
        operators=[
            non.UniformEnsemble(num_units=7, model_name=GPT, temperature=0.7),
            non.JudgeSynthesis(model_name=CLAUDE, temperature=0.0),
        ]
    )


def tsunamis() -> non.Operator:
    return non.Sequential(
        operators=[
            non.UniformEnsemble(num_units=5, model_name="openai:gpt-4o-mini", temperature=0.7),
            non.JudgeSynthesis(model_name="anthropic:claude-3-5-sonnet", temperature=0.2),
            non.Verifier(model_name="anthropic:claude-3-5-haiku", temperature=0.0),
        ]
    )


# The four places of the README that show chains, in order; several of them show more than one.
README = (
    Documented(
        "nutshell: 101 answers and a judge",
        lambda: non.build_graph([f"101:E:{GPT}:0.7", f"1:J:{CLAUDE}:0.0"]),
        "101:E:gpt-4o:0.7 >> J:claude-3-5-sonnet:0",
        101,
        JUDGED,
    ),
    Documented(
        "simple example: the reasoner as one line",
        lambda: non.build_graph([f"3:E:{GPT}:0.7", f"1:J:{CLAUDE}:0.2"]),
        "3:E:gpt-4o:0.7 >> J:claude-3-5-sonnet:0.2",
        3,
        JUDGED,
    ),
    Documented(
        "compact notation: basic",
        lambda: non.build_graph([f"7:E:{GPT}:0.7"]),
        "7:E:gpt-4o:0.7",
        7,
        ANSWERS,
    ),
    Documented(
        "compact notation: voting",
        lambda: non.build_graph([f"7:E:{GPT}:0.7", "1:M"]),
        "7:E:gpt-4o:0.7 >> M",
        7,
        VOTE,
    ),
    Documented(
        "compact notation: standard API",
        standard,
        "7:E:gpt-4o:0.7 >> J:claude-3-5-sonnet:0",
        7,
        JUDGED,
    ),
    Documented(
        "compact notation: branches of components",
        branches,
        "($reasoning & $research) >> J:claude-3-5-opus:0",
        6,
        JUDGED,
    ),
    *(
        Documented(
            f"compact notation: width {width}",
            lambda width=width: non.build_graph([f"{width}:E:{GPT}:0.7", "1:M"]),
            f"{width}:E:gpt-4o:0.7 >> M",
            width,
            VOTE,
        )
        for width in (3, 7, 11)
    ),
    Documented(
        "NON patterns: ensemble, judge, verifier",
        tsunamis,
        "5:E:openai:gpt-4o-mini:0.7 >> J:anthropic:claude-3-5-sonnet:0.2"
        " >> V:anthropic:claude-3-5-haiku:0",
        5,
        CHECKED,
    ),
    Documented(
        "NON patterns: custom ensemble",
        lambda: non.build_graph([f"3:CE:{GPT}:0.7"], type_registry=own_types()),
        "3:E:gpt-4o:0.7 >> M",
        3,
        VOTE,
    ),
)
