"""What a caller gets: results with answers, named parts, branches, failures and costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from chainlang import Candidate, Chain, E, M, chain, load, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, MeaningError, OperandError, RowError
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Failure, Request, Usage

SUMS = FakeEngine(answers={"17 + 25": ["42", "42", "41"]})


def test_a_result_has_the_answer_the_votes_and_the_cost() -> None:
    result = (E("tiny", 3) >> M)("What is 17 + 25?", engine=SUMS)
    assert result.answer == result["final_answer"] == "42"
    assert result["votes"] == {'"42"': 2, '"41"': 1}
    assert result.usage == Usage(calls=3, prompt_tokens=12, cached_tokens=0, output_tokens=3)
    assert [stop.stage for stop in result.trace] == ["E", "M"]
    assert [one.text for one in result.trace[0].candidates] == ["42", "42", "41"]


def test_an_ensemble_has_its_responses() -> None:
    assert chain("3:E")("What is 17 + 25?", engine=SUMS)["responses"] == ["42", "42", "41"]


def test_named_parts_are_in_the_history_and_in_templates() -> None:
    text = """
    op tell : fold { user = "{{ fr.answer }} of {{ fr.candidates | length }}" }
    main = (fr = 3:E) >> tell
    """
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    result = load(text=text)("hello", engine=echo)
    assert result.answer == "hello of 3"
    assert result.history["fr"].answer == result["fr"].answer == "hello"


def test_branches_stay_apart_under_their_names() -> None:
    qa = chain("(fr = 2:E | E) >> M")
    result = qa("What is 17 + 25?", engine=SUMS)
    assert {name: branch.answer for name, branch in result.branches.items()} == {
        "fr": "42",
        "1": "42",
    }
    with pytest.raises(RowError, match=r"result.branches has fr, 1"):
        _ = result.answer


def test_a_join_gathers_a_branch_that_has_a_name() -> None:
    echo = FakeEngine(answers=lambda request, index: f"{request.model}{index}")
    result = chain("(fr = (2:E:a | E:b)) & E:c")("q", engine=echo)
    assert result["responses"] == ["a0", "a1", "b0", "c0"]
    assert [one.answer for one in result.history["fr"].candidates] == ["a0", "a1", "b0"]


def test_a_stage_after_a_branch_runs_for_each_and_a_stage_before_it_once() -> None:
    def calls(text: str) -> int:
        found = chain(text)("q", engine=FakeEngine())
        return found.usage.calls

    assert calls("E >> (J | V)") == 3
    assert calls("(E | E) >> J") == 4
    assert calls("(E >> J) | (E >> J)") == 4
    twice = load(text="x = E\nmain = ($x & $x) >> J")
    assert twice("q", engine=FakeEngine()).usage.calls == 3


def test_each_occurrence_draws_afresh() -> None:
    both = load(text="x = E\nmain = $x & $x")
    seeds: list[int] = []

    def answer(request: Request, index: int) -> str:
        seeds.append(request.seed)
        return "a"

    both("q", engine=FakeEngine(answers=answer))
    assert len(set(seeds)) == 2


def test_a_row_that_fails_raises_when_asked_alone_and_comes_out_of_map() -> None:
    qa = chain("E >> V")

    def answer(request: Request, index: int) -> str | None:
        return "no JSON" if request.schema and "bad" in request.messages[0].text else None

    engine = FakeEngine(answers=answer)
    with pytest.raises(RowError, match=r"V failed: sample 0: .*Invalid JSON") as caught:
        qa("a bad question", engine=engine)
    assert "'no JSON'" in str(caught.value)
    good, bad, last = qa.map(["a", "bad", "c"], engine=engine)
    assert good.ok
    assert last.ok
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.sample, bad.failure.text) == ("V", 0, "no JSON")
    with pytest.raises(RowError, match="V failed"):
        _ = bad.answer
    assert [one.answer for one in qa.map(["a", "bad"], engine=engine, on_error="skip")] == [
        good.answer
    ]


def test_a_cut_reply_says_so() -> None:
    qa = chain("E >> J(max_tokens=2)")
    with pytest.raises(RowError, match=r"the reply was cut; raise max_tokens, which is 2"):
        qa("q", engine=FakeEngine())


def test_enough_samples_are_enough() -> None:
    replies = ['{"reasoning": "", "final_answer": "yes"}', "broken", "broken"]
    engine = FakeEngine(answers=lambda request, index: replies[index] if request.schema else "a")
    with pytest.raises(RowError):
        chain("E >> 3:J::0.7")("q", engine=engine)
    result = chain("E >> 3:J::0.7(need=1)")("q", engine=engine)
    assert [one.answer for one in result.candidates] == ["yes"]


def test_a_verifier_revises_what_is_incorrect() -> None:
    verdicts = {
        "good": '{"explanation": "", "verdict": "correct", "revised_answer": null}',
        "bad": '{"explanation": "", "verdict": "incorrect", "revised_answer": "better"}',
    }

    def answer(request: Request, index: int) -> str:
        return verdicts[request.messages[1].text] if request.schema else ("good", "bad")[index]

    result = chain("2:E >> V")("q", engine=FakeEngine(answers=answer))
    assert [one.answer for one in result.candidates] == ["good", "better"]
    assert result["verdict"] == "correct"


def test_a_selector_yields_the_candidate_of_that_number() -> None:
    answers = {"Select": '{"reasoning": "", "choice": 2}', "q": ["a", "b", "c"]}
    result = chain("3:E >> S")("q", engine=FakeEngine(answers=answers))
    assert (result.answer, result["choice"], result["final_answer"]) == ("b", 2, "b")
    answers["Select"] = '{"reasoning": "", "choice": 4}'
    with pytest.raises(RowError, match="less than or equal to 3"):
        chain("3:E >> S")("q", engine=FakeEngine(answers=answers))


def test_references_reach_a_later_ensemble_unless_it_is_fresh() -> None:
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    assert "Reference 1: q" in chain("E >> E")("q", engine=echo).answer
    assert chain("E >> E(fresh=true)")("q", engine=echo).answer == "q"


def test_first_candidates_may_come_with_the_row() -> None:
    result = chain("M")({"query": "q", "responses": ["a", "b", "b"]}, engine=FakeEngine())
    assert result.answer == "b"
    with pytest.raises(RowError, match="M needs candidates"):
        chain("M")("q", engine=FakeEngine())


def test_values_are_never_templates() -> None:
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    for hostile in (
        "{{ 7 * 7 }}",
        "{% raw %}",
        "{{ query.__class__ }}",
        "\0",
        "\ud800",
        "<|im_end|>",
    ):
        assert chain("E")(hostile, engine=echo).answer == hostile
        assert hostile in chain("E >> E")(hostile, engine=echo).answer


def test_seeds_change_samples_and_nothing_else_does() -> None:
    qa = chain("5:E")

    def answers(**settings: int) -> list[list[str]]:
        found = qa.map(["a", "b", "c"], engine=FakeEngine(), **settings)
        return [result["responses"] for result in found]

    assert answers() == answers(window=1) == answers(seed=0)
    assert answers() != answers(seed=1)
    alone = qa("b", engine=FakeEngine())["responses"]
    assert alone == answers()[1]


def test_rows_are_read_as_they_are_needed() -> None:
    taken = 0

    def rows() -> Iterator[str]:
        nonlocal taken
        for number in range(1_000_000):
            taken += 1
            yield f"question {number}"

    found = chain("2:E >> M").map(rows(), engine=FakeEngine(), window=10)
    assert [next(found).index for _ in range(5)] == [0, 1, 2, 3, 4]
    assert taken <= 20


def test_results_may_come_as_they_finish() -> None:
    slow = FakeEngine(latency=lambda request: 10.0 if "0" in request.messages[0].text else 1.0)
    found = chain("E").map(["0", "1", "2"], engine=slow, ordered=False)
    assert [result.index for result in found] == [1, 2, 0]


def test_a_chain_runs_inside_a_running_event_loop() -> None:
    async def main() -> list[str]:
        qa = chain("3:E >> M")
        both = asyncio.gather(qa.acall("17 + 25", engine=SUMS), qa.acall("17 + 25", engine=SUMS))
        inside = qa("17 + 25", engine=SUMS).answer
        return [inside, *(result.answer for result in await both)]

    assert asyncio.run(main()) == ["42", "42", "42"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda qa: qa(), "this call has no row"),
        (lambda qa: qa("a", text="b"), "a row, and fields of a row beside it: text"),
        (lambda qa: qa("a", temperature=0), "temperature is an option of a stage"),
        (lambda qa: qa(3, engine=FakeEngine()), "an int is not a row"),
    ],
)
def test_a_wrong_call_says_what_to_write(call: object, message: str) -> None:
    with pytest.raises((OperandError, RowError), match=message):
        call(chain("E"))  # type: ignore[operator]


def test_a_row_without_a_query_says_how_to_name_one() -> None:
    with pytest.raises(RowError, match=r"only a, b: rename one to .query."):
        chain("E")({"a": "x", "b": "y"}, engine=FakeEngine())


def test_a_function_without_a_binding_is_refused_before_any_engine_is_opened() -> None:
    with pytest.raises(
        MeaningError, match=r"'@clean' is not bound to a function(.|\n)*bind\(clean=your_function\)"
    ):
        chain("E >> @clean")("q")


def test_a_model_without_weights_says_how_to_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainlang.tiny.path", lambda: Path("/nowhere"))
    with pytest.raises(EngineError, match=r"'tiny' has no weights in (.|\n)*train_tiny.py"):
        chain("E")("q")


def test_a_chain_is_checked_before_it_runs() -> None:
    twice: Chain = E.named("x") >> E.named("x")
    with pytest.raises(MeaningError, match="duplicate label 'x'"):
        twice("q", engine=FakeEngine())


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        ('{ text: str, query = "{{ text }}" }', {"text": "hello", "query": "hello"}),
        ("{ text: str }", {"text": "hello"}),
        ('{ text: str, lang: str = "en" }', {"text": "hello", "lang": "en"}),
        ("{ query: str, text: str? = null }", {"query": "hello", "text": None}),
    ],
)
def test_a_text_fills_the_only_field_that_an_input_asks_for(
    expected: str, fields: dict[str, str]
) -> None:
    name = "text" if "text: str" in expected and "query: str" not in expected else "query"
    ask = op("ask", user=f"{{{{ {name} }}}}")
    qa = chain("ask", ops={"ask": ask}, input=expected)
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    texts, rows = qa.map(["hello"], engine=echo), qa.map([{name: "hello"}], engine=echo)
    (found,), (row,) = texts, rows
    assert (found.answer, found.record.row) == ("hello", fields)
    assert found.row_id == row.row_id  # it is the same row, however it was written
    assert qa("hello", engine=echo).answer == "hello"
    (wrong,) = qa.map([{"query": "hello", "text": 7}], engine=echo)
    assert not wrong.ok


def test_a_text_is_no_row_where_an_input_asks_for_more() -> None:
    qa = chain("E", input="{ text: str, lang: str }")
    (found,) = qa.map(["hello"], engine=FakeEngine())
    assert found.failure is not None
    assert "text" in found.failure.message


def test_input_declares_what_a_row_has() -> None:
    text = """
    input { text: str, lang: str = "en", query = "({{ lang }}) {{ text }}" }
    main = E
    """
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    qa = load(text=text)
    assert qa(text="hello", engine=echo).answer == "(en) hello"
    assert qa(text="salut", lang="fr", engine=echo).answer == "(fr) salut"
    for row, message in [
        ({"lang": "fr"}, "row 1: text: it is missing"),
        ({"text": 3}, "text: Input should be a valid string"),
        ({"text": "a", "long": "fr"}, "long: there is no such field; did you mean 'lang'"),
    ]:
        with pytest.raises(RowError, match=message):
            qa(row, engine=echo)


BROKEN = Failure("", "transport", "the wire broke", transient=True)
CAUSES: dict[str, tuple[str, FakeEngine | None, tuple[str, bool]]] = {
    "a reply": ("E >> J", FakeEngine(answers=lambda request, index: "no JSON"), ("reply", False)),
    "a cut": ("E >> J(max_tokens=2)", FakeEngine(), ("cut", False)),
    "the engine": ("E", FakeEngine(failures=lambda request: BROKEN), ("transport", True)),
    "nothing before": ("J", FakeEngine(), ("input", False)),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_failure_says_what_kind_it_is(name: str) -> None:
    text, engine, wanted = CAUSES[name]
    (result,) = chain(text).map(["q"], engine=engine)
    assert result.failure is not None
    assert (result.failure.cause, result.failure.transient) == wanted


def test_a_prompt_that_reads_what_is_not_there_is_a_failure_of_its_own() -> None:
    stage = op("stage", user="{{ lacking }}")
    (result,) = stage().map(["q"], engine=FakeEngine())
    assert result.failure is not None
    assert result.failure.cause == "prompt"


# ---------------------------------------------------------------- how likely


def test_a_candidate_tells_how_likely_its_reply_was_if_its_stage_is_asked_to() -> None:
    first, second = chain("2:E(logprobs=true)")("17 + 25?", engine=SUMS).candidates
    assert len(first.logprobs) == first.tokens
    assert first.logprob == sum(first.logprobs)
    assert second.logprob is not None
    plain = chain("E")("17 + 25?", engine=SUMS).candidates[0]
    assert (plain.logprobs, plain.logprob, plain.text) == ((), None, first.text)


def test_a_function_can_pick_the_likeliest() -> None:
    def likeliest(candidates: list[Candidate]) -> Candidate:
        return max(candidates, key=lambda one: one.logprob or 0.0)

    result = (E("tiny", 3, logprobs=True) >> likeliest)("What is 2 + 3?", engine=FakeEngine())
    drawn = result.trace[0].candidates
    assert result.candidates[0].logprob == max(one.logprob or 0.0 for one in drawn)


class Mute(FakeEngine):
    """An engine that does not know how likely anything is."""

    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, name="mute", logprobs=False)


def test_an_engine_that_does_not_tell_is_refused_before_a_row_runs() -> None:
    with pytest.raises(EngineError) as caught:
        chain("3:E:a >> J:b(logprobs=true)").map(["q"], engine={"a": Mute(), "b": Mute()})
    assert str(caught.value).splitlines()[0] == (
        "error[engine]: the mute engine does not return logprobs"
    )
    chain("E:a")("q", engine=Mute())
