"""Reasoning of a vLLM model: the tokens around it, for prompts and for the scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from chainlang.diagnostics.suggest import suggest
from chainlang.engines.protocol import refuse
from chainlang.protocol.reasoning_tags import REASONING_TAGS, State, parser_hint


@frozen
class Tags:
    """The tags of a model's reasoning, each of which is one token."""

    texts: tuple[str, str]
    start_id: int
    end_id: int
    endings: set[tuple[int, ...]] = field(factory=set, eq=False, repr=False)
    """Tokens of the chat template after the last message, of all prompts so far: a few."""

    @classmethod
    def of(cls, parser: str, vocabulary: Mapping[str, int]) -> Tags:
        """Return the tags of a parser. Raises `EngineError` if the model lacks one of them."""
        if parser not in REASONING_TAGS:
            hint = parser_hint(parser) or suggest(parser, REASONING_TAGS)
            refuse(f"unknown reasoning parser {parser!r}", hint, setting="reasoning")
        start, end = REASONING_TAGS[parser]
        for tag in (start, end):
            if tag not in vocabulary:
                what = f"its tokenizer has no token {tag!r}, as the parser {parser!r} needs"
                hint = "name the parser of this model, or leave reasoning out"
                refuse(what, hint, setting="reasoning")
        return cls((start, end), vocabulary[start], vocabulary[end])

    def is_ended(self, prompt: Sequence[int]) -> bool:
        """Return whether reasoning has ended at the end of a prompt, whatever earlier turns say."""
        fitting = [one for one in self.endings if one and one == (*prompt[-len(one) :],)]
        longest = max(fitting, key=len, default=prompt)
        return self.state(longest) == "ended"

    def state(self, prompt: Sequence[int]) -> State:
        """Return the state at the end of some tokens: what the last tag among them says."""
        for token in reversed(prompt):
            if token == self.end_id:
                return "ended"
            if token == self.start_id:
                return "open"
        return "unknown"


def gate(tags: Tags) -> type:
    """Return a reasoning parser for vLLM's scheduler, which holds a schema from its end on.

    It has the two methods that the scheduler calls. Those of vLLM's own parsers that are in
    `REASONING_TAGS` decide in the same way.
    """

    class Gate:
        def __init__(self, **_: Any) -> None:
            """Take the tokenizer and the arguments of the template, which are not needed."""

        def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
            return tags.is_ended(input_ids)

        def is_reasoning_end_streaming(
            self,
            input_ids: Sequence[int],  # noqa: ARG002  # as vLLM calls it
            delta_ids: Iterable[int],
        ) -> bool:
            return tags.end_id in delta_ids

    return Gate
