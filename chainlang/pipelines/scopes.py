"""Steps of a file with their labels: which steps each can read, and what they are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.ir.made_labels import made_labels
from chainlang.pipelines.document import Pipeline, Step


def every_step(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps and the steps inside them, in the order of the file."""
    for one in steps:
        yield one
        yield from every_step(one.steps)


def repeated_ids(steps: Iterable[Step]) -> Iterator[Diagnostic]:
    """Yield an error for each step with the id of an earlier one."""
    seen: dict[str, Step] = {}
    for one in every_step(steps):
        first = seen.setdefault(one.id.text, one)
        if first is not one:
            line, _ = first.id.span.source.position(first.id.span.start)
            message = f"two steps have the id '{one.id.text}'"
            hint = f"the first is in line {line}: rename one of them"
            yield Diagnostic(
                "duplicate-name", message, one.id.span, hint, kind="step", subject=one.id.text
            )


def labels_of(
    steps: Iterable[Step], taken: Collection[str] = (), prefix: str = ""
) -> Mapping[str, str]:
    """Return the label of each step by its id; steps of a file inside another have its prefix."""
    ids = list(dict.fromkeys(one.id.text for one in every_step(steps)))
    made = made_labels([f"{prefix}{one}" for one in ids], taken)
    return dict(zip(ids, made, strict=True))


@frozen
class Scope:
    """Steps that stand beside each other, and those around them, by their ids."""

    visible: Mapping[str, str]
    """Labels of the steps that can be read."""
    hidden: Mapping[str, str]
    """Why others can't."""


def scope_of(
    steps: Iterable[Step], labels: Mapping[str, str], around: Mapping[str, str], whole: Pipeline
) -> Scope:
    """Return what steps that stand beside each other can read, with what is around them."""
    visible = {**around, **{one.id.text: labels[one.id.text] for one in steps}}
    hidden = {
        inner.id.text: (
            f"the step '{inner.id.text}' is inside '{one.id.text}': "
            f"read it as an output of '{one.id.text}'"
        )
        for one in every_step(whole.steps)
        for inner in every_step(one.steps)
        if inner.id.text not in visible
    }
    return Scope(visible, hidden)
