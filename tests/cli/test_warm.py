"""Use of warm models: which commands and calls go to the server, and when they do not."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import evolve, frozen

from chainlang import chain, load
from chainlang.cli import execute
from chainlang.engines.protocol import fingerprint_of
from chainlang.ir.declarations import Model
from chainlang.models.open_engines import close_engines
from chainlang.optimizer.compile import planned
from chainlang.ready.control import end, ready_processes
from chainlang.session import warm_models
from chainlang.session.engine_pool import wanted
from chainlang.settings import CallSettings
from chainlang.store.warm_models import WarmModel, born, files_of, log_of, name_of
from chainlang.store.warm_models import warm_models as warm_models_of_user
from tests.engines.server import Server, good

KNOWN = {"engine": "vllm serve", "weights": "abc", "context": 1000}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(warm_models, "_SAID", set())
    with Server(lambda body: good(f"to {body['messages'][-1]['content']}")) as one:
        yield one
    close_engines()


@pytest.fixture
def state(server: Server) -> WarmModel:
    """Let the server be that of `tiny`: the process is the one of the tests."""
    source, settings = warm_models.identity(Model("tiny", "vllm", "tiny"))
    name = name_of(source, settings)
    made = WarmModel(
        name=name, model=source, shown="tiny", settings=settings, url=server.url, key="k-1",
        pid=os.getpid(), born=born(os.getpid()), started="2026-11-30T12:00:00+00:00",
        fingerprint=KNOWN, batch_invariant=True, files=files_of(Path(source)),
        log=str(log_of(name)),
    )  # fmt: skip
    made.write()
    return made


def reason(text: str, *, more: str = "") -> str:
    """Return why a chain does not use its warm model; empty if it does."""
    program = (load(text=f"{more} main = {text}") if more else chain(text)).program()
    said: list[str] = []
    settings = CallSettings.of({"use_warm": True, "progress": said.append})
    plan = planned(program, settings).plan
    named = wanted(plan, program.items, settings)
    used = warm_models.warmed(plan, named, settings)
    assert (used == named) == ("but is loaded" in said[0] if said else True)
    return "" if used != named else " ".join(said).partition("but is loaded in this process: ")[2]


def test_ask_uses_a_warm_model_and_says_so(
    server: Server, state: WarmModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["ask", "3:E >> M", "hi"]) == 0
    out, err = capsys.readouterr()
    assert out == "to hi\n"
    assert f"tiny is warm: requests go to {server.url}" in err
    assert server.headers[-1]["authorization"] == "Bearer k-1"
    assert server.bodies[-1]["model"] == state.model


def test_python_uses_it_if_the_setting_says_so(
    server: Server, state: WarmModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = chain("E")("hi", use_warm=True)
    assert result.answer == "to hi"
    sent = len(server.bodies)
    program = chain("E").program()
    settings = CallSettings.of({})
    plan = planned(program, settings).plan
    named = wanted(plan, program.items, settings)
    assert warm_models.warmed(plan, named, settings) == named
    monkeypatch.setenv("CHAINLANG_USE_WARM", "true")
    assert chain("E")("there").answer == "to there"
    assert len(server.bodies) > sent


def test_its_fingerprint_has_no_address(state: WarmModel) -> None:
    engine = warm_models.made(state)
    try:
        assert fingerprint_of(engine) == KNOWN
        assert engine.capabilities.schemas
        assert engine.capabilities.batch_invariant
        assert not engine.capabilities.plain_values
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("p", 'op p : generate { user = "{{ query }}" prefix = "So" }', "can't begin the replies"),
        ("E(thinking_tokens=5)", "", "can't end the reasoning"),
        ('E(logit_bias={"a": 5})', "", "is not known to be one token"),
        ("E:n", 'model n = vllm("tiny", lora="law")', "can't take the adapter"),
    ],
)
def test_what_a_server_can_not_do_uses_a_model_of_its_own(
    state: WarmModel, text: str, more: str, why: str
) -> None:
    assert why in reason(text, more=more)


def test_other_settings_are_another_model(state: WarmModel) -> None:
    assert not reason("E:n", more='model n = vllm("tiny")')
    program = load(text='model n = vllm("tiny", max_model_len=512) main = E:n').program()
    settings = CallSettings.of({"use_warm": True})
    plan = planned(program, settings).plan
    named = wanted(plan, program.items, settings)
    assert warm_models.warmed(plan, named, settings) == named


def test_a_server_that_has_ended_is_not_used(state: WarmModel) -> None:
    evolve(state, born=1).write()
    assert reason("E") == "its server has ended; run: chainlang warmup tiny"


def test_a_model_whose_files_have_changed_is_not_used(state: WarmModel) -> None:
    evolve(state, files="other").write()
    assert "have changed since" in reason("E")


def test_a_server_that_does_not_answer_is_not_used(server: Server, state: WarmModel) -> None:
    evolve(state, url="http://127.0.0.1:9/v1").write()
    assert "no server answers at http://127.0.0.1:9/v1" in reason("E")


def test_a_run_goes_on_with_the_engine_that_it_began_with(
    server: Server, state: WarmModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"query": "a"}\n{"query": "b"}\n')
    out = tmp_path / "run"
    command = ["run", "E", "-i", str(rows), "-o", str(out)]
    assert execute([*command, "--limit", "1"]) == 0
    found = json.loads((out / "metadata.json").read_text())["models"]["tiny"]["fingerprint"]
    assert found == KNOWN
    # In Python no warm model is used, but for a run that has begun with one.
    assert chain("E").run(rows, out).rows == 2
    evolve(state, url=server.url, key="k-2").write()
    assert execute(command) == 0
    capsys.readouterr()


def test_doctor_and_kill_show_it(
    server: Server, state: WarmModel, capsys: pytest.CaptureFixture[str]
) -> None:
    evolve(state, born=1).write()  # else it would end the tests
    execute(["doctor"])
    out, _ = capsys.readouterr()
    assert f"missing  warm tiny: {server.url}" in out
    assert "run: chainlang warmup tiny" in out
    assert execute(["kill", "tinny"]) == 2
    assert "did you mean 'tiny'?" in capsys.readouterr().err
    assert execute(["kill", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"model": "tiny", "pid": os.getpid(), "processes": 0}
    ]
    assert execute(["kill"]) == 0
    assert capsys.readouterr().out == "no model is warm\n"


def test_warmup_refuses_what_it_can_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "x.chain"
    path.write_text('model m = fake("m")\nmain = E:m\n')
    assert execute(["warmup", str(path)]) == 2
    assert "x.chain has no model that is loaded on this machine" in capsys.readouterr().err
    assert execute(["warmup", "tinny"]) == 2
    assert "did you mean 'tiny'?" in capsys.readouterr().err


HEALTHY = """
import http.server, sys, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    log_message = lambda *_: None
assert os.environ["VLLM_API_KEY"]
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
BROKEN = "raise RuntimeError('there is no memory')"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let a program be the server that `warmup` starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def chosen(text: str) -> None:
        @frozen
        class Program:
            fingerprint: Mapping[str, object] = KNOWN
            environment: Mapping[str, str] = {}
            model: object = SimpleNamespace(batch_invariant=True)

            @classmethod
            def of(cls, *_: object) -> Program:
                return cls()

            def command(self, port: int, template: Path) -> list[str]:
                template.write_text("{{ messages }}")
                return [sys.executable, "-c", text, str(port)]

        monkeypatch.setattr("chainlang.engines.vllm.serve.Served", Program)

    yield chosen
    for one in ready_processes():
        end(one)


def test_warmup_starts_a_server_and_kill_ends_it(
    program: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    program(HEALTHY)
    assert execute(["warmup", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["running"]
    assert not {"key", "api_key"} & set(found)
    (state,) = warm_models_of_user()
    assert state.key not in Path(f"/proc/{state.pid}/cmdline").read_text()
    assert execute(["warmup", "tiny"]) == 0
    assert f"tiny is warm already: {found['url']}, pid {found['pid']}" in capsys.readouterr().out
    execute(["doctor"])
    said = capsys.readouterr().out
    assert f"ok       warm tiny: {found['url']}" in said
    (pid,) = re.findall(r"ok       ready for ask: pid (\d+)\n", said)
    assert execute(["kill", "tiny"]) == 0
    assert capsys.readouterr().out == f"ended tiny: 1 process\nthe ready process {pid} ends\n"
    assert not state.is_running
    assert [one.name for one in Path(state.log).parent.iterdir()] == ["lock"]


def test_a_name_of_models_toml_is_warm_with_its_settings(
    program: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[models.small]\nengine = "vllm"\nmodel = "tiny"\nmax_model_len = 512\n'
    Path("models.toml").write_text(text)
    program(HEALTHY)
    assert execute(["warmup", "small", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"max_model_len": 512}
    (state,) = warm_models_of_user()
    assert state.end() == 1


def test_a_model_that_changed_is_started_anew(program: Callable[[str], None]) -> None:
    program(HEALTHY)
    assert execute(["warmup"]) == 0
    (before,) = warm_models_of_user()
    evolve(before, files="other").write()
    assert execute(["warmup"]) == 0
    (now,) = warm_models_of_user()
    assert before.pid != now.pid
    assert not before.is_running
    assert now.end() == 1


def test_a_server_that_does_not_start_says_why(
    program: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    program(BROKEN)
    assert execute(["warmup"]) == 2
    assert not list(ready_processes())
    said = capsys.readouterr().err
    assert "the server of tiny ended before it answered: RuntimeError: there is no memory" in said
    (log,) = re.findall(r"read its log: (\S+)", said)
    assert "Traceback" in Path(log).read_text()
    assert not [*warm_models_of_user()]
