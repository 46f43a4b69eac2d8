"""Tokenizer of fake prompts and replies: a token is four characters."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from attrs import frozen

from chainlang.protocol.messages import Message, Role

CHARACTERS_PER_TOKEN = 4


def token_id(text: str) -> int:
    """Return the id of a token. Raises `ValueError` if the text is not one token.

    >>> token_id("abc") == token_id("abcd"), token_id("7")
    (False, 1790921346)
    """
    if not 0 < len(text) <= CHARACTERS_PER_TOKEN:
        raise ValueError(f"it is {-(-len(text) // CHARACTERS_PER_TOKEN)} tokens")
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def pieces(text: str) -> Iterator[str]:
    """Yield the tokens of a text."""
    for start in range(0, len(text), CHARACTERS_PER_TOKEN):
        yield text[start : start + CHARACTERS_PER_TOKEN]


@frozen
class CharacterTokenizer:
    """A tokenizer that makes a token of every four characters of a message."""

    context: int | None
    block: int | None = None

    def refusal(self, roles: tuple[Role, ...], template_args: str = "") -> None:
        """Return None: it takes every role."""

    def token_id(self, text: str) -> int:
        """Return the id of a token of at most four characters. Raises `ValueError` for others."""
        return token_id(text)

    def token_ids(
        self,
        messages: Iterable[Message],
        schema: str | None = None,  # noqa: ARG002  # this engine never prefills a reply
        template_args: str = "",  # noqa: ARG002  # it has no template
    ) -> list[int]:
        """Return the tokens of a prompt; equal pieces of text have equal tokens."""
        return [token_id(piece) for message in messages for piece in pieces(message.text)]
