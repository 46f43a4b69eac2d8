"""Images of a user message: what may be one, and which engines take them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from chainlang import ChainlangError, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.protocol import Engine
from chainlang.protocol.capabilities import Capabilities
from chainlang.runtime.ports.sample_keys import format_1, format_2
from tests.engines.server import Server, as_json, chat_reply
from tests.running.test_turns import Asked

LOOK = 'op look : generate { images = "photo" user = "{{ query }}" }\nmain = look'
URL = "https://example.org/cat.png?size=1"
DATA = "data:image/png;base64,iVBORw0KGgo="
BYTES = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "webp": b"RIFF\x1a\x00\x00\x00WEBP",
}


def images(photo: object) -> tuple[str, ...]:
    asked = Asked()
    load(text=LOOK)({"query": "?", "photo": photo}, engine=asked.engine)
    return asked.requests[-1].messages[-1].images


def test_an_image_is_a_url_a_data_uri_or_a_list_of_them() -> None:
    assert images(URL) == (URL,)
    assert images([DATA, URL, DATA]) == (DATA, URL, DATA)
    assert images([]) == ()


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_as_base64_become_a_data_uri(kind: str) -> None:
    text = base64.b64encode(BYTES[kind] + bytes(99)).decode()
    assert images(text) == (f"data:image/{kind};base64,{text}",)


@pytest.mark.parametrize(
    "photo",
    [
        "cat.png", "/etc/passwd", "file:///etc/passwd", "/9j/../etc/passwd", "", None, 7,
        {"url": URL}, [URL, "cat.png"], "https://a b", "iVBORw0KGgo\n", "data:text/html,x",
    ],
)  # fmt: skip
def test_anything_else_fails_its_row_and_no_file_is_read(photo: object) -> None:
    rows = [{"query": "?", "photo": photo}]
    (failed,) = load(text=LOOK).map(rows, engine=FakeEngine(), on_error="collect")
    assert failed.failure is not None
    assert "images= is no image but" in failed.failure.message


def test_a_file_that_a_row_names_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(BYTES["png"])
    with pytest.raises(ChainlangError, match="images= is no image"):
        images(str(tmp_path / "cat.png"))


def test_servers_get_images_as_parts_after_the_text() -> None:
    with Server(lambda body: as_json(chat_reply("a cat"))) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        load(text=LOOK)({"query": "What is it?", "photo": [URL, DATA]}, engine=engine)
        load(text=LOOK)({"query": "What is it?", "photo": []}, engine=engine)
        engine.close()
    first, second = (body["messages"] for body in server.bodies[-2:])
    assert first == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": URL}},
                {"type": "image_url", "image_url": {"url": DATA}},
            ],
        }
    ]
    assert second == [{"role": "user", "content": "What is it?"}]


class Blind(FakeEngine):
    """An engine that takes texts alone."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="blind", schemas=True, seeds=True, batch_invariant=True, plain_values=True
        )


def test_an_engine_that_takes_none_is_refused_before_the_first_row() -> None:
    rows: list[Any] = []

    def read() -> Any:
        rows.append({"query": "?", "photo": URL})
        yield rows[-1]

    engine: Engine = Blind()
    with pytest.raises(ChainlangError, match="the blind engine does not take the images of look"):
        list(load(text=LOOK).map(read(), engine=engine))
    assert not rows


def test_images_are_in_the_keys_of_samples_where_there_are_some() -> None:
    asked = Asked()
    for photo in (URL, DATA, [], URL):
        row = {"id": "r", "query": "?", "photo": photo}
        load(text=LOOK)(row, engine=asked.engine)
    load(text=LOOK.replace('images = "photo"', ""))({"id": "r", "query": "?"}, engine=asked.engine)
    for keys in (format_1({}), format_2({})):
        one, other, none, again, without = (keys(it).bounded[0] for it in asked.requests)
        assert one == again
        assert len({one, other, none}) == 3
        assert none == without
