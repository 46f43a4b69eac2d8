"""Ember's documented words: each makes an ordinary chain, called and read as Ember shows it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from chainlang import Chain, ChainlangError, E, J, M, V, chain
from chainlang.compat.ember import non
from chainlang.engines.fake import FakeEngine
from chainlang.notation import unparse
from tests.compat.documented import COMPACT, README, Documented

JUDGED = '{"reasoning": "17 + 25 = 42", "final_answer": "42"}'
_DOCUMENTED = pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
"""Ember's documents draw several samples at temperature 0."""
WRONG = '{"explanation": "7 + 5 = 12", "verdict": "incorrect", "revised_answer": "42"}'


@_DOCUMENTED
@pytest.mark.parametrize("shown", [*COMPACT, *README], ids=lambda shown: shown.name)
def test_what_the_documents_show_means_what_they_say(shown: Documented) -> None:
    made = shown.build()
    assert isinstance(made.as_chain(), Chain)
    assert unparse(made.body) == shown.text
    assert Chain.from_json(made.to_json()) == made


@_DOCUMENTED
@pytest.mark.parametrize("shown", [*COMPACT, *README], ids=lambda shown: shown.name)
def test_an_ensemble_and_branches_are_in_flight_together(shown: Documented) -> None:
    engine = FakeEngine(latency=lambda _: 1.0)
    made = shown.build()
    # As it is written: the optimizer draws once what is equal at temperature 0.
    result = made(query="What causes the northern lights?", engine=engine, passes=())
    for name in shown.keys:
        assert result[name] is not None or name == "revised_answer", name
    assert engine.most_in_flight == shown.wide


def test_operators_are_ordinary_chains() -> None:
    three = non.UniformEnsemble(num_units=3, model_name="a", temperature=0.7, max_tokens=9)
    assert three == E("a", 3, 0.7, max_tokens=9)
    assert non.JudgeSynthesis() == J("gpt-4o", 1, 1.0)
    assert non.JudgeSynthesis(model_name="b", temperature=0.0, max_tokens=5) == J(
        "b", 1, 0, max_tokens=5
    )
    assert non.MostCommon() == M()
    assert non.Verifier(model_name="b", temperature=0.0) == V("b", 1, 0)
    assert non.Sequential(operators=[three, non.MostCommon()]) == three >> M
    configs = [
        non.LMModuleConfig(model_name="a", temperature=0.3),
        non.LMModuleConfig(model_name="b", max_tokens=7),
    ]
    assert non.VariedEnsemble(model_configs=configs) == E("a", 1, 0.3) & E(
        "b", 1, 1.0, max_tokens=7
    )
    assert hash(three) == hash(E("a", 3, 0.7, max_tokens=9))


class Question(BaseModel):
    query: str


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (("17 + 25?",), {}),
        ((), {"query": "17 + 25?"}),
        ((), {"inputs": {"query": "17 + 25?"}}),
        ((), {"inputs": Question(query="17 + 25?")}),
        (({"query": "17 + 25?"},), {}),
    ],
)
def test_every_documented_way_of_calling(
    args: tuple[object, ...], fields: dict[str, object]
) -> None:
    engine = FakeEngine(answers={"Judge": JUDGED, "17": "42"})
    made = non.build_graph(["3:E:gpt-4o:0.7", "1:J:gpt-4o:0.0"])
    assert made(*args, engine=engine, **fields) == made("17 + 25?", engine=engine)


def test_a_call_has_one_row() -> None:
    with pytest.raises(ChainlangError, match="not with both"):
        non.MostCommon()("q", inputs={"query": "q"})


def test_results_are_read_by_attribute_by_key_and_with_get() -> None:
    engine = FakeEngine(answers={"Judge": JUDGED, "17": ["42", "12"]})
    answers = non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7)(
        "17?", engine=engine
    )
    assert answers.responses == answers["responses"] == ["42", "12"]
    judge = non.JudgeSynthesis(model_name="b")
    judged = judge(query="17?", responses=answers.responses, engine=engine)
    assert judged.final_answer == judged["synthesized_response"] == judged.answer == "42"
    assert judged.reasoning == "17 + 25 = 42"
    assert judged.get("confidence", 0.0) == 0.0
    with pytest.raises(AttributeError, match="available: answer, responses, reasoning"):
        judged.confidence  # noqa: B018
    assert not hasattr(judged, "_secret")


def test_operators_wired_by_hand() -> None:
    """Ember's classes call their operators one by one, and hand on what they need."""
    engine = FakeEngine(answers={"Verify": WRONG, "12": "12"})
    voted = non.MostCommon()(responses=["12", "42", "12"], query="17?", engine=engine)
    assert (voted.final_answer, voted.confidence) == ("12", 2 / 3)
    verifier = non.Verifier(model_name="b", temperature=0.0)
    for checked in (
        verifier(query="17?", candidate_answer=voted.final_answer, engine=engine),
        verifier(inputs={"query": "17?", "candidate_answer": "12"}, engine=engine),
    ):
        assert (checked.verdict, checked.revised_answer, checked.answer) == (
            "incorrect",
            "42",
            "42",
        )


# ---------------------------------------------------------------- the registry


def test_a_registry_is_the_whole_of_its_types() -> None:
    registry = non.OpRegistry()
    registry.register("X", lambda count, model, temp: E(model, count, temp) >> M)
    assert registry.get_codes() == ["X"]
    assert registry.has_type("X")
    assert not registry.has_type("E")
    assert non.build_graph("2:X:a:0.5", type_registry=registry) == E("a", 2, 0.5) >> M
    for attempt in (
        lambda: non.build_graph(["2:X", "1:J"], type_registry=registry),
        lambda: registry.create("J", 1, "a", 0.0),
    ):
        with pytest.raises(ChainlangError, match="no type 'J'") as caught:
            attempt()
        assert caught.value.diagnostics[0].hint == "it has: X"


def test_a_standard_type_can_be_given_another_meaning() -> None:
    registry = non.OpRegistry.create_standard_registry()
    assert registry.create("MC", 1, "", 0.0) == M()
    assert registry.create("UE", 2, "a", 0.5) == E("a", 2, 0.5)
    assert non.build_graph("2:E:a(top_p=0.5) >> J", type_registry=registry) == chain(
        "2:E:a(top_p=0.5) >> J"
    )
    registry.register("J", lambda *_: "S:b")
    assert non.build_graph(["2:E", "1:J:a"], type_registry=registry) == chain("2:E >> S:b")


def test_a_registry_changes_no_other() -> None:
    non.OpRegistry.create_standard_registry().register("CE", lambda *_: E)
    assert not non.OpRegistry.create_standard_registry().has_type("CE")


# ---------------------------------------------------------------- what Ember refuses, and we do


@pytest.mark.parametrize(
    "build",
    [
        lambda: non.build_graph("3:E:a:7"),
        lambda: non.build_graph("0:E:a:0.7"),
        lambda: non.build_graph("3:Q:a:0.7"),
        lambda: non.build_graph("$x", components={"y": "E"}),
        lambda: non.build_graph("$x", components={"x": ["$x", "M"]}),
        lambda: non.build_graph({"a": "E"}),  # type: ignore[arg-type]
        lambda: non.build_graph([]),
        lambda: non.Sequential(operators=[]),
        lambda: non.Sequential(operators=[3]),  # type: ignore[list-item]
        lambda: non.VariedEnsemble(model_configs=[]),
        lambda: non.UniformEnsemble(num_units=0, model_name="a", temperature=0.7),
    ],
)
def test_what_is_refused(build: object) -> None:
    with pytest.raises(ChainlangError):
        build()  # type: ignore[operator]
