"""Addresses of servers: what is understood, what is refused and what is said of it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import strategies as st

from chainlang import load
from chainlang.engines.http import reach
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError, EngineError, SettingError
from chainlang.settings import MapSettings
from chainlang.settings.address import trimmed, wrong
from tests.engines.server import Answer, Server, as_json, echo, error
from tests.engines.test_openai import KEY, ask, finish, texts
from tests.laws import law

WRONG = {
    "http://localhost:8000/v1#": ("has a '#'", 'write "http://localhost:8000/v1"'),
    "http://localhost:8000/v1?": ("has a '?'", 'write "http://localhost:8000/v1"'),
    "http://localhost:8000/v1/chat/completions?a=b": (
        "has a '?'",
        'write "http://localhost:8000/v1"',
    ),
    "http://localhost:8000/v1/../admin": ("'..' in its path", "write it like"),
    "http://localhost:8000/v1/%2e%2E/admin": ("'..' in its path", "write it like"),
    "http://localhost:8000/v1/%252e./admin": ("'..' in its path", "write it like"),
    "http://localhost:8000/v1/..;/admin": ("'..' in its path", "write it like"),
    "http://localhost:8000/admin%23": ("an encoded character", "write it like"),
    " http://localhost:8000/v1": ("begins or ends with a blank", 'write "http://localhost'),
    "http://localhost:8000/v1\n": ("begins or ends with a blank", 'write "http://localhost'),
    "http://local\thost:8000/v1": ("a character that no address has", "write it like"),
    "http://localhost:8000\\@evil/v1": ("a user name", "pass the key as api_key"),
    "http://localhost:8000/v1\\..": ("a character that no address has", "write it like"),
    "http://localhost:8000/v1/completions": ("ends in /completions", 'write "http://localhost'),
    "http://localhost:8000/v1/models/": ("ends in /models", 'write "http://localhost:8000/v1"'),
}


@pytest.mark.parametrize("address", WRONG)
def test_an_address_that_leads_elsewhere_is_refused_wherever_it_is_read(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, hint = WRONG[address]
    with pytest.raises(EngineError) as error:
        OpenAIEngine(base_url=address, api_key=KEY)
    assert what in str(error.value)
    assert f"= hint: {hint}" in str(error.value)
    with pytest.raises(SettingError) as caught:
        MapSettings.of({"openai_base_url": address})
    assert what in str(caught.value)
    monkeypatch.chdir(tmp_path)
    quoted = address.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    file = Path("a.chain")
    file.write_text(f'model m = openai("x", base_url="{quoted}")\nmain = E:m\n')
    with pytest.raises(ChainlangError) as found:  # before anything runs
        load(file)
    assert what in str(found.value)
    assert "a.chain:1:32" in str(found.value)


@law(st.text("htp:/localv1.%2eEfF;\\#?@ \t", max_size=30))
def test_what_is_let_through_leads_to_its_own_path(rest: str) -> None:
    import httpx2

    address = f"http://localhost:8000/v1{rest}"
    if wrong(address) is None:
        url = httpx2.URL(f"{trimmed(address)}/chat/completions")
        assert (url.host, url.port) == ("localhost", 8000 if url.port else None)
        assert url.path.endswith("/chat/completions")
        assert not url.query
        assert not url.fragment
        assert "/../" not in url.path


# ---------------------------------------------------------------- the end of an address


@pytest.mark.parametrize("end", ["/chat/completions", "/chat/completions/", "/", ""])
def test_an_address_may_have_the_path_of_the_api_at_its_end(end: str) -> None:
    with Server(echo, path="/v1/chat/completions") as server:
        engine = OpenAIEngine("m", base_url=server.url + end)
        assert texts(finish(engine, ask())["1"]) == ["1/100"]
        assert (engine.url, engine.fingerprint["url"]) == (server.url, server.url)
        engine.close()


UNKNOWN = {
    "as vLLM said it": as_json({"detail": "Not Found"}, 404),
    "as vLLM says it": error(404, "Not Found", type="NotFoundError", code=404),
    "as Ollama says it": Answer(b"404 page not found", 404, type="text/plain"),
    "as llama.cpp says it": error(404, "File Not Found", type="not_found_error", code=404),
    "another method": Answer(b"", 405, type=None),
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("end", ["", "/", "/chat/completions"])
def test_an_address_without_its_version_is_refused_with_the_right_one(name: str, end: str) -> None:
    with Server(echo, path="/v1/chat/completions", unknown=UNKNOWN[name]) as server:
        short = server.url.removesuffix("/v1")
        engine = OpenAIEngine("m", base_url=short + end)
        with pytest.raises(EngineError) as caught:
            engine.probe()
        engine.close()
    (found,) = caught.value.diagnostics
    assert found.message.startswith(f"{short} has no chat completions: it answered 40")
    assert found.hint == f'write base_url="{server.url}"'


def test_so_it_is_if_the_model_is_unknown_too() -> None:
    first = error(404, "The model 'm' does not exist.", code="model_not_found")
    with Server(echo, first, path="/v1/chat/completions") as server:
        engine = OpenAIEngine("m", base_url=server.url.removesuffix("/v1"))
        with pytest.raises(EngineError, match="has no chat completions"):
            engine.probe()
        engine.close()


def test_a_server_without_an_api_is_not_sent_elsewhere() -> None:
    with Server(echo, path="/other", unknown=UNKNOWN["as vLLM said it"]) as server:
        engine = OpenAIEngine("m", base_url=server.url.removesuffix("/v1"))
        with pytest.raises(EngineError, match="is not a chat completions server"):
            engine.probe()
        engine.close()


# ---------------------------------------------------------------- a check that ends


@contextmanager
def trickling(begins: bytes, part: bytes) -> Iterator[str]:
    """Yield the address of a server that sends a part again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    try:
                        client.sendall(begins)
                        while not stop.wait(0.01):
                            client.sendall(part)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        stop.set()


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("begins", "part"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 9999\r\n\r\n", b"x"),
    ],
    ids=["headers", "informational responses", "a body"],
)
def test_the_health_check_ends_whatever_the_server_sends(
    begins: bytes, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "_PATIENCE", 0.3)
    with trickling(begins, part) as url:
        engine = OpenAIEngine("m", base_url=url, connect_timeout=0.2)
        begun = time.monotonic()
        with suppress(EngineError):  # too many headers are no response
            engine.probe()
        assert time.monotonic() - begun < 120  # what is sent never ends
        engine.close()


# ---------------------------------------------------------------- the environment of a client


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("ALL_PROXY", "socks5://me:word@127.0.0.1:1", "names a SOCKS proxy"),
        ("HTTPS_PROXY", "ftp://me:word@127.0.0.1", "is not the address of a proxy"),
        ("https_proxy", "http://me:word@[::1", "is not the address of a proxy"),
        ("SSL_CERT_FILE", "/nowhere/word.pem", "names certificates that can't be read"),
        ("SSL_CERT_FILE", __file__, "names certificates that can't be read"),
    ],
)
def test_what_the_environment_says_of_clients_is_refused_with_a_page(
    variable: str, value: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    engine = OpenAIEngine(
        "m", base_url="https://models.invalid/v1", allowed_hosts=["models.invalid"]
    )
    with pytest.raises(EngineError) as error:
        engine.probe()
    engine.close()
    assert re.match(rf"error\[engine\]: {variable} in the environment {wanted}", str(error.value))
    assert "= hint: " in str(error.value)
    assert "word" not in str(error.value)
    assert error.value.__context__ is None


def test_a_key_goes_to_no_other_machine_unencrypted() -> None:
    with pytest.raises(EngineError, match="would send the API key unencrypted") as error:
        OpenAIEngine(base_url="http://gpu-7:8000/v1", api_key=KEY, allowed_hosts=["gpu-7"])
    assert "= hint: write https, or leave the key out" in str(error.value)
