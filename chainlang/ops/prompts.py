"""Templates -> text. Expressions have a module of their own.

Templates are written by authors of chains; everything that fills them in is a value. They run in
jinja's immutable sandbox, an unknown name is an error, and a rendered prompt is never rendered
again, so nothing that a row or a model says can become a template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chainlang.diagnostics import Diagnostic, closest
from chainlang.errors import MeaningError

if TYPE_CHECKING:
    from chainlang.ops.sandbox import Sandbox


class View:
    """Named values as a template sees them: ``view.name``, and nothing else.

    A mapping would not do: its methods would hide fields called ``items`` or ``values``.

    >>> render("{{ part.items }}", {"part": View({"items": 3})})
    '3'
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


def plain(value: Any) -> Any:
    """Return a value that a template or an expression has found, with views as what they show.

    >>> plain([View({"answer": "42"})])
    [{'answer': '42'}]
    """
    if isinstance(value, View):
        return {name: plain(one) for name, one in value._values.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def absent(name: str, names: Iterable[str]) -> str:
    """Say that a name is not there, what is, and which of them was probably meant.

    >>> absent("txt", ["text", "lang"])
    "there is no 'txt', there are text, lang; did you mean 'text'?"
    """
    known = list(names)
    near = closest(name, known)
    there = f", there {'are' if len(known) > 1 else 'is'} {', '.join(known)}" if known else ""
    return f"there is no '{name}'{there}" + (f"; did you mean '{near}'?" if near else "")


class RenderError(Exception):
    """A template could not be filled in with the values of a row; the message says why."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with values filled in. Text goes in as it is, other values as JSON.

    Raises `RenderError` for a name that the values lack, or an operation that fails on them, and
    `MeaningError` for a template that is not one.

    >>> render("{{ lang }}: {{ text }}", {"lang": "fr", "text": "{{ 7 * 7 }}"})
    'fr: {{ 7 * 7 }}'
    """
    return _compiled(template)(values)


@lru_cache(maxsize=1024)
def _compiled(template: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what fills a template in. Raises `MeaningError` if jinja cannot read it."""
    from jinja2 import TemplateError, TemplateSyntaxError

    from chainlang.ops.sandbox import rendered

    try:
        found = environment().from_string(template)
    except TemplateSyntaxError as error:
        message = f"this template can't be read: {error.message} (line {error.lineno})"
        raise MeaningError([Diagnostic("template", message)]) from error

    def fill(values: Mapping[str, Any]) -> str:
        try:
            return rendered(lambda: found.render(values))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise RenderError(str(error)) from error

    return fill


@lru_cache(maxsize=1024)
def variables(template: str) -> frozenset[str]:
    """Return the names that a template reads and does not define itself.

    >>> sorted(variables("{{ query }}{% for one in candidates %}{{ one.answer }}{% endfor %}"))
    ['candidates', 'query']
    """
    from jinja2 import meta

    _compiled(template)  # for its error
    return frozenset(meta.find_undeclared_variables(environment().parse(template)))


@lru_cache(maxsize=1024)
def decides_by_kind(template: str) -> bool:
    """Return whether a template asks what kind of value something is, as `is none` does.

    >>> decides_by_kind("{% if query is none %}{% endif %}"), decides_by_kind("{{ query }}")
    (True, False)
    """
    from jinja2 import nodes

    tree = environment().parse(template)
    asks = any(test.name not in ("defined", "undefined") for test in tree.find_all(nodes.Test))
    return asks or any(one.name in _ASKING for one in tree.find_all(nodes.Filter))


_ASKING = frozenset({"select", "reject", "selectattr", "rejectattr"})


@lru_cache(maxsize=1)
def environment() -> Sandbox:
    """Return the sandbox that templates are read and filled in by."""
    from chainlang.ops.sandbox import Missing, Sandbox

    class Absent(Missing):
        @property
        def _undefined_message(self) -> str:
            """What is said of a name that leads nowhere: it, and those that lead somewhere."""
            of, name = self._undefined_obj, self._undefined_name
            if self._undefined_hint or not isinstance(name, str):
                return str(super()._undefined_message)
            names = of._values if isinstance(of, View) else of if isinstance(of, dict) else ()
            return absent(name, names)

    return Sandbox(Absent)
