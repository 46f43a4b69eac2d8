"""The files of a model in a folder: whether its weights are whole."""

from __future__ import annotations

import json
from pathlib import Path

_POINTER = b"version https://git-lfs"
_AGAIN = "copy it, or download it, again"
_NOTES = "__metadata__"
_LENGTH = 8  # bytes at the beginning of a file of safetensors that say how long its header is


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
