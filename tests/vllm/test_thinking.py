"""Models that think, on vLLM: reasoning apart, schemas after it, and budgets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import settings

from chainlang import E, chain, load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.errors import EngineError
from chainlang.protocol.messages import Completion, Delta, Message, Request, Sample, Sampling
from chainlang.protocol.reasoning_tags import REASONING_TAGS
from chainlang.semantics.continuing import continuing
from tests.laws import CI
from tests.vllm.models import thinking_llama

HOW = (Message("user", "17 + 25?"),)
FEW = 200 if settings().max_examples > CI else 20
"""Replies with a schema: all of them in the soak."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return thinking_llama(tmp_path_factory.mktemp("models") / "thinking")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(folder, max_num_seqs=32, max_model_len=1024, reasoning="deepseek_r1")
    yield made
    made.close()


def ask(count: int = 1, how: str = "", **more: object) -> Request:
    args = json.dumps({"thinking": how}) if how else ""
    sampling = Sampling(temperature=1.0, max_tokens=200)
    request = Request(
        id="1", model="m", messages=HOW, sampling=sampling, seed=7, count=count, template_args=args
    )
    return evolve(request, **more)


def finish(engine: VllmEngine, *requests: Request) -> list[Completion]:
    engine.submit(requests)
    found: dict[str, Completion] = {}
    while len(found) < len(requests):
        for one in engine.step():
            assert isinstance(one, Completion | Delta), one
            if isinstance(one, Completion):
                found[one.id] = one
    return [found[request.id] for request in requests]


def samples(engine: VllmEngine, request: Request) -> tuple[Sample, ...]:
    return finish(engine, request)[0].samples


def test_reasoning_stays_apart(engine: VllmEngine) -> None:
    for one in samples(engine, ask(8)):
        assert re.fullmatch("[a-h]+", one.reasoning)
        assert re.fullmatch("[45].*", one.text)
        assert "think" not in one.text + one.reasoning
        assert len(one.token_ids) == one.tokens == one.needs


@pytest.mark.parametrize(
    ("how", "reasoning", "text"),
    [("no", "", "[45].*"), ("open", "[a-h]+", "[45].*"), ("never", "", "7.*")],
)
def test_the_prompt_says_whether_a_reply_thinks(
    engine: VllmEngine, how: str, reasoning: str, text: str
) -> None:
    for one in samples(engine, ask(4, how)):
        assert re.fullmatch(reasoning, one.reasoning)
        assert re.fullmatch(text, one.text)


def test_a_vote_counts_answers_alone(engine: VllmEngine) -> None:
    result = chain("9:E:m:1 >> M")("17 + 25?", engine=engine)
    answers = [one.answer for one in result.trace[0].candidates]
    assert len({one.reasoning for one in result.trace[0].candidates}) > 3
    assert sum(result["votes"].values()) == 9
    assert {json.loads(vote) for vote in result["votes"]} == set(answers)


def test_a_stop_string_ends_a_text_and_no_reasoning(engine: VllmEngine) -> None:
    free = samples(engine, ask(8))
    stopped = samples(engine, evolve(ask(8), sampling=evolve(ask().sampling, stop=("a", "5"))))
    assert any("a" in one.reasoning for one in free)
    for one, other in zip(free, stopped, strict=True):
        assert one.reasoning == other.reasoning
        assert other.text == re.split("[a5]", one.text)[0]


@pytest.mark.parametrize("how", ["", "open", "no", "long"])
def test_a_schema_holds_after_the_reasoning(engine: VllmEngine, how: str) -> None:
    op = """
    op sum : generate -> { answer: int(0..99), sure: bool } {
      user = "{{ query }}" thinking_tokens = 30 max_tokens = 300
    }
    """
    made = load(text=f"{op} main = {FEW}:sum:m:1")
    if how:
        made = load(
            text=f'{op.replace("user", f"""template_args = {{"thinking": "{how}"}} user""")}'
            f" main = {FEW}:sum:m:1"
        )
    result = made("17 + 25?", engine=engine)
    assert len(result.candidates) == FEW
    assert all(0 <= one.fields["answer"] <= 99 for one in result.candidates)
    assert all(bool(one.reasoning) == (how != "no") for one in result.candidates)
    closed = sum(event.kind == "closed" for event in result.events)
    assert closed == FEW if how == "long" else closed < FEW
    assert "unenforced" not in {event.kind for event in result.events}


@pytest.mark.parametrize("budget", [1, 5, 40])
def test_reasoning_of_any_length_ends_at_its_budget(engine: VllmEngine, budget: int) -> None:
    result = chain(f'6:E:m:1(thinking_tokens={budget}, template_args={{"thinking": "long"}})')(
        "17 + 25?", engine=engine
    )
    assert [event.kind for event in result.events] == ["closed"] * 6
    for one in result.candidates:
        assert len(one.reasoning) == budget
        assert re.fullmatch("[45].*", one.answer)
    assert result.usage.calls == 6


def test_a_budget_that_is_not_reached_changes_no_token(engine: VllmEngine) -> None:
    free = samples(engine, ask(12))
    ends = [one.token_ids.index(engine.reader.prompts.tags.end_id) for one in free]  # type: ignore[union-attr]
    budget = sorted(ends)[6]
    bound = samples(engine, ask(12, thinking_tokens=budget))
    for end, one, other in zip(ends, free, bound, strict=True):
        assert (other.finish == "budget") == (end > budget)
        assert other == one if end <= budget else other.token_ids == one.token_ids[:budget]


def test_what_continues_is_one_reply_with_its_tokens(engine: VllmEngine) -> None:
    request = ask(2, "long", thinking_tokens=5, logprobs=True)
    for number, sample in enumerate(samples(engine, request)):
        assert (sample.finish, sample.tokens, sample.text) == ("budget", 5, "")
        (done,) = samples(engine, continuing(request, number, sample))
        assert done.token_ids[:5] == sample.token_ids
        assert len(done.logprobs) == len(done.token_ids) == done.tokens
        assert (done.closed, done.reasoning) == (True, sample.reasoning)


def test_a_reply_that_is_all_reasoning_was_cut(engine: VllmEngine) -> None:
    made = E("m", temperature=1.0, max_tokens=20, template_args={"thinking": "long"})
    (failed,) = made.map(["17 + 25?"], engine=engine)
    assert failed.failure is not None
    assert failed.failure.cause == "cut"
    assert "before the model had done with its reasoning" in failed.failure.message


def test_requests_alone_and_together_have_equal_tokens(engine: VllmEngine) -> None:
    made = chain("3:E:m:1(thinking_tokens=4) & 2:E:m:1(thinking_tokens=9)")
    rows = [f"{number} + 1?" for number in range(6)]
    alone = list(made.map(rows, engine=engine, window=1, passes=()))
    together = list(made.map(rows, engine=engine))
    assert [one.candidates for one in alone] == [one.candidates for one in together]


@pytest.mark.parametrize("options", ["", "thinking_tokens=3", 'stop="!"'])
def test_a_stream_tells_reasoning_from_text(engine: VllmEngine, options: str) -> None:
    async def streamed() -> tuple[dict[tuple[int, str], str], list[tuple[str, str]]]:
        stream = chain(f"3:E:m:1({options})").stream("q", engine=engine)
        found: dict[tuple[int, str], str] = {}
        async for one in stream:
            found[one.sample, one.kind] = found.get((one.sample, one.kind), "") + one.text
        return found, [(one.reasoning, one.text) for one in stream.result.candidates]

    found, whole = asyncio.run(streamed())
    assert [
        (found.get((number, "reasoning"), ""), found.get((number, "text"), ""))
        for number in range(3)
    ] == whole


def test_parsers_and_budgets_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(EngineError, match="did you mean 'qwen3'"):
        VllmEngine(folder, reasoning="qwen")
    with pytest.raises(EngineError, match=r"no token '\[THINK\]', as the parser 'mistral' needs"):
        VllmEngine(folder, reasoning="mistral", loaded=False)
    plain = VllmEngine(folder, loaded=False)
    with pytest.raises(EngineError, match="so thinking_tokens has no effect"):
        chain("E:m(thinking_tokens=3)")("q", engine=plain)


def test_reasoning_and_arguments_are_in_the_fingerprint(folder: Path) -> None:
    settings = ({}, {"reasoning": "qwen3"}, {"template_args": {"thinking": "no"}})
    made = [VllmEngine(folder, loaded=False, **given).fingerprint for given in settings]
    assert [made[0].items() <= one.items() for one in made] == [True] * 3
    assert len({str(one) for one in made}) == 3


def test_the_tags_are_those_of_vllm() -> None:
    from vllm.reasoning import ReasoningParserManager

    known = {*ReasoningParserManager.list_registered()}
    assert REASONING_TAGS.keys() <= known
    r1 = ReasoningParserManager.get_reasoning_parser("deepseek_r1")
    assert (r1.start_token.fget(None), r1.end_token.fget(None)) == REASONING_TAGS["deepseek_r1"]
