"""Chat completions: what a chain answers, whole and streamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.errors import OperandError
from chainlang.serving import application
from tests.serving.served import Served, said, serving

ANSWERS = {"17 + 25": ["42", "41", "42"], "thought": Reply("42", reasoning="7 + 5 is 12")}
CHAINS = ["E", "3:E >> M", "2:E >> J", "E >> V", "a = E & b = E", "x = E | y = 2:E >> J", "3:E"]


@pytest.mark.quick(2)
@pytest.mark.parametrize("text", CHAINS)
def test_the_answer_is_that_of_the_chain(text: str) -> None:
    made = chain(text)
    expected = made("Why is it so?", engine=FakeEngine(), seed=3)
    with serving(made) as served:
        whole = served.chat("Why is it so?", seed=3).json()
    with serving(made) as served:  # an engine that has not answered it yet, so the usage is equal
        chunks = served.chunks("Why is it so?", seed=3, stream_options={"include_usage": True})
    answers = (
        json.dumps({name: one.answer for name, one in expected.branches.items()})
        if expected.branches
        else expected.answer
    )
    assert whole["choices"][0]["message"]["content"] == answers == said(chunks)
    usage = expected.usage
    assert whole["usage"] == chunks[-2]["usage"]
    assert whole["usage"]["prompt_tokens"] == usage.prompt_tokens
    assert whole["usage"]["completion_tokens"] == usage.output_tokens
    assert whole["chainlang"]["calls"] == usage.calls
    assert {whole["id"]} == {one["id"] for one in chunks[:-1]}


def test_a_stream_has_the_form_of_the_protocol() -> None:
    with serving(chain("E"), engine=FakeEngine(answers={"": "Hello, you."})) as served:
        chunks = served.chunks(stream_options={"include_usage": True})
        without = served.chunks()
    first, *pieces, last, usage, done = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [one["choices"][0]["delta"]["content"] for one in pieces] == ["Hell", "o, y", "ou."]
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 7)
    assert (done, without[-1]) == ("[DONE]", "[DONE]")
    assert without[-2]["choices"], "the usage was not asked for"
    assert {one["object"] for one in chunks[:-1]} == {"chat.completion.chunk"}


def test_equal_requests_have_equal_choices_and_ids() -> None:
    with serving(chain("3:E >> M")) as served:
        one, same, other = (served.chat(seed=seed).json() for seed in (1, 1, 2))
        plain, zero = served.chat().json(), served.chat(seed=0).json()
        another = served.chat("Why?", seed=1).json()
    assert (one["choices"], one["id"]) == (same["choices"], same["id"])
    assert (plain["choices"], plain["id"]) == (zero["choices"], zero["id"])
    assert len({one["id"], other["id"], plain["id"], another["id"]}) == 4


def test_thoughts_votes_and_parts_have_their_fields() -> None:
    made = chain("first = E >> 3:E >> M")
    with serving(made, engine=FakeEngine(answers=ANSWERS)) as served:
        found = served.chat().json()["chainlang"]
    assert (found["votes"], found["parts"]) == ({'"42"': 2, '"41"': 1}, {"first": "42"})
    with serving(chain("E"), engine=FakeEngine(answers=ANSWERS)) as served:
        message = served.chat("thought").json()["choices"][0]["message"]
        chunks = served.chunks("thought")
    assert message == {
        "role": "assistant",
        "content": "42",
        "reasoning_content": "7 + 5 is 12",
    }
    assert (said(chunks), said(chunks, "reasoning_content")) == ("42", "7 + 5 is 12")


PAIR = """
type Pair = { left: int, right: int }
op split : generate -> Pair { user = "{{ query }}" }
main = split
"""


def test_a_typed_answer_is_json() -> None:
    answers = {"": '{"left": 17, "right": 25}'}
    with serving(load(text=PAIR), engine=FakeEngine(answers=answers)) as served:
        content = served.chat().json()["choices"][0]["message"]["content"]
        assert content == said(served.chunks())
    assert json.loads(content) == {"left": 17, "right": 25}


# ---------------------------------------------------------------- messages and fields


def echo(served: Served, messages: list[dict[str, object]]) -> tuple[str, str]:
    found = served.client.post("/chat/completions", json={"model": "chain", "messages": messages})
    assert found.status_code == 200, found.text
    content = found.json()["choices"][0]["message"]["content"]
    return content, found.headers.get("x-chainlang-ignored", "")


TURNS: list[dict[str, object]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
]


def engine() -> FakeEngine:
    """Return an engine that says what it was sent."""
    return FakeEngine(answers=lambda request, _: " / ".join(one.text for one in request.messages))


def test_the_last_text_is_the_query() -> None:
    made = load(text='op echo : generate { user = "{{ query }}" }\nmain = echo')
    with serving(made, engine=engine()) as served:
        assert echo(served, TURNS) == ("a\nb", "messages.system, messages.earlier")


ECHO = """
op echo : generate { system = "{{ system }}"  messages = "messages"  user = "{{ text }}" }
main = echo
"""
DECLARED = """
type Turn = { role: str, content: str }
input { text: str, system: str, messages: list[Turn] }
"""


def test_system_and_earlier_turns_are_fields_where_the_chain_has_them() -> None:
    with serving(load(text=DECLARED + ECHO), engine=engine()) as served:
        assert echo(served, TURNS) == ("Be brief. / Hello / Hi / a\nb", "")
        assert echo(served, TURNS[-1:])[1] == ""
    with serving(load(text=ECHO.replace("text", "query")), engine=engine()) as served:
        assert echo(served, TURNS) == ("Be brief. / Hello / Hi / a\nb", "")


def test_the_query_is_the_only_field_that_is_declared() -> None:
    made = load(text='input { text: str }\nop echo : generate { user = "{{ text }}" }\nmain = echo')
    with serving(made, engine=engine()) as served:
        assert echo(served, TURNS[-1:]) == ("a\nb", "")


def test_fields_without_effect_are_named() -> None:
    fields = {"temperature": 0.2, "top_p": 1, "max_tokens": 5, "user": "me", "x\r\ny: z": 1}
    with serving(chain("E")) as served:
        found = served.chat(**fields)
        streamed = served.chat(**fields, stream=True)
        plain = served.chat(temperature=None, n=1, tools=[], response_format={"type": "text"})
    expected = "temperature, top_p, max_tokens, user, x--y--z"
    assert found.headers["x-chainlang-ignored"] == expected
    assert streamed.headers["x-chainlang-ignored"] == expected
    assert (plain.status_code, plain.headers.get("x-chainlang-ignored")) == (200, None)
    with serving(chain("E"), strict=True) as served:
        found = served.chat(temperature=0.2)
        assert (found.status_code, found.json()["error"]["param"]) == (400, "temperature")
        assert served.chat(seed=1).status_code == 200


TONED = """
input { text: str, tone: str = "plain" }
op echo : generate { user = "{{ text }} {{ tone }}" }
main = echo
"""


class Text(BaseModel):
    text: str


def test_a_chain_that_has_no_field_for_the_text_is_refused_at_the_start() -> None:
    with pytest.raises(OperandError, match="no field of its input takes the text of a request"):
        application(chain("E", input="{ one: int, other: int }"), engine=FakeEngine())
    made = load(text='op tell : generate { user = "{{ text }} {{ tone }}" }\nmain = tell')
    with pytest.raises(OperandError, match="a row needs text, tone") as caught:
        application(made, engine=FakeEngine())
    assert "input { text: str, tone: str }" in str(caught.value)
    fine = load(text=TONED)
    with serving(fine, engine=engine()) as served:
        assert echo(served, TURNS[-1:]) == ("a\nb plain", "")
    with serving(chain("E", input=Text)) as served:
        assert served.chat("Why?").status_code == 200


FILE = """
use "common.chain"
panel = 3:E
tail = $hidden >> J
main = ($panel >> J) & $tail
"""


def test_a_file_offers_main_and_its_definitions(tmp_path: Path) -> None:
    (tmp_path / "common.chain").write_text("hidden = 2:E\n")
    path = tmp_path / "qa.chain"
    path.write_text(FILE)
    with serving(path) as served:
        names = [one["id"] for one in served.client.get("/models").json()["data"]]
        assert names == ["qa", "qa/panel", "qa/tail"]
        assert served.client.get("/models/qa/panel").json()["id"] == "qa/panel"
        found = served.chat("Why?", model="qa/panel").json()
    expected = chain("3:E")("Why?", engine=FakeEngine())
    assert (found["model"], found["chainlang"]["calls"]) == ("qa/panel", 3)
    assert found["choices"][0]["message"]["content"] == expected.answer
