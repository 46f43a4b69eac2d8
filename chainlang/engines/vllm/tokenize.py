"""Tokenization of messages in which special tokens in a text stay plain text.

The chat template is rendered once for each sequence of roles, with a marker in place of each text.
Markup in the template's own text becomes special tokens; what stands between two of them, texts of
messages among it, is tokenized together, without any. So ``<|im_end|>`` in a value is ten
characters, and a prompt without such values has the tokens that the tokenizer itself gives it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache, partial
from typing import Any, Literal

from attrs import frozen

from chainlang.engines.protocol import encoding_error
from chainlang.engines.vllm.chat_template import ChatTemplate, PromptError, Slot
from chainlang.engines.vllm.reasoning import Tags
from chainlang.engines.vllm.tool_parser import CallReader, Turn, turn_of
from chainlang.protocol.messages import Message, Role, ToolSpec
from chainlang.protocol.reasoning_tags import State

_CACHED = 256  # system messages whose tokens are cached, because they repeat


class Prompts:
    """Tokenizer of one model's prompts; `tokenizer` is a fast tokenizer of transformers.

    `chat_template` is the text of a template; None for that of the tokenizer. `template_args`:
    its arguments. `reasoning`: the parser of its reasoning. Raises `EngineError` if the tokenizer
    lacks the tags of the parser.
    """

    def __init__(
        self,
        tokenizer: Any,
        chat_template: str | None = None,
        *,
        template_args: Mapping[str, Any] | None = None,
        reasoning: str | None = None,
    ) -> None:
        self.calls: CallReader | None = None
        """Reader of the calls of tools in replies; None for a model without."""
        apply = partial(tokenizer.apply_chat_template, chat_template=chat_template)
        self._template = ChatTemplate(apply, template_args)
        self.tags = None if reasoning is None else Tags.of(reasoning, tokenizer.get_vocab())
        """Tags of the model's reasoning; None for a model without."""
        described = json.loads(tokenizer.backend_tokenizer.to_str())
        self._whole = tokenizer.backend_tokenizer
        self.end_id: int | None = tokenizer.eos_token_id
        """The token that ends a reply; None for a tokenizer that names none."""
        self._markup = _reader(described, markup=True, prefix="never")
        self._plain = _reader(described, markup=False, prefix="never")
        # The space that a tokenizer adds in front belongs before the template, and after markup.
        self._opening = _reader(described, markup=False, prefix="first")
        self._after_mark = _reader(described, markup=False, prefix="always")
        marks = {one["id"] for one in described["added_tokens"] if _is_markup(one)}
        self._marks = (marks | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id}
        if self.tags is not None:
            self._marks |= {self.tags.start_id, self.tags.end_id}
        self._widest = _widest(described)
        self._around = lru_cache(_CACHED)(self._pieces)
        self._added = lru_cache(_CACHED)(self._end)
        self._repeated = lru_cache(_CACHED)(self._segment_ids)
        self.beginning = lru_cache(_CACHED)(self._beginning)
        self.refusal = lru_cache(_CACHED)(self._refusal)

    @property
    def reads_date(self) -> bool:
        """Whether the chat template reads today's date."""
        return self._template.reads_date

    def token_ids(
        self,
        messages: Iterable[Message],
        date: str | None = None,
        template_args: str = "",
        tools: tuple[ToolSpec, ...] = (),
    ) -> list[int]:
        """Return the tokens of a prompt on a date. Raises `PromptError` if the template rejects it.

        The date is today's if None, and plays no part unless the template `reads_date`.
        `template_args` are arguments of the template besides the model's, as JSON.
        """
        messages = tuple(messages)
        pieces = self._around(
            tuple(map(turn_of, messages)),
            date if self.reads_date else None,
            template_args,
            tools,
        )
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, int):
                ids.append(piece)
                continue
            text = piece.own[0]
            for slot, own in zip(piece.slots, piece.own[1:], strict=True):
                text += self._text_of(messages[slot.number], slot) + own
            read = self._repeated if piece.repeats else self._segment_ids
            ids += read(text, is_first=piece.is_first)
        return ids

    def _text_of(self, message: Message, slot: Slot) -> str:
        if message.calls:  # the template prints them, and no text beside them
            return ""
        if (why := encoding_error(message)) is not None:
            raise PromptError(why)
        return slot.stripped(message.text)

    def state(
        self,
        messages: Iterable[Message],
        date: str | None = None,
        template_args: str = "",
        tools: tuple[ToolSpec, ...] = (),
    ) -> State:
        """Return whether the reply to a prompt begins with reasoning; never without a parser.

        What counts is what the template adds after the last message: it may print the tags of
        earlier turns, too.
        """
        if self.tags is None:
            return "ended"
        turns = tuple(map(turn_of, messages))
        day = date if self.reads_date else None
        return self.tags.state(self._added(turns, day, template_args, tools))

    def _end(
        self,
        roles: tuple[Turn, ...],
        date: str | None,
        args: str,
        tools: tuple[ToolSpec, ...],
    ) -> tuple[int, ...]:
        """Return the tokens of the template after the last message, and note them for the gate."""
        ids: list[int] = []
        for piece in self._around(roles, date, args, tools):
            if isinstance(piece, int):
                ids.append(piece)
            elif piece.slots:
                ids.clear()
            else:
                ids += self._segment_ids(piece.own[0], is_first=piece.is_first)
        if self.tags is not None:
            self.tags.endings.add(tuple(ids))
        return tuple(ids)

    def decoded(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, special tokens included."""
        return str(self._whole.decode(list(ids), skip_special_tokens=False))

    def _refusal(self, roles: tuple[Role, ...], template_args: str = "") -> str | None:
        """Return why the model can't have prompts of these roles; None if it can.

        Its prompts must be those of its chat template: each text in its place, unchanged but for
        blanks around it, and the tokens that the tokenizer gives the whole.
        """
        try:
            for text in _ORDINARY:
                messages = [Message(role, text) for role in roles]
                date = datetime.now(UTC).date().isoformat()
                said = [(role, text) for role in roles]
                whole = self._template.rendered(said, date, template_args)
                ids = self._whole.encode(whole, add_special_tokens=False).ids
                if self.token_ids(messages, date, template_args) != ids:
                    return "its tokenizer reads a text otherwise inside the chat template"
        except PromptError as error:
            return str(error)
        return None

    def min_tokens(self, messages: Iterable[Message]) -> int:
        """Return a lower bound for the number of tokens of a prompt, without tokenizing it.

        Tokenizing a megabyte takes a second, in which no other request is served.
        """
        if self._widest is None:
            return 0
        # The template may strip a text.
        return sum(len(message.text.strip()) for message in messages) // self._widest

    def text_ids(self, text: str) -> list[int]:
        """Return the tokens of a text, without special tokens."""
        return self._ids(self._plain, text)

    def token_id(self, text: str) -> int:
        """Return the id of a text that is one token, special or not.

        Raises `ValueError` if it is not.
        """
        special: int | None = self._whole.token_to_id(text)
        if special is not None and special in self._marks:
            return special
        ids = self.text_ids(text)
        if len(ids) != 1:
            raise ValueError(f"it is {len(ids)} tokens")
        return ids[0]

    def _segment_ids(self, text: str, *, is_first: bool) -> list[int]:
        """Return the tokens of a text at the beginning of a prompt, or after markup."""
        return self._ids(self._opening if is_first else self._after_mark, text)

    def _ids(self, reader: Any, text: str) -> list[int]:
        read = reader.encode(text, add_special_tokens=False)
        if self._marks.isdisjoint(read.ids):
            return list(read.ids)
        # Some vocabularies have "<s>" as an ordinary token: it is tokenized letter by letter.
        ids: list[int] = []
        for one, (start, end) in zip(read.ids, read.offsets, strict=True):
            if one not in self._marks:
                ids.append(one)
                continue
            for character in text[start:end]:
                spelled = self._plain.encode(character, add_special_tokens=False).ids
                if not self._marks.isdisjoint(spelled):
                    raise PromptError(f"the tokenizer reads {character!r} as a special token")
                ids += spelled
        return ids

    @cached_property
    def _vocabulary(self) -> list[str]:
        return sorted(self._plain.get_vocab())

    def _beginning(self, text: str) -> tuple[tuple[int, ...], int]:
        """Return the first tokens of a text, whatever follows it, and the length of their text.

        The last tokens of `text` are left out if they could be merged with what follows.
        """
        read = self._plain.encode(text, add_special_tokens=False)
        if not self._marks.isdisjoint(read.ids):
            return (), 0
        for count in range(len(read.ids)):
            rest = "".join(read.tokens[count:])
            at = bisect_right(self._vocabulary, rest)
            if at < len(self._vocabulary) and self._vocabulary[at].startswith(rest):
                break
        else:
            count = len(read.ids)
        length = read.offsets[count - 1][1] if count else 0
        if count < len(read.ids) and read.offsets[count][0] < length:  # within a character
            return (), 0
        return tuple(read.ids[:count]), length

    def has_markup(self, text: str) -> bool:
        """Return whether a text has special tokens, which a template would print as such."""
        found = self._markup.encode(text, add_special_tokens=False)
        return not self._marks.isdisjoint(found.ids)

    def prints(self, tools: tuple[ToolSpec, ...]) -> bool:
        """Return whether the chat template says anything of tools."""
        said: list[tuple[Turn | Role, str]] = [("user", "a")]
        date = datetime.now(UTC).date().isoformat()
        return self._template.rendered(said, date, "", tools) != self._template.rendered(said, date)

    def _pieces(
        self,
        roles: tuple[Turn, ...],
        date: str | None,
        template_args: str,
        tools: tuple[ToolSpec, ...],
    ) -> tuple[int | Segment, ...]:
        """Return the special tokens of a prompt, and what stands between them."""
        pieces: list[int | Segment] = []
        own, slots, is_first = [""], list[Slot](), True

        def end() -> None:
            nonlocal own, slots, is_first
            if own != [""]:
                repeats = all(roles[one.number][0] == "system" for one in slots)
                pieces.append(Segment(tuple(own), tuple(slots), is_first, repeats))
            own, slots, is_first = [""], [], False

        for part in self._template.parts(roles, date, template_args, tools):
            if isinstance(part, Slot):
                slots.append(part)
                own.append("")
                continue
            read, at = self._markup.encode(part, add_special_tokens=False), 0
            for token, (start, stop) in zip(read.ids, read.offsets, strict=True):
                if token in self._marks:
                    own[-1] += part[at:start]
                    end()
                    pieces.append(token)
                    at = stop
            own[-1] += part[at:]
        end()
        return tuple(pieces)


@frozen
class Segment:
    """A part of a prompt without special tokens: texts of messages, between those of the template.

    `own` has one text more than `slots`.
    """

    own: tuple[str, ...]
    slots: tuple[Slot, ...]
    is_first: bool
    repeats: bool
    """Whether many prompts have the same text here: it has none of the messages but system ones."""


_ORDINARY = ("What is 17 + 25?", "Answer:\n\n- yes, 3 %\n- no", "É")


def _is_markup(token: dict[str, Any]) -> bool:
    """Return whether an added token is markup. Runs of spaces are plain text."""
    return bool(token["special"] or token["content"].strip(" \t\n\r▁"))


def _widest(described: dict[str, Any]) -> int | None:
    """Return the maximum number of characters of a token; None if there is no such bound.

    Some tokenizers drop blanks, or make one token of several unknown characters. A byte-level
    tokenizer does neither.
    """
    steps = described["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    by_bytes = any(step.get("type") == "ByteLevel" for step in steps)
    drops = any(step.get("behavior") == "Removed" for step in steps)
    if not by_bytes or drops or described["normalizer"] is not None:
        return None
    pieces = described["model"].get("vocab")
    if not isinstance(pieces, dict):
        return None
    return max(map(len, [*pieces, *(one["content"] for one in described["added_tokens"])]))


Prefix = Literal["never", "first", "always"]
"""Texts before which the space of a tokenizer is added: none, the first, each."""


def _reader(described: dict[str, Any], *, markup: bool, prefix: Prefix) -> Any:
    """Return a tokenizer from its JSON description, with or without special tokens."""
    from tokenizers import Tokenizer

    changed = {**described, "post_processor": None, "truncation": None, "padding": None}
    if not markup:
        added = described["added_tokens"]
        changed["added_tokens"] = [one for one in added if not _is_markup(one)]
    changed["normalizer"] = _prefixed(described["normalizer"], prefix)
    changed["pre_tokenizer"] = _prefixed(described["pre_tokenizer"], prefix)
    return Tokenizer.from_str(json.dumps(changed))


def _prefixed(part: Any, prefix: Prefix) -> Any:
    """Return a step of a tokenizer, with its added space in front of these texts alone."""
    if part is None or prefix == "first":
        return part
    if part["type"] == "Metaspace" and (prefix == "never" or part["prepend_scheme"] == "first"):
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "Sequence":
        key = "normalizers" if "normalizers" in part else "pretokenizers"
        steps = [_prefixed(one, prefix) for one in part[key]]
        return {**part, key: [one for one in steps if one is not None]}
    if prefix == "always":
        return part
    if part["type"] == "Prepend":
        return None
    return {**part, "add_prefix_space": False} if part["type"] == "ByteLevel" else part
