"""Files of models: whether they are whole, and what they are."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from chainlang.engines.fake import FakeEngine
from chainlang.engines.vllm import memory_size, weight_files


def safetensors(path: Path, data: bytes = b"12345678") -> Path:
    header = json.dumps({"w": {"dtype": "U8", "shape": [8], "data_offsets": [0, len(data)]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + data)
    return path


def test_whole_weights_have_no_fault(tmp_path: Path) -> None:
    safetensors(tmp_path / "model.safetensors")
    assert weight_files.weight_error(tmp_path) is None


@pytest.mark.parametrize("left", [0, 4, 8, 20, -1])
def test_weights_that_are_cut_anywhere_have_one(tmp_path: Path, left: int) -> None:
    path = safetensors(tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:left])
    assert (
        "model.safetensors is truncated: it has" in (weight_files.weight_error(tmp_path) or "")[0]
    )


@pytest.mark.parametrize("header", [b"no JSON!", b"[1, 2]  ", b'{"w": 1}', b'{"w":{}}'])
def test_weights_that_are_something_else_have_one(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0" + header)
    assert weight_files.weight_error(tmp_path) == (
        "model.safetensors holds no weights",
        "copy or download it again",
    )


# ---------------------------------------------------------------- digests


def test_a_digest_is_of_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    found = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / name for name in ("x", "y")]
        for path in paths:
            path.write_text(path.name)
        found.add(weight_files.digest(paths))
        found.add(weight_files.digest(reversed(paths)))
    assert len(found) == 1
    paths[0].write_text("z")
    found.add(weight_files.digest(paths))
    paths[0].rename(tmp_path / "z")
    found.add(weight_files.digest([tmp_path / "z", paths[1]]))
    assert len(found) == 3
    assert weight_files.digest([]) is None


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, name: (read.append(file), digest(file, name))[1]
    )
    path = safetensors(tmp_path / "model.safetensors")
    before = weight_files.digest([path])
    assert weight_files.digest([path]) == before
    assert len(read) == 1
    safetensors(path, b"87654321")
    os.utime(path, ns=(0, 0))
    assert weight_files.digest([path]) != before
    assert len(read) == 2


def test_a_file_of_the_hub_is_not_read(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("a" * 64)
    blob.parent.mkdir()
    blob.touch()
    path = tmp_path / "model.safetensors"
    path.symlink_to(blob)
    before = weight_files.digest([path])
    blob.write_text("changed, which the hub never does")
    assert weight_files.digest([path]) == before


FILES = {
    "config.json": "configuration",
    "model.safetensors": "weights",
    "tokenizer.json": "tokenizer",
    "special_tokens_map.json": "tokenizer",
    "model.bin": None,  # not loaded beside safetensors
    "README.md": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_model_is_told_by_what_is_loaded(folder: Path, name: str) -> None:
    before = weight_files.identity(folder)
    (folder / name).write_text("another text")
    after = weight_files.identity(folder)
    assert [key for key in before if before[key] != after[key]] == [FILES[name]] * bool(FILES[name])


def test_a_model_is_the_same_in_another_place(folder: Path) -> None:
    before = weight_files.identity(folder)
    assert None not in before.values()
    assert weight_files.identity(folder.rename(folder.parent / "elsewhere")) == before


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert weight_files.identity(tmp_path) == dict.fromkeys(
        ["weights", "configuration", "tokenizer"]
    )


# ---------------------------------------------------------------- engines without files


def test_a_fake_engine_is_told_by_its_answers() -> None:
    def answer(request: object, index: int) -> str:
        return "a"

    engines = [
        FakeEngine(),
        FakeEngine(context=10),
        FakeEngine(answers={"a": "b"}),
        FakeEngine(answers={"a": ["b"]}),
        FakeEngine(answers=answer),
    ]
    found = [json.dumps(engine.fingerprint) for engine in engines]
    assert len(set(found)) == len(found)
    assert json.dumps(FakeEngine(answers={"a": "b"}).fingerprint) == found[2]
    slow = FakeEngine(latency=lambda _: 1.0, failures=lambda _: None)
    assert json.dumps(slow.fingerprint) == found[0]


# ---------------------------------------------------------------- files that are none


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pipe_in_the_place_of_a_file_is_an_error_and_is_not_read(
    name: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / name)
    found = weight_files.weight_error(tmp_path)
    assert found is not None
    assert found[0] == f"{name} is not a file"
    assert weight_files.stored(tmp_path) == 0
    assert not any(weight_files.identity(tmp_path).values())
    assert memory_size.size(str(tmp_path), {}) is None or memory_size.has_gpu()


def test_a_header_that_announces_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write((8 << 30).to_bytes(8, "little"))
        file.truncate(9 << 30)  # holes take no space
    found = weight_files.weight_error(tmp_path)
    assert found is not None
    assert found[0] == "model.safetensors announces a header of 8,589,934,592 bytes"
    assert weight_files.stored(tmp_path) == 9 << 30


def test_a_header_that_is_nested_deep_holds_no_weights(tmp_path: Path) -> None:
    header = b"[" * 100_000
    file = len(header).to_bytes(8, "little") + header
    (tmp_path / "model.safetensors").write_bytes(file)
    assert weight_files.weight_error(tmp_path) == (
        "model.safetensors holds no weights",
        "copy or download it again",
    )
    assert weight_files.stored(tmp_path) == len(file)
