"""Servers of tools that files declare: approved, pinned, and in a sandbox."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.errors import EngineError
from chainlang.models.approval import approve, changes
from chainlang.sandboxes.available import sandbox
from chainlang.settings import CallSettings

pytest.importorskip("mcp")
SERVER = Path(__file__).parents[1] / "engines" / "hostile_tool_server.py"
FILE = """
server tools = mcp({command}, args={args}{settings})
op echo : tool {{ server = tools tool = "echo" args = {{ text = "{{{{ query }}}}" }} }}
main = echo
"""


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made.getsockname()[1]


def written(folder: Path, how: str, port: int = 0, settings: str = "") -> Path:
    """Write a chain with a server beside it, and return the path of the chain."""
    folder.mkdir(exist_ok=True)
    shutil.copy(SERVER, folder / "server.py")
    args = json.dumps(["-I", "-S", "server.py", how, str(port)])
    text = FILE.format(command=json.dumps(sys.executable), args=args, settings=settings)
    (folder / "x.chain").write_text(text)
    return folder / "x.chain"


def approved(path: Path, **loading: Any) -> Any:
    chain = load(path, **loading)
    for one in changes(chain.items, CallSettings.of({})):
        approve(one)
    return chain


@pytest.fixture(scope="module")
def bwrap() -> None:
    try:
        sandbox("bwrap")
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("bwrap")
def test_a_server_sees_what_its_file_names(
    tmp_path: Path, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINLANG_OWN_KEY", "sk-1")
    monkeypatch.setenv("CHAINLANG_OTHER_KEY", "sk-2")
    (tmp_path / "secret").write_text("s")
    around = {}
    for name, settings in (
        ("alone", ', read="."'),
        ("trusted", ', read=".", write="data", network=true, env="CHAINLANG_OWN_KEY"'),
    ):
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "own").write_text("o")
        chain = approved(written(folder, "looks around", listening, settings))
        for path in (tmp_path / "secret", folder / "data" / "own"):
            around[name, path.name] = json.loads(chain(str(path)).answer)
    alone, own = around["alone", "secret"], around["alone", "own"]
    assert not alone["secret"]
    assert not alone["passwd"]
    assert not alone["network"]
    assert alone["pids"] <= 3
    assert set(alone["environment"]) <= {"HOME", "PATH", "PWD", "LC_CTYPE"}
    assert own["secret"]
    assert not own["writes"]
    trusted = around["trusted", "own"]
    assert trusted["secret"]
    assert trusted["writes"]
    assert trusted["network"]
    assert "CHAINLANG_OWN_KEY" in trusted["environment"]
    assert "CHAINLANG_OTHER_KEY" not in trusted["environment"]
    assert not around["trusted", "secret"]["secret"]


@pytest.mark.usefixtures("bwrap")
def test_a_server_is_refused_until_it_is_approved(tmp_path: Path) -> None:
    path = written(tmp_path, "good", settings=', read="."')
    with pytest.raises(EngineError, match="are not approved in"):
        load(path)("hi")
    assert approved(path)("hi").answer == "hi"
    path.write_text(path.read_text().replace('"good"', '"another description"'))
    with pytest.raises(EngineError, match="tools: command was"):
        load(path)("hi")
    lock = path.with_name("chainlang.mcp.lock")
    lock.write_text(lock.read_text().replace("Returns its text.", "Returns a text."))
    with pytest.raises(EngineError, match="the pins of tools do not match its tools"):
        load(path)("hi")
    lock.write_text("{")
    with pytest.raises(EngineError, match="it is no lock file"):
        load(path)("hi")


@pytest.mark.parametrize("setting", [', read="../"', ', write="missing"', ', read="/etc"'])
@pytest.mark.usefixtures("bwrap")
def test_a_path_is_inside_the_folder_and_there(tmp_path: Path, setting: str) -> None:
    chain = load(written(tmp_path / "a", "good", settings=setting))
    with pytest.raises(EngineError, match="names"):
        list(changes(chain.items, CallSettings.of({})))


def test_no_sandbox_takes_a_word_of_the_user(tmp_path: Path) -> None:
    path = written(tmp_path, "good", settings=', sandbox="none"')
    text = path.read_text().replace("server.py", str(tmp_path / "server.py"))
    path.write_text(text)
    with pytest.raises(EngineError, match="is a command, and runs in no sandbox"):
        load(path)
    chain = approved(path, allow=["sandbox"])
    assert chain("hi").answer == "hi"
    assert 'sandbox="none"' in str(chain.explain())
