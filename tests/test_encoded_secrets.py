"""A key is hidden however a server writes it, and in tracebacks with local variables too."""

from __future__ import annotations

import html
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from chainlang import load
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError, SourceError
from chainlang.models.open_engines import close_engines
from chainlang.protocol.secret import Secret, without
from chainlang.store.redis_cache import InRedis
from tests.engines.server import Answer, Server, as_json, echo, error, in_turn
from tests.engines.test_openai import ask, finish, policy
from tests.laws import law

HERE = str(Path(__file__).parent)
KEY = "sk-canary-7f3a9c51e2/+=d84b06"
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda key: key.replace("/", "\\/"),
    "JSON in JSON": lambda key: json.dumps(key.replace("/", "\\/")),
    "JSON of code points": lambda key: "".join(f"\\u{ord(one):04x}" for one in key),
    "a URL": lambda key: quote(key, safe=""),
    "a URL in small letters": lambda key: quote(key, safe="").lower(),
    "a URL in a URL": lambda key: quote(quote(key, safe=""), safe=""),
    "HTML": lambda key: html.escape(key).replace("/", "&#47;").replace("+", "&#x2b;"),
    "two lines": lambda key: f"{key[:9]}\n  {key[9:]}",
    "two lines in JSON": lambda key: f"{key[:9]}\\n{key[9:]}",
    "letters apart": " ".join,
}
PARTS = ("canary", "7f3a", "c51e2", "d84b06")


@pytest.mark.quick(8)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 500])
def test_a_key_that_a_server_repeats_is_hidden_however_it_is_encoded(way: str, status: int) -> None:
    said = Answer(f"bad key {WAYS[way](KEY)} here".encode(), status, type="text/plain")
    with Server(in_turn(said)) as server:
        engine = OpenAIEngine("m", base_url=server.url, api_key=KEY, retry=policy(attempts=1))
        found = finish(engine, ask())["1"]
        engine.close()
    shown = repr(found)
    assert shown.replace('"[API key]"', "[API key]").count("bad key [API key] here") == 1
    assert not [one for one in PARTS if one in shown.replace(" ", "")]


@law(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=20),
     st.text(max_size=20), st.text(max_size=20), st.sampled_from([*WAYS]))  # fmt: skip
def test_a_secret_is_taken_out_of_any_text(key: str, before: str, after: str, way: str) -> None:
    if way in ("a URL in small letters", "HTML"):
        key = "".join(filter(str.isalnum, key)).lower() or "abcd"
    written = WAYS[way](key)
    assert written not in without(key, f"{before}\x00{written}\x00{after}").replace("[API key]", "")


def test_a_secret_is_found_in_linear_time() -> None:
    for text in ("\\" * 200_000, "s" * 200_000, "s \\n" * 60_000, "%25" * 60_000):
        assert without(KEY, text) == text


def test_its_repr_shows_stars() -> None:
    assert repr(Secret(KEY)) == repr({"a": Secret(KEY)})[6:-1] == "'**********'"


# ---------------------------------------------------------------- tracebacks


def frames(raised: BaseException) -> str:
    """Return the tracebacks of an error and those behind it, with the variables of our frames."""
    shown, one = "", raised
    found: BaseException | None = one
    while found is not None:
        stack = traceback.TracebackException.from_exception(found, capture_locals=True).stack
        shown += f"{found!r} {found}"
        shown += "".join(
            f"{frame.filename} {frame.locals}" for frame in stack if HERE not in frame.filename
        )
        found = found.__cause__ or found.__context__
    return shown


MODEL = 'model m = openai("x", base_url="{url}", api_key=env("OPENAI_API_KEY"))\nmain = E:m'
FIRST: dict[str, Callable[[], str | Answer]] = {
    "no server answers": lambda: "http://127.0.0.1:9/v1",
    "no such machine": lambda: "https://models.invalid/v1",
    "not encrypted": lambda: "http://models.invalid/v1",
    "the key is refused": lambda: error(401, f"no: {KEY}"),
    "another program": lambda: Answer(b"<p>", 404, type="text/html"),
    "no such model": lambda: error(404, "no model 'x'", code="model_not_found"),
    "a row that fails": lambda: as_json({}, 422),
}


@pytest.mark.parametrize("name", FIRST)
def test_no_traceback_with_local_variables_shows_a_key(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    first = FIRST[name]()
    with Server(in_turn(error(400, f"bad {KEY}")), *([first] if isinstance(first, Answer) else [])
                ) as server:  # fmt: skip
        url = first if isinstance(first, str) else server.url
        with pytest.raises(ChainlangError) as caught:
            load(text=MODEL.format(url=url))("q", allowed_hosts=["models.invalid"])
        close_engines()
    shown = frames(caught.value)
    assert "engine_pool.py" in shown or "session.py" in shown
    assert KEY not in shown
    assert "canary" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:pa/ss-canary@127.0.0.1:1/0",
        "redis://me:pa#ss-canary@127.0.0.1:1/0",
        "redis://me:ss-canary@127.0.0.1:port/0",
        "redis://:ss-canary@127.0.0.1:1/0",
        "redis://me:12/ss-canary@127.0.0.1:1/0",
    ],
)
def test_the_password_of_a_redis_is_shown_nowhere(url: str, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    with pytest.raises(SourceError) as caught:
        InRedis.open(url)
    assert "canary" not in frames(caught.value).replace(repr(url), "")
    assert "canary" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value) or "not an address" in str(caught.value)
    with pytest.raises(SourceError) as raised:
        load(text='model m = fake("x")\nmain = E:m')(
            "q", cache="write", cache_folder=tmp_path, cache_redis=url
        )
    assert "ss-canary" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_good_server_still_gets_the_key() -> None:
    with Server(echo) as server:
        engine = OpenAIEngine("m", base_url=server.url, api_key=KEY)
        finish(engine, ask())
        engine.close()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
