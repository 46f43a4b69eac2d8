"""Prompts of the first row, before it runs: their messages, their tokens, and what they share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from chainlang.plan.abstract_row import MARK, AbstractRow
from chainlang.plan.estimate_cost import counts
from chainlang.plan.steps import Generate, Plan
from chainlang.protocol.messages import Message, Reader
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_prompts import messages
from chainlang.semantics.stage_replies import schema
from chainlang.semantics.stages import Meaning
from chainlang.semantics.template_values import as_text

_UNKNOWN = "known when it runs: its template looks into replies"
_LINES, _COLUMNS = 12, 100
"""Most of a message that a page shows."""


@frozen
class FirstPrompt:
    """The prompt of a stage for the first row, with a mark in place of each reply in it."""

    stage: str
    model: str
    messages: tuple[Message, ...]
    """Empty if the template looks into replies, so that nothing of the prompt is known."""
    tokens: tuple[int, ...] | None = None
    """Tokens of each message, without replies; None without the tokenizer of the model."""
    template: int = 0
    """Tokens of the chat template, and of the beginning of the reply."""
    count: int = 1
    """Samples of each prompt."""
    prefix: str = ""
    """Beginning of the reply."""
    schema: str | None = None
    """JSON schema of the reply, as far as it is known."""

    def lines(self) -> Iterator[str]:
        """Yield the prompt as lines of a page, long messages cut."""
        yield f"{self.stage}  {self.model}{self._counted()}"
        for role, text in self.texts:
            yield from (f"  {line}" for line in _shown(role, text))
        for message in self.messages:
            yield from (f"  {'':9}  image: {_cut(one, _COLUMNS)}" for one in message.images)
        if not self.messages:
            yield f"  {_UNKNOWN}"

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Role and text of each message, with words in place of replies."""
        return [(one.role, MARK.sub(_reply, one.text)) for one in self.messages]

    def page(self) -> str:
        """Return the whole prompt."""
        lines = [f"{self.stage}: {self.count} × {self.model}{self._counted()}"]
        lines += [f"[{role}]\n{text}" for role, text in self.texts] or [_UNKNOWN]
        lines += [f"[image] {image}" for one in self.messages for image in one.images]
        lines += [f"[assistant]\n{self.prefix}"] if self.prefix else []
        lines += [f"[schema]\n{self.schema}"] if self.schema else []
        return "\n\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the prompt as JSON values."""
        return {
            "stage": self.stage,
            "model": self.model,
            "count": self.count,
            "messages": [{"role": role, "content": text} for role, text in self.texts],
            "prefix": self.prefix or None,
            "schema": None if self.schema is None else json.loads(self.schema),
            "tokens": None if self.tokens is None else sum(self.tokens) + self.template,
        }

    def _counted(self) -> str:
        if self.tokens is None or not self.messages:
            return ""
        each = [(one.role, count) for one, count in zip(self.messages, self.tokens, strict=True)]
        parts = [f"{role} {count:,}" for role, count in each]
        parts += [f"template {self.template:,}"] if self.template else []
        replies = any(MARK.search(one.text) for one in self.messages)
        more = ", and the replies" if replies else ""
        return f"  {sum(self.tokens) + self.template:,} tokens: {', '.join(parts)}{more}"


def first_prompts(
    plan: Plan, row: Record, readers: Mapping[str, Reader | str]
) -> tuple[FirstPrompt, ...]:
    """Return the prompts of a row, each stage once, of a map that of its first candidate."""
    known = {name: one for name, one in readers.items() if not isinstance(one, str)}
    found = []
    for stage, before in _stages(plan, row, known):
        said = _messages(stage, before)
        reader = known.get(stage.model)
        counted = _counted(stage, before, said, reader)
        prefix = stage.prefix if "{" not in stage.prefix else ""
        found.append(
            evolve(counted, count=stage.count, prefix=prefix, schema=_schema(stage, before))
        )
    return tuple(found)


def _schema(stage: Meaning, before: AbstractRow) -> str | None:
    """Return the schema of a stage; None if it depends on replies."""
    number = before.lot.number
    if stage.choose is not None and number.least != number.most:
        return None  # it has the number of candidates
    try:
        record = before.record()
        return schema(stage, evolve(record, candidates=(Candidate(None),) * number.least))
    except StageError:
        return None


def _stages(
    plan: Plan, row: Record, readers: Mapping[str, Reader]
) -> list[tuple[Meaning, AbstractRow]]:
    noted: dict[Any, tuple[Meaning, AbstractRow]] = {}

    def note(step: Generate, before: AbstractRow) -> None:
        noted.setdefault(step.place, (step.stage, before))

    counts(plan, row, readers, note)
    return [*noted.values()]


def _messages(stage: Meaning, before: AbstractRow) -> tuple[Message, ...]:
    """Return the prompt of a stage, with marks for replies; empty if it is not known."""
    try:
        if before.knows(stage.read_by_prompt):
            record = before.record()
            read = record.candidates[0] if stage.kind == "map" else None
            return messages(stage, record, read)
        return before.prompts(stage, most=False)[0]
    except (IndexError, RenderError, StageError, ValueError):
        return ()


def _counted(
    stage: Meaning, before: AbstractRow, said: tuple[Message, ...], reader: Reader | None
) -> FirstPrompt:
    if reader is None or not said:
        return FirstPrompt(stage.name, stage.model, said)
    try:
        own = tuple(Message(one.role, MARK.sub("", one.text)) for one in said)
        form = schema(stage, before.record()) if before.lot.known is not None else None
        whole = len(reader.token_ids(own, form, stage.template_args))
        each = tuple(tokens_of(one.text, reader) for one in own)
    except (StageError, ValueError):
        return FirstPrompt(stage.name, stage.model, said)
    return FirstPrompt(stage.name, stage.model, said, each, max(0, whole - sum(each)))


def tokens_of(text: str, reader: Reader) -> int:
    """Return the number of tokens of a text in a message. Raises `ValueError`."""
    empty = len(reader.token_ids((Message("user", ""),)))
    return len(reader.token_ids((Message("user", text),))) - empty


def advice(plan: Plan, row: Record, readers: Mapping[str, Reader | str]) -> tuple[str, ...]:
    """Return what the order of a template keeps stages of a row from sharing.

    A prefix cache has what prompts begin with in common. A value of the row which begins the prompt
    of a stage, and stands later in that of another, is computed by both.
    """
    known = {name: one for name, one in readers.items() if not isinstance(one, str)}
    found: list[str] = []
    prompts = [(stage, _messages(stage, before)) for stage, before in _stages(plan, row, known)]
    for at, (stage, said) in enumerate(prompts):
        reader = known.get(stage.model)
        if reader is None or reader.block is None or not said:
            continue
        for earlier, begun in prompts[:at]:
            if earlier.model == stage.model and begun and earlier.name != stage.name:
                line = _advised(stage, said, earlier, begun, row, reader)
                if line is not None:
                    found.append(line)
                    break
    return tuple(dict.fromkeys(found))


def _advised(  # noqa: PLR0917
    stage: Meaning,
    said: Sequence[Message],
    earlier: Meaning,
    begun: Sequence[Message],
    row: Record,
    reader: Reader,
) -> str | None:
    assert reader.block is not None
    for name in sorted(stage.read_by_prompt & earlier.read_by_prompt):
        value = row.values.get(name)
        text = value if isinstance(value, str) else as_text(value) if value is not None else ""
        if not text or not begun[0].text.startswith(text):
            continue
        whole = "\x00".join(one.text for one in said)
        place = whole.find(text)
        if place <= 0:
            continue
        shared = tokens_of(text, reader) // reader.block * reader.block
        if shared:
            others = tokens_of(MARK.sub("", whole[:place]).replace("\x00", ""), reader)
            return (
                f"{stage.name} reads {{{{ {name} }}}} after {others:,} other tokens: begun with "
                f"it, {shared:,} tokens a row are shared with {earlier.name}"
            )
    return None


def _reply(mark: re.Match[str]) -> str:
    return f"<a reply, up to {int(mark[1]):,} tokens>" if mark[1] else "<a value>"


def _shown(role: str, text: str) -> Iterator[str]:
    lines = text.splitlines() or [""]
    shown = [_cut(one, _COLUMNS) for one in lines[:_LINES]]
    for number, line in enumerate(shown):
        yield f"{role if not number else '':9}  {line}".rstrip()
    if len(shown) < len(lines):
        yield f"{'':9}  … {len(lines) - len(shown)} more lines"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… {len(text) - most:,} more characters"
