"""The files of a model in a folder: integrity, size and digests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

_POINTER = b"version https://git-lfs"
_AGAIN = "copy or download it again"
_NOTES = "__metadata__"
_LONGEST_HEADER = 100_000_000  # bytes, as the format's own library reads it
_LENGTH = 8  # bytes at the beginning of a safetensors file that hold the length of its header

# Weight files, by kind; the first kind that exists is used.
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
_TOKENIZER = ("*token*", "*vocab*", "merges.txt", "*.model")
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # bytes of the types that loading may convert
_READERS = 4  # threads that read files


def weight_error(folder: Path) -> tuple[str, str] | None:
    """Return an error in a folder's weights and a hint; None if they are complete.

    Only the headers and sizes of the files are checked. A pipe or a device in the place of a file
    is an error, since reading it may never end.
    """
    for path in sorted(folder.iterdir()):
        if path.exists() and not (path.is_file() or path.is_dir()):
            return f"{path.name} is not a file", "remove it, or download the model again"
    for path in sorted(folder.glob("*.safetensors")):
        size, wanted = path.stat().st_size, _LENGTH
        with path.open("rb") as file:
            begin = file.read(len(_POINTER))
            if begin == _POINTER:
                what = f"{path.name} is a Git LFS pointer, not the weights"
                return what, f"run: git -C {folder} lfs pull"
            if size >= wanted:
                wanted += int.from_bytes(begin[:_LENGTH], "little")
            if wanted > _LONGEST_HEADER and size >= wanted:
                return f"{path.name} announces a header of {wanted - _LENGTH:,} bytes", _AGAIN
            if size >= wanted:
                file.seek(_LENGTH)
                try:
                    wanted += _data(file.read(wanted - _LENGTH))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                    return f"{path.name} holds no weights", _AGAIN
        if size < wanted:
            return f"{path.name} is truncated: it has {size:,} of at least {wanted:,} bytes", _AGAIN
    return None


def _data(header: bytes) -> int:
    """Return the number of bytes of weights, according to a header."""
    tensors = json.loads(header).items()
    return max((one["data_offsets"][1] for name, one in tensors if name != _NOTES), default=0)


def stored(folder: Path, itemsize: int | None = None) -> int:
    """Return the size of the weights in a folder once they are loaded, in bytes; 0 without any.

    `itemsize` is the size of a number of the type that they are converted to, in bytes; None for no
    conversion. For files other than safetensors it is the size of the files.
    """
    files = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if not files:
        return sum(path.stat().st_size for one in _WEIGHTS for path in folder.glob(one))
    return sum(_loaded(path, itemsize) for path in files)


def _loaded(path: Path, itemsize: int | None) -> int:
    size, whole = path.stat().st_size, 0
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length >= min(size, _LONGEST_HEADER):
            return size
        try:
            header = json.loads(file.read(length))
            for one in (one for name, one in header.items() if name != _NOTES):
                begin, end = one["data_offsets"]
                own = _FLOATS.get(one["dtype"])
                kept = own is None or itemsize is None
                whole += end - begin if kept else (end - begin) // own * itemsize
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return size  # loading it reports the error
    return whole


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a folder, by name; those of safetensors alone."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(path for path in folder.glob("*.safetensors") if path.is_file()):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            try:
                header = json.loads(file.read(length)) if length <= _LONGEST_HEADER else {}
                found |= {k: tuple(one["shape"]) for k, one in header.items() if k != _NOTES}
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue  # loading it reports the error
    return found


# ---------------------------------------------------------------- digests


def identity(folder: Path) -> dict[str, str | None]:
    """Return digests of a model's files; the path of the folder does not matter."""
    weights = next((found for one in _WEIGHTS if (found := list(folder.glob(one)))), [])
    return {
        "weights": digest(weights),
        "configuration": digest(folder.glob("config.json")),
        "tokenizer": tokenizer_digest(folder),
    }


def tokenizer_digest(folder: Path) -> str | None:
    """Return a digest of the files of a tokenizer; None without any."""
    return digest(path for one in _TOKENIZER for path in folder.glob(one))


def digest(paths: Iterable[Path]) -> str | None:
    """Return a digest of the names and contents of files; None without files.

    Reads every byte, at about a gigabyte a second. The digest of a file is cached in the process
    until its size or modification time changes. Large files in the hub's cache are not read,
    because their names are their digests.
    """
    found = sorted(path for path in set(paths) if path.is_file())
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
        return real.name  # in the hub's cache, the name of a large file is its SHA-256
    state = real.stat()
    return _read(real, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read(path: Path, size: int, changed: int) -> str:  # noqa: ARG001  # part of the cache key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
