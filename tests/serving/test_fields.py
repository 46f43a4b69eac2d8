"""Further fields of a row, which a request has beside its messages."""

from __future__ import annotations

from typing import Any, Literal

import openai
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from chainlang import chain, load, op
from chainlang.engines.fake import FakeEngine
from tests.serving.served import PATIENCE, Served, asked, serving

TELL = """
type Doc = { title: str, pages: int(1..9) }
input { text: str, tone: "dry" | "warm", docs: list[Doc] = [], "How long" as long: int = 3,
  messages: list[{ role: str, content: str }] = [] }
op tell : generate {
  user = "{{ text }} {{ tone }} {{ docs | length }} {{ long }} {{ messages | length }}"
}
main = tell
"""


def engine() -> FakeEngine:
    """Return an engine that says what it was sent."""
    return FakeEngine(answers=lambda request, _: request.messages[-1].text)


@pytest.fixture(scope="module")
def served():
    with serving({"tell": load(text=TELL), "qa": chain("E")}, engine=engine()) as found:
        yield found


def tell(served: Served, fields: object, **more: Any) -> Any:
    body = {**asked("Hello"), "model": "tell", "fields": fields, **more}
    return served.client.post("/chat/completions", json=body)


def test_the_first_text_is_the_message_and_the_others_are_fields(served: Served) -> None:
    given = {"tone": "warm", "docs": [{"title": "a", "pages": 2}], "How long": 5}
    found = tell(served, given)
    assert found.json()["choices"][0]["message"]["content"] == "Hello warm 1 5 0"
    assert "x-chainlang-ignored" not in found.headers
    made = load(text=TELL)
    assert made({"text": "Hello", **given}, engine=engine()).answer == "Hello warm 1 5 0"


def test_fields_are_of_the_identity_of_a_request(served: Served) -> None:
    ids = [tell(served, {"tone": tone}).json()["id"] for tone in ("warm", "dry", "warm")]
    assert ids[0] == ids[2] != ids[1]


WRONG: dict[str, tuple[object, str, str, str]] = {
    "missing": ({}, "fields.tone", "missing_required_parameter", "a row of tell needs it"),
    "null": (None, "fields.tone", "missing_required_parameter", '"fields": {"tone": ...}'),
    "misspelt": ({"tone": "dry", "dcos": []}, "fields.dcos", "unknown_parameter", "'docs'"),
    "the message": ({"tone": "dry", "text": "a"}, "fields.text", "unknown_parameter", "messages"),
    "the turns": ({"tone": "dry", "messages": []}, "fields.messages", "unknown_parameter", "leave"),
    "the id": ({"tone": "dry", "id": "a"}, "fields.id", "unknown_parameter", "there are "),
    "a value": ({"tone": "loud"}, "fields", "invalid_input", "tone: "),
    "a part": ({"tone": "dry", "docs": [{"title": "a", "pages": 10}]}, "fields", "invalid_input",
               "pages"),
    "no object": ([], "fields", "unsupported_value", "it has to be an object"),
    "odd names": ({"tone": "dry", "a\r\nb: é": 1}, "fields.a--b---", "unknown_parameter", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_fields_are_named(served: Served, what: str, stream: bool) -> None:
    fields, param, code, message = WRONG[what]
    found = tell(served, fields, stream=stream)
    error = found.json()["error"]
    assert (found.status_code, error["param"], error["code"]) == (400, param, code)
    assert message in error["message"]


def test_a_model_without_further_fields_takes_none(served: Served) -> None:
    body = asked("Hello") | {"model": "qa"}
    for fields in ({}, None):
        found = served.client.post("/chat/completions", json={**body, "fields": fields})
        assert found.status_code == 200
    error = served.client.post("/chat/completions", json={**body, "fields": {"a": 1}}).json()
    assert error["error"]["param"] == "fields.a"
    assert "the model has no further fields" in error["error"]["message"]


def test_openai_python_sends_them_and_reads_their_types(served: Served) -> None:
    with openai.OpenAI(base_url=served.url, api_key="none", timeout=PATIENCE) as client:
        made = client.chat.completions.create(
            model="tell",
            messages=[{"role": "user", "content": "Hello"}],
            extra_body={"fields": {"tone": "dry"}},
        )
        assert made.choices[0].message.content == "Hello dry 0 3 0"
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model="tell", messages=[{"role": "user", "content": "Hello"}]
            )
        assert (caught.value.param, caught.value.code) == (
            "fields.tone", "missing_required_parameter",
        )  # fmt: skip
        rows = {one.id: (one.model_extra or {}).get("chainlang") for one in client.models.list()}
    assert rows["qa"] is None
    assert rows["tell"]["message"] == "text"
    assert rows["tell"]["fields"]["required"] == ["tone"]
    assert set(rows["tell"]["fields"]["properties"]) == {"tone", "docs", "How long"}
    assert {"tell", "qa"} == rows.keys()


def test_the_page_says_which_fields_a_model_takes(served: Served) -> None:
    page = served.client.get(f"{served.url.removesuffix('/v1')}/openapi.json").json()
    posted = page["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    schema = {**posted["content"]["application/json"]["schema"], "components": page["components"]}
    check = Draft202012Validator(schema)
    for fields, fits in (
        ({"tone": "dry"}, True),
        ({"tone": "dry", "docs": [{"title": "a", "pages": 2}]}, True),
        ({"tone": "dry", "docs": [{"title": "a", "pages": 20}]}, False),
        ({"tone": "loud"}, False),
        ({}, False),
        ({"tone": "dry", "more": 1}, False),
    ):
        body = {**asked("Hello"), "model": "tell", "fields": fields}
        assert check.is_valid(body) is fits, fields
        assert (tell(served, fields).status_code == 200) is fits
    assert check.is_valid({**asked("Hello"), "model": "qa", "fields": None})
    assert not check.is_valid({**asked("Hello"), "model": "qa", "fields": {"a": 1}})


class Asked(BaseModel):
    text: str
    tone: Literal["dry", "warm"]
    long: int = 3


def test_a_class_has_fields_too() -> None:
    made = chain(op("say", user="{{ text }} {{ tone }} {{ long }}"), input=Asked)
    with serving(made) as served:
        good = served.chat(fields={"tone": "dry", "long": 4})
        assert good.status_code == 200, good.text
        wrong = served.chat(fields={"tone": "loud"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "fields")
        (row,) = served.client.get("/models").json()["data"]
    assert row["chainlang"]["message"] == "text"
    assert row["chainlang"]["fields"]["required"] == ["tone"]


def test_the_query_is_the_message_wherever_it_stands() -> None:
    made = load(
        text="input { tone: str, query: str }\n"
        'op tell : generate { user = "{{ query }} {{ tone }}" }\nmain = tell'
    )
    with serving(made, engine=engine()) as served:
        (row,) = served.client.get("/models").json()["data"]
        assert row["chainlang"]["message"] == "query"
        assert served.chat("Why?", fields={"tone": "dry"}).status_code == 200
