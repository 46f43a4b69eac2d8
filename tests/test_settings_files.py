"""A settings file sends no secret away: which file is read, and which key goes to its address."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError, EngineError, MeaningError, SettingError
from chainlang.models.open_engines import close_engines
from chainlang.settings import MapSettings
from tests.engines.server import Server, echo

KEY = "sk-canary-7f3a"
CHAIN = 'model m = openai("x")\nmain = E:m'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, which has no settings of its own."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    close_engines()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(echo) as server:
        yield server


def keys(server: Server) -> list[str]:
    """Return the keys that have arrived at a server."""
    return [one.get("authorization", "") for one in server.headers]


# ---------------------------------------------------------------- the key and the address


def test_an_address_of_a_file_gets_no_key_of_the_environment(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chainlang.toml").write_text(f'openai_base_url = "{server.url}"\n')
    monkeypatch.setenv("CHAINLANG_OPENAI_API_KEY", KEY)
    with pytest.raises(EngineError) as error:
        load(text=CHAIN)("q")
    (found,) = error.value.diagnostics
    assert "openai_base_url is from a file, so it gets no API key" in found.message
    assert found.hint is not None
    assert "CHAINLANG_ALLOWED_HOSTS=127.0.0.1" in found.hint
    assert KEY not in str(error.value)
    assert (server.headers, server.probed) == ([], 0)


def test_nor_does_one_of_a_folder_above_or_of_pyproject(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'[tool.chainlang]\nopenai_base_url = "{server.url}"\n'
    (folder / "pyproject.toml").write_text(text)
    inner = folder / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(EngineError, match="gets no API key"):
        load(text='model m = openai("x", api_key=env("OPENAI_API_KEY"))\nmain = E:m')("q")
    assert server.headers == []


def test_nor_does_a_host_that_only_a_file_allows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chainlang.toml").write_text('allowed_hosts = ["models.invalid"]\n')
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = 'openai("x", base_url="https://models.invalid/v1", api_key=env("OPENAI_API_KEY"))'
    with pytest.raises(EngineError, match="base_url is from a file, so it gets no API key"):
        load(text=f"model m = {model}\nmain = E:m")("q")
    with pytest.raises(EngineError, match="no server answers"):
        load(text=f"model m = {model}\nmain = E:m")("q", allowed_hosts=["models.invalid"])


GIVEN: dict[str, Callable[[Server], dict[str, Any]]] = {
    "the environment names the address": lambda one: {"CHAINLANG_OPENAI_BASE_URL": one.url},
    "the environment allows the host": lambda _: {"CHAINLANG_ALLOWED_HOSTS": "127.0.0.1"},
    "the call names the address": lambda one: {"openai_base_url": one.url},
    "the call allows the host": lambda _: {"allowed_hosts": ["127.0.0.1"]},
}


@pytest.mark.parametrize("how", GIVEN)
def test_it_does_if_the_user_names_it(
    how: str, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chainlang.toml").write_text(f'openai_base_url = "{server.url}"\n')
    monkeypatch.setenv("CHAINLANG_OPENAI_API_KEY", KEY)
    given = GIVEN[how](server)
    for name in [name for name in given if name.isupper()]:
        monkeypatch.setenv(name, given.pop(name))
    assert load(text=CHAIN)("q", **given).answer
    assert keys(server) == [f"Bearer {KEY}"]


def test_a_file_may_have_a_key_of_its_own(folder: Path, server: Server) -> None:
    (folder / "chainlang.toml").write_text(
        f'openai_base_url = "{server.url}"\nopenai_api_key = "own"\n'
    )
    assert load(text=CHAIN)("q").answer
    assert keys(server) == ["Bearer own"]


def test_without_a_key_an_address_of_a_file_is_asked(folder: Path, server: Server) -> None:
    (folder / "chainlang.toml").write_text(f'openai_base_url = "{server.url}"\n')
    assert load(text=CHAIN)("q").answer
    assert keys(server) == [""]


# ---------------------------------------------------------------- variables


@pytest.mark.parametrize(
    "name", ["CHAINLANG_CACHE_REDIS", "CHAINLANG_CACHE_FOLDER", "CHAINLANG_MODEL"]
)
def test_a_chain_reads_no_setting_but_keys_and_addresses(name: str) -> None:
    with pytest.raises(MeaningError, match=f"the variable '{name}' is not allowed in a file"):
        load(text=f'model m = openai("x", api_key=env("{name}"))\nmain = E:m')
    load(text='model m = openai("x", api_key=env("CHAINLANG_OPENAI_API_KEY"))\nmain = E:m')
    load(text='model m = openai("x", base_url=env("CHAINLANG_OPENAI_BASE_URL"))\nmain = E:m')


@pytest.mark.parametrize("pattern", ["*", "AWS_*", "DATABASE_UR?"])
def test_a_file_allows_no_variables_that_it_does_not_name(pattern: str, folder: Path) -> None:
    (folder / "chainlang.toml").write_text(f'allowed_env = ["{pattern}"]\n')
    with pytest.raises(SettingError) as error:
        MapSettings.of({})
    assert f"allowed_env in chainlang.toml can't allow '{pattern}'" in str(error.value)
    assert f"CHAINLANG_ALLOWED_ENV='{pattern}'" in str(error.value)
    (folder / "chainlang.toml").write_text('allowed_env = ["MODELS_KEY"]\n')
    assert MapSettings.of({}).allowed_env == ("MODELS_KEY",)


# ---------------------------------------------------------------- which file is read


def test_a_file_that_all_can_write_is_refused(folder: Path) -> None:
    file = folder / "chainlang.toml"
    file.write_text("window = 3\n")
    file.chmod(0o666)
    with pytest.raises(SettingError) as error:
        MapSettings.of({})
    assert "chainlang.toml can be written by every user, so it is not read" in str(error.value)
    assert f"= hint: take that right away: chmod o-w {file}" in str(error.value)
    file.chmod(0o664)
    assert MapSettings.of({}).window == 3
    file.unlink()
    (folder / "pyproject.toml").write_text("[tool.chainlang]\nwindow = 4\n")
    (folder / "pyproject.toml").chmod(0o666)
    with pytest.raises(SettingError, match=r"pyproject\.toml can be written by every user"):
        MapSettings.of({})
    (folder / "pyproject.toml").write_text("[tool.other]\n")
    assert MapSettings.of({}).window == 256


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
def test_a_file_of_another_user_is_refused(folder: Path) -> None:
    file = folder / "chainlang.toml"
    file.write_text("window = 3\n")
    os.chown(file, 1234, -1)
    with pytest.raises(SettingError) as error:
        MapSettings.of({})
    assert "chainlang.toml belongs to another user (uid 1234)" in str(error.value)
    assert "= hint: make the file yours: chown 0 " in str(error.value)
    assert execute(["explain", "E"]) == 2


def test_brackets_without_an_end_are_no_traceback(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(SettingError, match="its brackets are nested too deep"):
        MapSettings.of({})


def test_the_file_in_force_is_named(folder: Path) -> None:
    assert "SETTINGS" not in str(chain("E").explain())
    file = folder / "chainlang.toml"
    file.write_text("window = 3\nseed = 4\n")
    assert f"SETTINGS of {file}\n  window\n" in str(chain("E").explain(seed=5))
    chain("E").run(["q"], "out", engine=FakeEngine())
    found = json.loads((folder / "out" / "metadata.json").read_text())
    assert found["settings_file"] == str(file)
    file.unlink()
    chain("E").run(["q"], "out", engine=FakeEngine(), seed=4)  # the file is not part of the run
    with pytest.raises(ChainlangError):
        chain("E").run(["q"], "out", engine=FakeEngine(), seed=5)
