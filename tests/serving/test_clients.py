"""Clients that people use: OpenAI's for Python, and curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator

import openai
import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import Failure
from tests.laws import fewer
from tests.serving.served import Served, asked, serving

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]
ENGINE = FakeEngine(answers={"17 + 25": Reply("The sum is 42.", reasoning="7 + 5 is 12")})


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving({"qa": chain("E"), "vote": chain("3:E >> M")}, engine=ENGINE) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.url, api_key="none") as found:
        yield found


@pytest.mark.parametrize("model", ["qa", "vote"])
def test_openai_python_reads_whole_replies_and_streams(client: openai.OpenAI, model: str) -> None:
    assert [one.id for one in client.models.list()] == ["qa", "vote"]
    assert client.models.retrieve(model).id == model
    whole = client.chat.completions.create(model=model, messages=QUESTION, seed=1)
    stream = client.chat.completions.create(
        model=model, messages=QUESTION, seed=1, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    content = whole.choices[0].message.content
    said = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert content == said == "The sum is 42."
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert whole.usage.total_tokens == chunks[-1].usage.total_tokens
    assert {one.id for one in chunks} == {whole.id}
    assert whole.model_extra is not None
    assert whole.model_extra["chainlang"]["calls"] == (1 if model == "qa" else 3)
    message = whole.choices[0].message.model_extra or {}
    assert message["reasoning_content"] == "7 + 5 is 12"


def test_openai_python_accumulates_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="qa", messages=QUESTION) as stream:
        for _ in stream:
            pass
        found = stream.get_final_completion()
    assert found.choices[0].message.content == "The sum is 42."


def test_openai_python_raises_its_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt", messages=QUESTION)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="qa", messages=QUESTION, n=2)
    assert wrong.value.param == "n"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="qa", messages=[])


def test_openai_python_knows_keys_rates_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-1")
    failed: list[str] = []

    def failures(request: object) -> Failure:
        failed.append("")
        return Failure("", "engine", "it broke")

    engine = FakeEngine(failures=failures)
    terms = {"keys": {"me": "env:A_KEY"}, "rate": 0.01, "burst": 2}
    with serving(chain("E"), engine=engine, **terms) as served:
        with (
            openai.OpenAI(base_url=served.url, api_key="wrong") as wrong,
            pytest.raises(openai.AuthenticationError),
        ):
            wrong.models.list()
        with openai.OpenAI(base_url=served.url, api_key="sk-1", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError):
                client.chat.completions.create(model="chain", messages=QUESTION)
            stream = client.chat.completions.create(model="chain", messages=QUESTION, stream=True)
            with pytest.raises(openai.APIError, match="it broke"):
                list(stream)
            with pytest.raises(openai.RateLimitError) as limited:
                client.chat.completions.create(model="chain", messages=QUESTION)
            assert int(limited.value.response.headers["retry-after"]) > 1


def test_openai_python_does_not_repeat_what_would_fail_again() -> None:
    engine = FakeEngine(answers={"": "no JSON"})
    with (
        serving(chain("E >> J"), engine=engine) as served,
        openai.OpenAI(base_url=served.url, api_key="none", max_retries=5) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.chat.completions.create(model="chain", messages=QUESTION)
    assert engine.submitted == 2  # the sample and the judge, once each


def test_many_at_once_are_batched() -> None:
    engine, count = FakeEngine(), fewer(100, 20)

    async def ask(url: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            several = (
                client.chat.completions.create(
                    model="chain", messages=[{"role": "user", "content": f"What is {number}?"}]
                )
                for number in range(count)
            )
            found = await asyncio.gather(*several)
            return [one.choices[0].message.content for one in found]

    with serving(chain("3:E >> M"), engine=engine) as served:
        answers = asyncio.run(ask(served.url))
    rows = [f"What is {number}?" for number in range(count)]
    assert answers == [one.answer for one in chain("3:E >> M").map(rows, engine=FakeEngine())]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(served: Served) -> None:
    body = json.dumps(asked("What is 17 + 25?", model="qa", stream=True))
    url = f"{served.url}/chat/completions"
    command = ["curl", "-sN", url, "-H", "Content-Type: application/json", "-d", body]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.endswith("data: [DONE]\n\n")
    health = subprocess.run(
        ["curl", "-s", served.url.replace("/v1", "/health")], capture_output=True, check=True
    )
    assert json.loads(health.stdout) == {"status": "ok"}
