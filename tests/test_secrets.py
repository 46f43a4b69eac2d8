"""A key goes to its server and nowhere else: many ways to fail, all of them logged, none has it."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chainlang import E, chain, load
from chainlang.cli import execute
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.models.open_engines import close_engines
from tests.engines.server import (
    Answer,
    Body,
    Server,
    as_json,
    echo,
    error,
    good,
    in_turn,
)
from tests.engines.test_openai import FOREVER, policy

KEY = "sk-canary-7f3a9c51e2/+=d84b06"
PARTS = (KEY, KEY[:14], KEY[-10:], "canary-7f3a")
ROWS = [{"id": f"r{number}", "query": f"question {number}"} for number in range(6)]
FILE = """model m = openai("served", base_url="{url}", api_key=env("OPENAI_API_KEY"))
main = {main}
"""
ECHOES = {
    "refuses the key": error(401, f"Incorrect API key provided: {KEY}"),
    "names the account of the key": error(403, f"account of {KEY} is closed"),
    "wants money": error(429, f"no credit for {KEY}", code="insufficient_quota"),
    "does not have the model": error(404, f"no model 'served' for {KEY}", param="model"),
    "is busy": error(429, f"{KEY} asks too often", {"Retry-After": "0"}),
    "is in trouble": error(500, f"trace: headers={{'Authorization': 'Bearer {KEY}'}}"),
    "sends a page": Answer(f"<html>{'x' * 280}Bearer {KEY}</html>".encode(), 502, "text/html"),
    "sends half a JSON": Answer(f'{{"key": "{KEY}'.encode()),
    "sends another shape": as_json({"choices": [], "key": KEY}),
    "sends a text": Answer(f"hello {KEY}".encode(), type="text/plain"),
    "leads elsewhere": Answer(b"", 307, headers={"Location": f"http://127.0.0.1/{KEY}"}),
    "does not know the schema": error(400, f"response_format: {KEY}"),
    "finds the prompt too long": error(400, f"maximum context length, {KEY}"),
    "lists what it minds": as_json({"detail": [{"loc": ["body", KEY], "msg": KEY}]}, 422),
    "breaks off": Answer(f'{{"choices": "{KEY}"'.encode() + b" " * 99, cut=40),
    "is gone": Answer(cut=0),
    "is silent": FOREVER,
}
Scenario = Callable[["Scene"], object]


class Scene:
    """A folder, a server, and a way to say what was written or raised."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shown = folder, list[str]()
        self.keys = 0

    @contextmanager
    def server(
        self, answer: Callable[[Body], Answer], first: Answer | None = None
    ) -> Iterator[str]:
        with Server(answer) if first is None else Server(answer, first) as server:
            yield server.url
            self.keys += sum(KEY in str(headers) for headers in server.headers)

    def command(self, *arguments: str, main: str = "E:m", url: str, status: int) -> None:
        Path("a.chain").write_text(FILE.format(url=url, main=main))
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        try:
            assert execute([*arguments]) == status
        finally:
            close_engines()

    def raised(self, call: Callable[[], object]) -> None:
        with pytest.raises(BaseException) as caught:
            call()
        error: BaseException | None = caught.value
        self.shown.append("".join(traceback.format_exception(error)))
        while error is not None:
            self.shown.append(f"{error!r} {error} {error.args!r} {vars(error)!r}")
            error = error.__cause__ or error.__context__


RUN = (
    "run",
    "a.chain",
    "-i",
    "rows.jsonl",
    "-o",
    "out",
    "--call-seconds",
    "0.3",
    "--patience",
    "0",
)


def run_against(answer: Answer, scene: Scene) -> None:
    """A run in which some rows are answered, and from then on it says this."""
    answers = in_turn(good("1"), good("2"), answer)
    with scene.server(answers) as url:
        Path("a.chain").write_text(FILE.format(url=url, main="E:m"))
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        try:
            assert execute([*RUN, "--window", "1"]) in (1, 3)
            execute([*RUN, "--window", "1", "--retry-failed"])
        finally:
            close_engines()


def met_at_the_door(answer: Answer, scene: Scene) -> None:
    with scene.server(echo, answer) as url:
        scene.command("ask", "a.chain", "Why?", url=url, status=2)


def in_python(answer: Answer, scene: Scene) -> None:
    with scene.server(in_turn(answer)) as url:
        engine = OpenAIEngine(base_url=url, api_key=KEY, retry=policy(attempts=2), read_timeout=0.2)
        scene.shown.append(repr(engine) + repr(vars(engine)) + repr(vars(engine._client)))
        scene.raised(lambda: chain("E")("q", engine=engine))
        scene.raised(lambda: asyncio.run(chain("E").acall("q", engine=engine)))
        found = chain("E >> J").map(ROWS, engine=engine, patience=0)
        scene.shown += [repr(one) for one in found]
        scene.shown.append(repr(engine.fingerprint) + repr(engine.capabilities))
        engine.close()


def a_function_that_raises(scene: Scene) -> None:
    def odd(answer: str) -> str:
        raise ValueError(f"what is {answer}?")

    with scene.server(echo) as url:
        engine = OpenAIEngine(base_url=url, api_key=KEY, retry=policy())
        (E >> odd).run(ROWS, "out", engine=engine)
        engine.close()


def an_interruption(scene: Scene) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with scene.server(echo) as url:
        engine = OpenAIEngine(base_url=url, api_key=KEY, retry=policy())
        scene.raised(lambda: chain("E").run(ROWS, "out", engine=engine, on_row=stop))
        engine.close()


def a_row_that_fails_the_run(scene: Scene) -> None:
    with scene.server(in_turn(ECHOES["does not know the schema"])) as url:
        scene.command(*RUN, "--on-error", "raise", main="E:m >> J:m", url=url, status=2)


def a_budget(scene: Scene) -> None:
    with scene.server(echo) as url:
        scene.command(*RUN, "--run-calls", "2", url=url, status=3)


def replies_that_do_not_fit(scene: Scene) -> None:
    with scene.server(echo) as url:
        scene.command(*RUN, main="E:m >> J:m", url=url, status=1)


def another_machine(scene: Scene) -> None:
    scene.command("ask", "a.chain", "q", url="http://gpu-7:8000/v1", status=2)


def nobody_there(scene: Scene) -> None:
    scene.command("ask", "a.chain", "q", url="http://127.0.0.1:1/v1", status=2)


def no_address(scene: Scene) -> None:
    scene.command("ask", "a.chain", "q", url="localhost", status=2)


def the_key_in_the_address(scene: Scene) -> None:
    scene.raised(lambda: OpenAIEngine(base_url=f"http://me:{KEY}@localhost/v1"))
    scene.raised(lambda: OpenAIEngine(base_url=f"http://localhost/v1?key={KEY}"))


def a_key_that_can_not_be_sent(scene: Scene) -> None:
    scene.raised(lambda: OpenAIEngine(api_key=f"{KEY}\n"))
    scene.raised(lambda: OpenAIEngine(api_key=f"“{KEY}”"))


def settings_that_do_not_fit(scene: Scene) -> None:
    Path("chainlang.toml").write_text('openai_api_key = "$KEY"\nwindow = 0\nwidow = 1\n')
    scene.raised(lambda: list(chain("E").map(["q"], openai_api_key=KEY, window=0)))
    scene.raised(lambda: list(chain("E").map(["q"], openai_api_key=[KEY])))
    scene.raised(lambda: list(chain("E").map(["q"], openai_api_keys=KEY)))
    Path("chainlang.toml").unlink()


def settings_that_do(scene: Scene) -> None:
    from chainlang.settings import MapSettings

    settings = MapSettings.of({"openai_api_key": KEY})
    scene.shown.append(f"{settings!r} {settings} {settings.openai_api_key}")


def a_file_that_is_shown(scene: Scene) -> None:
    for form in ("tree", "notation", "python", "mermaid", "json"):
        scene.command("show", "--as", form, "a.chain", url="http://localhost/v1", status=0)
    made = load("a.chain")
    scene.shown += [repr(made), str(made), made.to_json(), repr(pickle.dumps(made))]
    scene.command("check", "a.chain", url="http://localhost/v1", status=0)


def a_file_with_a_mistake(scene: Scene) -> None:
    scene.command("check", "a.chain", main="3:EE:m", url="http://localhost/v1", status=2)


def a_run_that_is_another(scene: Scene) -> None:
    with scene.server(echo) as url:
        scene.command(*RUN, url=url, status=0)
        scene.command(*RUN, "--seed", "5", url=url, status=2)


SCENARIOS: dict[str, Scenario] = {
    **{f"a run whose server {name}": partial(run_against, one) for name, one in ECHOES.items()},
    **{
        f"a server that at first {name}": partial(met_at_the_door, ECHOES[name])
        for name in ("refuses the key", "names the account of the key", "does not have the model",
                     "leads elsewhere", "sends a text")
    },
    **{f"a call whose server {name}": partial(in_python, one) for name, one in ECHOES.items()},
    **{
        one.__name__.replace("_", " "): one
        for one in (
            a_function_that_raises, an_interruption, a_row_that_fails_the_run, a_budget,
            replies_that_do_not_fit, another_machine, nobody_there, no_address,
            the_key_in_the_address, a_key_that_can_not_be_sent, settings_that_do_not_fit,
            settings_that_do, a_file_that_is_shown, a_file_with_a_mistake, a_run_that_is_another,
        )
    },
}  # fmt: skip


def test_there_are_enough() -> None:
    assert len(SCENARIOS) >= 25


MANY = ("a run whose server ", "a call whose server ")
FEW = ("refuses the key", "sends a text", "is in trouble")
"""Ends of the names of those that `make quick` tries too."""


def is_slow(name: str) -> bool:
    return name.startswith(MANY) and not name.endswith(FEW)


@pytest.mark.quick(5)
@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow if is_slow(one) else ()) for one in SCENARIOS],
)
def test_nothing_that_is_written_has_the_key(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    # The waits between attempts are not what this is about.
    monkeypatch.setattr("chainlang.engines.http.retry._full_jitter", lambda most: 0.0)
    caplog.set_level(logging.DEBUG)
    for logger in ("httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger)
    scene = Scene(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SCENARIOS[name](scene)
    out, err = capfd.readouterr()
    written = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    written |= {"stdout": out.encode(), "stderr": err.encode(), "logs": caplog.text.encode()}
    written["records"] = repr([vars(record) for record in caplog.records]).encode()
    written["raised"] = "".join(scene.shown).encode()
    written["warned"] = repr([str(one.message) for one in caught]).encode()
    assert "question 0" not in caplog.text  # nor has any log a prompt
    for where, data in written.items():
        for part in PARTS:
            assert part.encode() not in data, f"{part} in {where}"


def test_the_key_went_to_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing above would be worth anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    scene = Scene(tmp_path)
    a_budget(scene)
    assert scene.keys == 2
