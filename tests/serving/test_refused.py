"""Errors: always in the form of the protocol, whatever a client sends."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.protocol.messages import Failure
from chainlang.serving.refusals import FAULTS
from tests.serving.served import Served, asked, serving

JSON = {"content-type": "application/json"}


def is_ours(body: bytes) -> bool:
    """Return whether a body is an error of the protocol."""
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert error["type"]
    return True


@pytest.fixture(scope="module")
def served():
    with serving(chain("E")) as found:
        yield found


WRONG = {
    "no model": ({"model": None}, 400, "model"),
    "an unknown model": ({"model": "gpt"}, 404, "model"),
    "no messages": ({"messages": []}, 400, "messages"),
    "a text for messages": ({"messages": "hello"}, 400, "messages"),
    "a role": ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages"),
    "no content": ({"messages": [{"role": "user"}]}, 400, "messages"),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages",
    ),
    "the assistant last": ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages"),
    "two answers": ({"n": 2}, 400, "n"),
    "true for one": ({"n": True}, 400, "n"),
    "log probabilities": ({"logprobs": True}, 400, "logprobs"),
    "tools": ({"tools": [{"type": "function"}]}, 400, "tools"),
    "a format": ({"response_format": {"type": "json_object"}}, 400, "response_format"),
    "a seed of text": ({"seed": "1"}, 400, "seed"),
    "a large seed": ({"seed": 1 << 63}, 400, "seed"),
    "a text for stream": ({"stream": "yes"}, 400, "stream"),
    "options of a stream": ({"stream_options": 1}, 400, "stream_options"),
    "usage": ({"stream": True, "stream_options": {"include_usage": 1}}, 400, "include_usage"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_field_is_named(served: Served, what: str) -> None:
    fields, status, param = WRONG[what]
    found = served.chat(**fields)
    assert (found.status_code, is_ours(found.content)) == (status, True)
    assert found.json()["error"]["param"] == param


BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "NaN": b'{"seed": NaN}',
    "no UTF-8": b'{"model": "\xff"}',
    "half a pair": b'{"model": "\\ud800"}',
    "deep": b"[" * 100_000,
    "a long number": b'{"seed": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_none_is_refused(served: Served, what: str) -> None:
    found = served.client.post("/chat/completions", content=BODIES[what], headers=JSON)
    assert (found.status_code, is_ours(found.content)) == (400, True)


def test_a_long_body_is_refused(served: Served) -> None:
    found = served.client.post("/chat/completions", content=b" " * (5 << 20), headers=JSON)
    assert (found.status_code, is_ours(found.content)) == (413, True)


def test_what_a_page_of_another_site_could_send_is_refused(served: Served) -> None:
    body = json.dumps(asked("x")).encode()
    plain = served.client.post(
        "/chat/completions", content=body, headers={"content-type": "text/plain"}
    )
    assert (plain.status_code, is_ours(plain.content)) == (415, True)
    other = served.client.get("/models", headers={"host": "evil.example"})
    assert (other.status_code, is_ours(other.content)) == (403, True)
    origin = served.client.options("/chat/completions", headers={"origin": "http://evil.example"})
    assert (origin.status_code, is_ours(origin.content)) == (405, True)
    assert "access-control-allow-origin" not in origin.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/chat/completions", 405),
        ("POST", "/models", 405),
        ("GET", "/models/", 404),
        ("GET", "/models/gpt", 404),
        ("DELETE", "/models/chain", 405),
    ],
)
def test_other_paths_and_methods_are_errors_too(
    served: Served, method: str, path: str, status: int
) -> None:
    found = served.client.request(method, path)
    assert (found.status_code, is_ours(found.content)) == (status, True)
    asked = f"{method} /v1{path}"
    assert asked in found.text or path.removeprefix("/models/") in found.text


def test_every_cause_of_a_failure_has_its_status() -> None:
    assert FAULTS.keys() == FAILURE_MODES.keys()


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", ["context", "refused", "denied", "engine", "constraint"])
def test_a_row_that_fails_is_an_error(kind) -> None:
    engine = FakeEngine(failures=lambda request: Failure(request.id, kind, "it went wrong"))
    with serving(chain("E"), engine=engine, patience=0) as served:
        whole, chunks = served.chat(), served.chunks()
    expected = FAULTS[kind]
    assert (whole.status_code, is_ours(whole.content)) == (expected.status, True)
    assert whole.json()["error"]["code"] == expected.code
    assert whole.headers["x-should-retry"] == "false"
    assert chunks[-1] == whole.json()
    assert "[DONE]" not in chunks


def test_a_model_that_is_unavailable_can_be_asked_again() -> None:
    engine = FakeEngine(failures=lambda request: Failure(request.id, "transport", "no route"))
    with serving(chain("E"), engine=engine, patience=0) as served:
        found = served.chat()
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")


def test_a_row_that_does_not_fit_is_refused_before_a_stream_begins() -> None:
    made = chain("E", input="{ number: int }")
    with serving(made) as served:
        for stream in (False, True):
            found = served.chat(stream=stream)
            assert (found.status_code, is_ours(found.content)) == (400, True)
            assert "number" in found.json()["error"]["message"]


def test_an_error_of_ours_is_in_the_log_without_texts(caplog: pytest.LogCaptureFixture) -> None:
    def answers(request, index):
        raise OSError(f"a secret: {request.messages[-1].text}")

    for debug in (False, True):
        caplog.clear()
        with (
            caplog.at_level(logging.ERROR, "chainlang.serving"),
            serving(chain("E"), engine=FakeEngine(answers=answers), debug=debug) as served,
        ):
            whole, chunks = served.chat("private"), served.chunks("private")
        assert (whole.status_code, is_ours(whole.content)) == (500, True)
        assert chunks[-1]["error"]["code"] == "internal_error"
        assert "OSError" in caplog.text
        assert ("private" in caplog.text) is debug
        assert "private" not in whole.text


# ---------------------------------------------------------------- hostile bodies

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["chain", "user", "system", "text", "\x00", "\ud800", "[DONE]", "data: x\n\n", "a" * 5000]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = ("model", "messages", "stream", "stream_options", "seed", "n", "tools", "response_format")
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]) | VALUES, "content": VALUES})
    | VALUES,
    max_size=4,
)
BODY = st.fixed_dictionaries(
    {"model": st.just("chain") | VALUES, "messages": MESSAGES | VALUES},
    optional={**dict.fromkeys(NAMES[2:], VALUES), "extra": VALUES},
)
DAMAGED = st.tuples(BODY, st.integers(0, 10**6), st.binary(max_size=3)).map(
    lambda given: damaged(*given)
)


def written(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def damaged(value: object, at: int, put: bytes) -> bytes:
    body = written(value)
    at %= len(body) + 1
    return body[:at] + put + body[at + len(put) :]


HOSTILE = BODY.map(written) | DAMAGED | st.binary(max_size=40)


@settings(max_examples=settings.default.max_examples * 3 // 2)
@given(HOSTILE)
def test_a_hostile_body_has_an_answer_of_ours(served: Served, body: bytes) -> None:
    found = served.client.post("/chat/completions", content=body, headers=JSON)
    check_answer(found.status_code, found.headers.get("content-type", ""), found.content)


def check_answer(status: int, media: str, body: bytes) -> None:
    """Check that an answer is a reply, a stream, or an error of the protocol that blames no bug."""
    if media.startswith("text/event-stream"):
        assert status == 200
        assert body.endswith(b"\n\n")
        return
    assert media == "application/json"
    if status == 200:
        assert json.loads(body)["object"] == "chat.completion"
        return
    assert is_ours(body)
    assert status in (400, 404), body
