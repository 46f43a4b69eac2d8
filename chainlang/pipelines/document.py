"""A file of steps, read and checked by itself: a pipeline, its inputs, and its steps."""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.source import Source, Span
from chainlang.pipelines.values import Auto, Entry, Fields, Items, Scalar

Decided: TypeAlias = Scalar | Auto
"""A value that a model may decide."""


@frozen
class Word:
    """A name in a file, with its span."""

    text: str
    span: Span = field(eq=False, repr=False)


@frozen
class InputField:
    """A field of `inputs`: a name, the text of its type, a default, a description."""

    name: Word
    type: Word
    default: Scalar | Items | Fields | None = None
    description: str | None = None
    choices: Items | None = None
    is_required: bool = True


@frozen(kw_only=True)
class Step:
    """A step: what it does, what it is given, when it runs, and what happens if it fails.

    One of `action`, `steps` and `pipeline` is given. Settings that the file does not have are None.
    """

    id: Word
    span: Span = field(eq=False, repr=False)
    action: Word | None = None
    parameters: Fields | None = None
    steps: tuple[Step, ...] = ()
    pipeline: Word | None = None
    outputs: tuple[Entry, ...] = ()
    dependencies: tuple[Word, ...] = ()
    condition: Decided | None = None
    for_each: Scalar | Items | None = None
    item: Word | None = None
    repeated_while: Scalar | None = None
    repeated_until: Scalar | None = None
    max_iterations: int | None = None
    on_failure: Word | None = None
    max_retries: int | None = None
    backoff: float | None = None
    timeout: float | None = None
    model: Decided | None = None
    temperature: Decided | None = None
    max_tokens: Decided | None = None
    system: Scalar | None = None


@frozen(kw_only=True)
class Pipeline:
    """A file of steps."""

    source: Source
    span: Span = field(eq=False, repr=False)
    name: str = ""
    version: str | None = None
    description: str | None = None
    inputs: tuple[InputField, ...] | None = None
    """None without the key: a row may have any fields."""
    constants: tuple[Entry, ...] = ()
    """Values of `context` that templates read."""
    timeout: float | None = None
    max_retries: int | None = None
    checkpoints: Word | None = None
    use: tuple[Word, ...] = ()
    by_model: bool = False
    """Whether the model does each action that nothing else does."""
    model: str | None = None
    steps: tuple[Step, ...] = ()
    outputs: tuple[Entry, ...] = ()
