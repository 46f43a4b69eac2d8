"""The engines that the suite runs against. One more is one more entry here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import define, frozen

from chainlang import tiny
from chainlang.engines.anthropic.engine import AnthropicEngine
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.protocol import Engine
from chainlang.ir.sampling_options import DECLARED
from tests.conformance.serving import serving
from tests.engines import messages_server
from tests.engines.server import Server, from_engine


@define
class Place:
    """Where the kinds make what they need: models in a folder, servers until the stack ends."""

    folder: Path
    stack: ExitStack
    _served: str | None = None

    def another(self) -> Path:
        """Return a model with random weights, which is made once."""
        from tests.vllm.models import random_llama

        made = self.folder / "another"
        return made if made.exists() else random_llama(made, seed=1, vocabulary=420)

    def served(self) -> str:
        """Return the address of a real server of the bundled model, which is started once."""
        if self._served is None:
            self._served = self.stack.enter_context(serving(tiny.path(), tiny.NAME))
        return self._served


@frozen
class Kind:
    """How to make an engine: of a first model, and of another one."""

    make: Callable[[Place], Engine]
    other: Callable[[Place], Engine]
    refused: tuple[str, ...]
    """Schemas that are refused, because replies would not keep them."""
    lacks: frozenset[str]
    """Capabilities that it does not declare: tests of these are skipped."""
    options_lacking: frozenset[str] = frozenset()
    """Options of stages that it does not declare."""


def _fake(_: Place) -> Engine:
    return FakeEngine(context=1000, answers={"Count": "1 2 3 4 5 6 7 8 9 " * 20})


def _vllm(model: Path) -> Engine:
    from chainlang.engines.vllm.engine import VllmEngine

    return VllmEngine(model, max_num_seqs=64)


def _other_server(place: Place) -> Engine:
    """Return an engine over another server: a real one more would take as long as all tests."""
    server = place.stack.enter_context(Server(from_engine(FakeEngine())))
    return OpenAIEngine("other", base_url=server.url)


def _anthropic(place: Place, **fake: Any) -> Engine:
    answer = messages_server.from_engine(FakeEngine(**fake))
    server = place.stack.enter_context(messages_server.MessagesServer(answer))
    key, model = messages_server.KEY, messages_server.MODEL
    return AnthropicEngine(model, base_url=server.url, api_key=key)


NEVER = (
    "{",
    "[]",
    '{"type": "nonsense"}',
    '{"type": "integer", "minimum": 5, "maximum": 1}',
    '{"type": "integer", "multipleOf": 10}',
    '{"type": "array", "items": {"type": "integer"}, "uniqueItems": true}',
)
"""Schemas that no engine keeps."""

PASSED_OVER = (
    '{"type": "integer", "not": {"const": 2}}',
    '{"maximum": 3}',
    '{"enum": [1, 2, 9], "maximum": 3}',
    '{"type": "object", "required": ["a"]}',
    '{"oneOf": [{"type": "integer"}, {"type": "number"}]}',
    '{"allOf": [{"type": "string"}, {"enum": ["yes"]}]}',
    '{"$ref": "#/$defs/T", "maximum": 3, "$defs": {"T": {"type": "integer"}}}',
    '{"$ref": "#/$defs/nowhere"}',
    '{"type": "object", "patternProperties": {"a": {"const": 1}}}',
    '{"type": "object", "properties": {"a": {"type": "array", "contains": true}}}',
)
"""...and those that a server may keep in part, without a word."""

KINDS = {
    "fake": Kind(
        _fake,
        lambda _: FakeEngine(),
        (*NEVER, *PASSED_OVER),
        frozenset({"deadlines", "priorities", "token_ids"}),
    ),
    "vllm": Kind(
        lambda _: _vllm(tiny.path()),
        lambda place: _vllm(place.another()),
        (*NEVER, *PASSED_OVER, '{"type": "string", "enum": ["a", 3]}'),
        frozenset({"continues", "deadlines", "images", "tools", "typed_tools"}),
        frozenset({"extra"}),
    ),
    "openai": Kind(
        lambda place: OpenAIEngine(tiny.NAME, base_url=place.served()),
        _other_server,
        NEVER,
        frozenset(
            {"adapters", "batch_invariant", "closes", "continues", "decides", "plain_values"}
            | {"prefixes"}
            | {"schemas", "token_ids"}
        ),
        frozenset({"choices"}),
    ),
    "anthropic": Kind(
        lambda place: _anthropic(place, context=1000, answers={"Count": "1 2 3 4 5 6 7 8 9 " * 20}),
        _anthropic,
        NEVER[:4],
        frozenset(
            {"adapters", "batch_invariant", "closes", "continues", "decides", "plain_values"}
            | {"blank_stops", "logprobs", "prefixes", "schemas", "seeds", "token_ids"}
            | {"typed_tools"}
        ),
        DECLARED - {"extra", "top_k"},
    ),
}
