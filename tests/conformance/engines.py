"""The engines that the suite runs against. One more is one more entry here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from chainlang.engines.base import Engine
from chainlang.engines.fake import FakeEngine
from chainlang.tiny import path as tiny


@frozen
class Kind:
    """How to make an engine: of a first model, and of another one."""

    make: Callable[[Path], Engine]
    other: Callable[[Path], Engine]
    refused: tuple[str, ...] = ()
    """Schemas that are refused, because replies would not keep them."""


def _fake(_: Path) -> FakeEngine:
    return FakeEngine(context=1000, answers={"Count": "1 2 3 4 5 6 7 8 9 " * 20})


def _vllm(folder: Path) -> Engine:
    if (tiny() / "config.json").exists():
        return _loaded(tiny())
    return _random(folder / "first", 0, 400)


def _other_vllm(folder: Path) -> Engine:
    return _random(folder / "second", 1, 420)


def _random(folder: Path, seed: int, vocabulary: int) -> Engine:
    from tests.vllm.models import random_llama

    if not folder.exists():
        random_llama(folder, seed=seed, vocabulary=vocabulary)
    return _loaded(folder)


def _loaded(folder: Path) -> Engine:
    from chainlang.engines.vllm import VllmEngine

    return VllmEngine(folder, max_num_seqs=64)


KINDS = {
    "fake": Kind(_fake, lambda _: FakeEngine()),
    "vllm": Kind(
        _vllm,
        _other_vllm,
        refused=(
            "{",
            "[]",
            '{"type": "nonsense"}',
            '{"type": "integer", "minimum": 5, "maximum": 1}',
            '{"type": "integer", "multipleOf": 10}',
            '{"type": "integer", "not": {"const": 2}}',
            '{"maximum": 3}',
            '{"enum": [1, 2, 9], "maximum": 3}',
            '{"type": "string", "enum": ["a", 3]}',
            '{"type": "array", "items": {"type": "integer"}, "uniqueItems": true}',
            '{"type": "object", "required": ["a"]}',
            '{"type": "object", "patternProperties": {"a": {"const": 1}}}',
            '{"oneOf": [{"type": "integer"}, {"type": "number"}]}',
            '{"allOf": [{"type": "string"}, {"enum": ["yes"]}]}',
            '{"$ref": "#/$defs/T", "maximum": 3, "$defs": {"T": {"type": "integer"}}}',
            '{"$ref": "#/$defs/nowhere"}',
            '{"type": "object", "properties": {"a": {"type": "array", "contains": true}}}',
        ),
    ),
}
