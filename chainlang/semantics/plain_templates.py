"""Templates that are filled without jinja: they print texts, and loop over candidates.

Most prompts are such, and jinja takes several times as long for them. It is asked for all others,
and for values that it shows in another way, refuses, or finds too expensive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from chainlang.semantics.render_budget import BUDGET
from chainlang.semantics.template_values import View

if TYPE_CHECKING:
    from jinja2 import nodes

_INDEX = ""
"""In place of a field of the item of a loop: the number of the round."""


@frozen
class _Loop:
    """A loop over a list of views that prints their fields and the number of the round."""

    each: int
    """Cost of a round, as the sandbox charges it."""
    body: tuple[tuple[str, str], ...] | None
    """Texts, each with the field after it; None for another body, which an empty list never asks
    for."""
    end: str = ""
    """Text at the end of a round."""

    def add(self, items: list[Any], parts: list[str]) -> bool:
        """Add the texts of all rounds; return whether they are what jinja would print."""
        if self.body is None:
            return not items
        for number, item in enumerate(items, 1):
            if type(item) is not View:
                return False
            for text, name in self.body:
                value = str(number) if name == _INDEX else item.get(name)
                if type(value) is not str:
                    return False
                parts.append(text)
                parts.append(value)
            parts.append(self.end)
        return True


@frozen
class PlainTemplate:
    """The texts of a template, each with the name after it, and its loop if there is one."""

    pieces: tuple[tuple[str, str, _Loop | None], ...]
    end: str

    def fill(self, values: Mapping[str, Any]) -> str | None:
        """Return the text that jinja would make of the values; None if it has to be asked."""
        parts: list[str] = []
        charged = 0
        for text, name, loop in self.pieces:
            value = values.get(name)
            parts.append(text)
            if loop is None:
                if type(value) is not str:
                    return None
                parts.append(value)
            elif type(value) is list and loop.add(value, parts):
                charged += len(value) * loop.each
            else:
                return None
        parts.append(self.end)
        made = "".join(parts)
        return made if len(made) + charged < BUDGET else None


def plain_template(tree: nodes.Template) -> PlainTemplate | None:
    """Return a parsed template as a plain one; None if it does anything else."""
    from jinja2 import nodes

    found, text = list[tuple[str, str, _Loop | None]](), ""
    for node in _printed(tree.body):
        match node:
            case nodes.TemplateData(data=data):
                text += data
                continue
            case nodes.Name(name=name):
                found.append((text, name, None))
            case nodes.For(
                target=nodes.Name(name=item),
                iter=nodes.Call(args=[nodes.Name(name=name), nodes.Const(value=each)]),
                else_=[],
                test=None,
            ):  # the call is that which charges its rounds
                found.append((text, name, _loop(item, node.body, each)))
            case _:
                return None
        text = ""
    return PlainTemplate(tuple(found), text)


def _loop(item: str, body: list[nodes.Node], each: int) -> _Loop:
    from jinja2 import nodes

    found, text = list[tuple[str, str]](), ""
    for node in _printed(body):
        match node:
            case nodes.TemplateData(data=data):
                text += data
                continue
            case nodes.Getattr(node=nodes.Name(name="loop"), attr="index") if item != "loop":
                found.append((text, _INDEX))
            case nodes.Getattr(node=nodes.Name(name=name), attr=field) if name == item != "loop":
                found.append((text, field))
            case _:
                return _Loop(each, None)
        text = ""
    return _Loop(each, tuple(found), text)


def _printed(body: list[nodes.Node]) -> list[nodes.Node]:
    """Return what nodes print, and the others as they are."""
    from jinja2 import nodes

    several = (one.nodes if isinstance(one, nodes.Output) else [one] for one in body)
    return [node for part in several for node in part]
