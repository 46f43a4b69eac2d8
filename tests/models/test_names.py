"""Names of models: which declaration of a name is used."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from chainlang import ChainlangError, chain, load, models
from chainlang.engines.fake import FakeEngine
from chainlang.models.declaration import Declaration
from tests.engines.server import Answer, Body, Server, good

Q = "Why?"


def by_model(body: Body) -> Answer:
    """Answer with the model that was asked."""
    return good(*[body["model"]] * body.get("n", 1))


@pytest.fixture
def server():
    with Server(by_model) as found:
        yield found


def one(server: Server, name: str) -> Declaration:
    return models.openai(name, base_url=server.url)


def test_each_place_goes_before_those_after_it(server: Server, place: Path) -> None:
    """Take away one place after another, from the call to the user's file."""
    users = place / "config" / "chainlang" / "models.toml"
    users.parent.mkdir(parents=True)
    table = f'[models.small]\nengine = "openai"\nbase_url = "{server.url}"\nmodel = "{{}}"\n'
    users.write_text(table.format("user"))
    (place / "models.toml").write_text(table.format("project"))
    models.define(small=one(server, "process"))
    plain = chain("E:small")
    declared = load(text=f'model small = openai("chain", base_url="{server.url}")\nmain = E:small')
    with models.use(small=one(server, "outer")), models.use(small=one(server, "inner")):
        assert declared(Q, models={"small": one(server, "call")}).answer == "call"
        assert plain(Q, models={"small": one(server, "call")}).answer == "call"
        assert declared(Q).answer == "chain"
        assert plain(Q).answer == "inner"
    with models.use(other=one(server, "other")):
        assert plain(Q).answer == "process"
    models.undefine("small")
    assert plain(Q).answer == "project"
    (place / "models.toml").unlink()
    assert plain(Q).answer == "user"
    users.unlink()
    with pytest.raises(ChainlangError, match="no model is called 'small'"):
        plain(Q)


def test_every_way_to_run_takes_models(server: Server, place: Path) -> None:
    given = {"small": one(server, "s")}
    qa = chain("E:small")
    assert qa(Q, models=given).answer == "s"
    assert asyncio.run(qa.acall(Q, models=given)).answer == "s"
    assert [it.answer for it in qa.map([Q], models=given)] == ["s"]
    stream = qa.stream(Q, models=given)
    assert "".join(piece.text for piece in stream) == stream.result.answer == "s"
    assert qa.run([Q], place / "out", models=given).rows == 1
    assert "small" in str(qa.explain(models=given))

    async def several() -> list[object]:
        return [it.answer async for it in qa.amap([Q], models=given)]

    assert asyncio.run(several()) == ["s"]


def test_a_name_may_stand_for_another(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
    models.define(small="mini", mini="ollama:llama3:8b")
    assert chain("E:small")(Q).answer == "llama3:8b"
    assert chain("E")(Q, model="small").answer == "llama3:8b"
    models.define(mini="small")
    with pytest.raises(ChainlangError, match="small -> mini -> small"):
        chain("E:small")(Q)


def test_a_block_is_of_its_task_and_thread(server: Server) -> None:
    qa = chain("E:small")

    async def ask(name: str) -> object:
        with models.use(small=one(server, name)):
            await asyncio.sleep(0.01)
            return (await qa.acall(name)).answer

    async def both() -> list[object]:
        return await asyncio.gather(ask("a"), ask("b"))

    assert asyncio.run(both()) == ["a", "b"]
    found: list[str] = []

    def elsewhere() -> None:
        try:
            qa(Q)
        except ChainlangError as error:
            found.append(error.diagnostics[0].message)

    with models.use(small=one(server, "a")):
        stream, rows = qa.stream(Q), qa.map([Q])
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == ["no model is called 'small'"]
    assert list(stream)[-1].text == "a"  # as it was named where it was written
    assert [it.answer for it in rows] == ["a"]


def test_a_key_is_never_shown(server: Server, place: Path) -> None:
    big = models.openai("big", base_url=server.url, api_key="sk-secret")
    assert "sk-secret" not in repr(big)
    summary = chain("E:big").run([Q], place / "out", models={"big": big})
    assert server.headers[-1]["authorization"] == "Bearer sk-secret"
    written = [path.read_bytes() for path in (place / "out").rglob("*") if path.is_file()]
    assert not any(b"sk-secret" in one for one in written)
    assert "sk-secret" not in repr(summary)


def test_an_engine_of_the_call_needs_no_name() -> None:
    engine = FakeEngine(answers={"": "yes"})
    assert len(chain("E:gpt-4o & E:small")(Q, engine=engine).candidates) == 2
    assert chain("E:gpt-4o")(Q, engine={"gpt-4o": engine}).answer == "yes"


def test_open_engines_are_listed_and_closed(server: Server) -> None:
    with models.use(small=one(server, "s"), same=one(server, "s"), big=one(server, "b")):
        chain("E:small & E:same & E:big")(Q)
    assert [it.names for it in models.engines()] == [("small", "same"), ("big",)]
    models.close("same")
    assert [it.source for it in models.engines()] == ["b"]
    with pytest.raises(ChainlangError, match="unknown model 'small' that is open"):
        models.close("small")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.vllm(""), "has no name of a model"),
        (lambda: models.vllm("m", max_model_len="long"), "max_model_len of vllm()"),
        (lambda: models.openai("m", base_urls="x"), "unknown setting 'base_urls' of openai()"),
        (lambda: models.openai("m", api_key=5), "invalid value for api_key"),
        (lambda: models.define(a=5), "'a' can't be 5"),
        (lambda: models.define(a="a"), "said to be itself"),
        (lambda: models.define(a=FakeEngine()), "can't be"),
        (lambda: models.define({"@a": models.fake()}), "can't be the name of a model"),
        (lambda: chain("E")(Q, models={"a": 5}), "invalid value for models"),
    ],
)
def test_what_is_no_model_is_refused(make, message: str) -> None:
    with pytest.raises(ChainlangError) as caught:
        make()
    assert message in str(caught.value)
