"""The files of a model in a folder: whether its weights are whole, how large, and what they are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_POINTER = b"version https://git-lfs"
_AGAIN = "copy it, or download it, again"
_NOTES = "__metadata__"
_LENGTH = 8  # bytes at the beginning of a file of safetensors that say how long its header is

# Files of weights; where there are some of an earlier kind, a later one is not looked at.
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
_TOKENIZER = ("*token*", "*vocab*", "merges.txt", "*.model")
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # bytes of the numbers that a model casts
_READERS = 4  # files that are read at the same time


def fault(folder: Path) -> tuple[str, str] | None:
    """Return what is wrong with the weights in a folder, and what to do; None if they are whole.

    Only beginnings and sizes are looked at.
    """
    for path in sorted(folder.glob("*.safetensors")):
        size, wanted = path.stat().st_size, _LENGTH
        with path.open("rb") as file:
            begin = file.read(len(_POINTER))
            if begin == _POINTER:
                what = f"{path.name} is a note of Git LFS about the weights, and not the weights"
                return what, f"run: git -C {folder} lfs pull"
            if size >= wanted:
                wanted += int.from_bytes(begin[:_LENGTH], "little")
            if size >= wanted:
                file.seek(_LENGTH)
                try:
                    wanted += _data(file.read(wanted - _LENGTH))
                except (ValueError, LookupError, TypeError, AttributeError):
                    return f"{path.name} holds no weights", _AGAIN
        if size < wanted:
            return f"{path.name} is cut: it has {size:,} bytes, of at least {wanted:,}", _AGAIN
    return None


def _data(header: bytes) -> int:
    """Return how many bytes of weights a header announces."""
    tensors = json.loads(header).items()
    return max((one["data_offsets"][1] for name, one in tensors if name != _NOTES), default=0)


def stored(folder: Path, itemsize: int | None = None) -> int:
    """Return how many bytes the weights in a folder take, once they are loaded; 0 for none.

    `itemsize` is that of the numbers they are loaded as, in bytes, None for as they are. Of files
    that are not of safetensors nothing is known but how large they are.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return sum(path.stat().st_size for one in _WEIGHTS for path in folder.glob(one))
    return sum(_loaded(path, itemsize) for path in files)


def _loaded(path: Path, itemsize: int | None) -> int:
    size, whole = path.stat().st_size, 0
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length >= size:
            return size
        try:
            header = json.loads(file.read(length))
            for one in (one for name, one in header.items() if name != _NOTES):
                begin, end = one["data_offsets"]
                own = _FLOATS.get(one["dtype"])
                kept = own is None or itemsize is None
                whole += end - begin if kept else (end - begin) // own * itemsize
        except (ValueError, LookupError, TypeError, AttributeError):
            return size  # whoever loads it says what is wrong
    return whole


# ---------------------------------------------------------------- digests


def identity(folder: Path) -> dict[str, str | None]:
    """Return digests of what a model in a folder is made of, wherever the folder is."""
    weights = next((found for one in _WEIGHTS if (found := list(folder.glob(one)))), [])
    return {
        "weights": digest(weights),
        "configuration": digest(folder.glob("config.json")),
        "tokenizer": digest(path for one in _TOKENIZER for path in folder.glob(one)),
    }


def digest(paths: Iterable[Path]) -> str | None:
    """Return a digest of the names and the contents of files; None for none.

    Every byte is read, at about a second for a gigabyte, but once in a process for each file that
    has not changed its size or time since, and never for one that the hub's cache has, which calls
    it by its digest.
    """
    found = sorted(set(paths))
    if not found:
        return None
    with ThreadPoolExecutor(_READERS) as readers:
        contents = list(readers.map(_content, found))
    pairs = [[path.name, content] for path, content in zip(found, contents, strict=True)]
    return _short(json.dumps(pairs).encode())


def text_digest(text: str) -> str:
    """Return a digest of a text."""
    return _short(text.encode("utf-8", "surrogatepass"))


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _content(path: Path) -> str:
    real = path.resolve()
    if real.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", real.name):
        return real.name  # in the cache of the hub, where a large file has its SHA-256 for a name
    state = real.stat()
    return _read(real, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read(path: Path, size: int, changed: int) -> str:  # noqa: ARG001  # what else it is kept by
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
