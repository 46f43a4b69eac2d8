"""Sampling options that only some engines have: what they do, where they are refused, keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang import Chain, ChainlangError, E, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.fake.tokenizer import token_id
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.ir.sampling_options import DECLARED, DRAWS
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Message, Request, Sampling, later
from chainlang.runtime.ports.sample_keys import KEY_FORMATS
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.reference import interpret
from chainlang.settings import Format
from chainlang.store.sample_codec import Drawn, decoded, encoded
from tests.engines.server import Body, Server, as_json, chat_reply, good

LABELS = 'op mood : generate -> "pos" | "neg" { user = "{{ query }}" temperature = 1 }\nmain = '


def candidates(text: str, answer: str | None = None) -> tuple[Candidate, ...]:
    """Return the candidates of a chain on a fake engine with one reply, or with invented ones."""
    engine = FakeEngine(answers=None if answer is None else {"": answer})
    made = load(text=text) if "main" in text else chain(text)
    return made("q", engine=engine).candidates


def answers(text: str, answer: str | None = None) -> list[Any]:
    return [one.answer for one in candidates(text, answer)]


# ---------------------------------------------------------------- effects


def test_a_bias_makes_tokens_likely_or_impossible() -> None:
    assert answers('20:E(logit_bias={"7": 100})') == ["7"] * 20
    assert answers(f'20:E(logit_bias={{"#{token_id("7")}": 100}})') == ["7"] * 20
    assert "7" not in answers('50:E(logit_bias={"7": -100})')
    assert E("m", 20, logit_bias={token_id("7"): 100}) == chain(
        f'20:E:m(logit_bias={{"#{token_id("7")}": 100}})'
    )


def test_bad_words_are_not_generated() -> None:
    assert set(answers('50:E(bad_words=["1", "2", "3"])')) <= set("0456789")
    assert answers('E(bad_words="secret")', "a secret word") == ["a  word"]


def test_a_candidate_says_which_stop_ended_it() -> None:
    said = "hello world"
    (one,) = candidates('E(stop=["X", "lo"])', said)
    assert (one.answer, one.stop) == ("hel", "lo")
    (one,) = candidates('E(stop=["X", "lo"], include_stop=true)', said)
    assert (one.answer, one.stop) == ("hello", "lo")
    (one,) = candidates(f"E(stop_token_ids=[1, {token_id('o wo')}])", said)
    assert (one.answer, one.stop) == ("hell", token_id("o wo"))
    (one,) = candidates('E(stop="X")', said)
    assert (one.answer, one.stop) == (said, None)


def test_a_reply_may_ignore_the_end_of_the_model() -> None:
    (one,) = candidates('E(ignore_eos=true, max_tokens=3, cut="keep")', "ab")
    assert (one.answer, one.finish) == ("ab" * 6, "length")
    with pytest.raises(ChainlangError, match="the reply was cut"):
        candidates("E(ignore_eos=true, max_tokens=3)", "ab")


def test_the_likeliest_tokens_stand_beside_the_sampled_one() -> None:
    (one,) = candidates("E(logprobs=3)", "hello world")
    assert [position[0][0] for position in one.top_logprobs] == ["hell", "o wo", "rld"]
    assert tuple(position[0][1] for position in one.top_logprobs) == one.logprobs
    for _, *likely in one.top_logprobs:
        assert len(likely) == 3
        assert likely == sorted(likely, key=lambda pair: -pair[1])
    assert candidates("E(logprobs=true)")[0].top_logprobs == ()
    assert candidates("E(logprobs=3)")[0].answer == candidates("E(logprobs=true)")[0].answer


def test_a_candidate_has_the_probability_of_each_label() -> None:
    (one, two) = candidates(LABELS + "2:mood(choices=true)")
    assert one.choices.keys() == {"pos", "neg"}
    assert sum(one.choices.values()) == pytest.approx(1)
    assert one.choices == two.choices
    assert candidates(LABELS + "mood")[0].choices == {}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("bool", ["false", "true"]),
        ("int(1..3)", ["1", "2", "3"]),
        ('{ answer: "x" | "y" }', ["x", "y"]),
        ('{ mood: "x" | "y" }', ['{"mood": "x"}', '{"mood": "y"}']),
    ],
)
def test_labels_of_other_types(kind: str, keys: list[str]) -> None:
    text = f'op o : generate -> {kind} {{ user = "{{{{ query }}}}" choices = true }}\nmain = o'
    assert sorted(candidates(text)[0].choices) == keys


def test_further_fields_are_part_of_a_request_to_a_server() -> None:
    with Server(lambda _: good("4")) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        text = 'E(extra={"guided": {"a": true}, "user": "me"}, top_k=5, bad_words="x"'
        text += ', stop_token_ids=3, ignore_eos=true, logit_bias={"#15": -1}, max_tokens=9)'
        chain(text)("q", engine=engine)
    body = server.bodies[-1]
    sent = {"user": "me", "guided": {"a": True}, "top_k": 5, "bad_words": ["x"]}
    sent |= {"stop_token_ids": [3], "ignore_eos": True, "logit_bias": {"15": -1.0}}
    assert {name: body.get(name) for name in sent} == sent


def test_what_a_server_says_of_tokens_and_stops() -> None:
    def answer(body: Body) -> Any:
        document = chat_reply("4 END")
        token = {"token": "4 END", "logprob": -0.5}
        likely = [{"token": "a", "logprob": -2.0}, token][: body.get("top_logprobs", 0)]
        logprobs = {"content": [{**token, "top_logprobs": likely}]}
        document["choices"][0] |= {"stop_reason": "END", "logprobs": logprobs}
        return as_json(document)

    with Server(answer) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        one = chain('E(logprobs=2, stop="END", include_stop=true)')("q", engine=engine).candidates[
            0
        ]
        assert one.stop == "END"
        assert one.top_logprobs == ((("4 END", -0.5), ("4 END", -0.5), ("a", -2.0)),)
    assert server.bodies[-1]["top_logprobs"] == 2
    assert server.bodies[-1]["include_stop_str_in_output"] is True


@pytest.mark.parametrize(
    ("options", "reply", "why"),
    [
        ("logprobs=2", {"logprobs": {"content": [{"token": "4", "logprob": -1}]}}, "likeliest"),
        ('stop="END", include_stop=true', {"stop_reason": "END"}, "ignores include_stop"),
    ],
)
def test_a_server_that_ignores_an_option(options: str, reply: Mapping[str, Any], why: str) -> None:
    document = chat_reply("4")
    document["choices"][0] |= reply
    with Server(lambda _: as_json(document)) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        with pytest.raises(ChainlangError, match=why):
            chain(f"E({options})")("q", engine=engine)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_tables_have_what_a_stage_asks_for(kind: Format, tmp_path: Path) -> None:
    text = LABELS + 'mood(choices=true, logprobs=1) >> E(stop="9")'
    engine = FakeEngine(answers=lambda request, _: None if request.labels else "1 9")
    load(text=text).run(["q"], tmp_path / "out", engine=engine, format=kind)
    said, plain = (
        "".join(one.read_text("utf-8") for one in (tmp_path / "out").rglob(f"{name}/*.{kind}"))
        for name in ("mood", "E")
    )
    assert "choices" in said
    assert "top_logprobs" in said
    assert "choices" not in plain
    assert "stop" in plain


@pytest.mark.parametrize(
    "text",
    [
        '3:E(logit_bias={"7": 3}, bad_words=["1"], logprobs=2, stop="3", include_stop=true) >> M',
        'E(ignore_eos=true, max_tokens=3, cut="keep") >> J',
        LABELS + "3:mood(choices=true) >> M",
    ],
)
def test_the_runtime_agrees_with_the_reference(text: str) -> None:
    made = load(text=text) if "main" in text else chain(text)
    engine, record = FakeEngine(), Record({"query": "q"}, "1", "q")
    meant = interpret(made.body, record, engine.complete, declared=made.items)
    assert isinstance(meant, Record)
    assert made({"id": "1", "query": "q"}, engine=engine).candidates == meant.candidates


# ---------------------------------------------------------------- refusals


class Plain(FakeEngine):
    """An engine without any of these options."""

    @property
    def capabilities(self) -> Capabilities:
        return evolve(super().capabilities, name="plain", options=())


WRITTEN = {
    "bad_words": '"x"',
    "choices": "true",
    "extra": '{"a": 1}',
    "frequency_penalty": "0.5",
    "ignore_eos": "true",
    "include_stop": "true",
    "logit_bias": '{"#3": 1}',
    "min_p": "0.1",
    "min_tokens": "1",
    "presence_penalty": "0.5",
    "repetition_penalty": "1.1",
    "stop_token_ids": "3",
    "template_args": '{"enable_thinking": false}',
    "top_k": "4",
    "top_logprobs": "2",
}


def refusal(made: Chain, engine: FakeEngine | OpenAIEngine) -> str:
    with pytest.raises(ChainlangError) as raised:
        made("q", engine=engine)
    assert "error[engine]" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_what_an_engine_lacks_is_refused_with_its_place(name: str) -> None:
    option = "logprobs" if name == "top_logprobs" else name
    written = f"{option}={WRITTEN[name]}"
    made = load(text=f"{LABELS}mood:m >> mood:m({written})")
    engine = Plain()
    said = refusal(made, engine)
    what = "a number of logprobs" if name == "top_logprobs" else name
    assert f"the plain engine of m does not take {what}" in said
    start, end = said.splitlines()[4].index("^"), said.splitlines()[4].rindex("^")
    assert said.splitlines()[3][start : end + 1] == written
    assert engine.submitted == 0


def test_the_options_that_engines_declare_are_options_of_stages() -> None:
    assert DECLARED - {"top_logprobs"} <= DRAWS.keys()
    assert sorted(FakeEngine().capabilities.options) == sorted(DECLARED)


def test_the_place_may_be_in_an_op() -> None:
    made = load(text='op o : generate {\n  user = "{{ query }}"\n  top_k = 5\n}\nmain = o')
    assert "3 |   top_k = 5" in refusal(made, Plain())
    assert made("q", engine=FakeEngine()).answer


@pytest.mark.parametrize(
    ("written", "sent"), [('logit_bias={"#15": 1}', True), ("top_k=5", False), ("min_p=0.1", False)]
)
def test_openai_has_fewer_options_than_other_servers(written: str, sent: bool) -> None:
    cloud = OpenAIEngine("m", api_key="sk-1")
    other = OpenAIEngine("m", base_url="http://127.0.0.1:1/v1")
    name = written.partition("=")[0]
    assert (name in cloud.capabilities.options) is sent
    assert name in other.capabilities.options
    if not sent:
        assert f"does not take {name}" in refusal(chain(f"E({written})"), cloud)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('E(logit_bias={"seventeen": 1})', "it is 3 tokens"),
        ('E(logit_bias={"50256": 1})', "it is 2 tokens"),
        ("E(choices=true)", "not one of a few values"),
    ],
)
def test_what_the_model_can_not_do(text: str, why: str) -> None:
    assert why in refusal(chain(text), FakeEngine())


def test_a_server_alone_knows_its_tokens() -> None:
    server = OpenAIEngine("m", base_url="http://127.0.0.1:1/v1")
    said = refusal(chain('E(logit_bias={"yes": 1})'), server)
    assert "only its server knows its tokens" in said


@pytest.mark.parametrize("name", ["seed", "max_tokens", "n", "messages", "top_k", "bad_words"])
def test_fields_that_chains_set_are_no_further_fields(name: str) -> None:
    with pytest.raises(ChainlangError, match=f"extra can't have '{name}'"):
        chain(f'E(extra={{"user": "x", "{name}": 3}})')


# ---------------------------------------------------------------- keys


def request(**more: Any) -> Request:
    sampling = Sampling(temperature=0.7, max_tokens=8, **more.pop("sampling", {}))
    prompt = (Message("user", "hi"),)
    return Request(id="1", model="m", messages=prompt, sampling=sampling, seed=3, **more)


@pytest.mark.parametrize("number", KEY_FORMATS)
@pytest.mark.parametrize(
    "more",
    [
        {"top_logprobs": 2},
        {"labels": ("1", "2")},
        {"sampling": {"logit_bias": (("a", 1.0),)}},
        {"sampling": {"bad_words": ("a",)}},
        {"sampling": {"stop_token_ids": (3,)}},
        {"sampling": {"ignore_eos": True}},
        {"sampling": {"include_stop": True}},
        {"sampling": {"extra": "{}"}},
    ],
    ids=str,
)
def test_an_option_is_in_the_key_where_it_is_set(number: int, more: dict[str, Any]) -> None:
    make = KEY_FORMATS[number]({"engine": "fake"})
    assert make(request(**more)) != make(request())
    sampling = {"logit_bias": (), "ignore_eos": False}
    assert make(request(sampling=sampling, top_logprobs=0)) == make(request())
    assert later(request().sampling) == ()


def test_samples_come_back_from_a_journal_as_they_were() -> None:
    one = FakeEngine().complete(request(logprobs=True, top_logprobs=2, labels=("1", "2")))
    assert isinstance(one, Completion)
    sample = evolve(one.samples[0], stop="x")
    assert decoded(encoded(Drawn(sample, 7))).sample == sample
    assert json.loads(encoded(Drawn(sample, 7)))[1]["top_logprobs"]
