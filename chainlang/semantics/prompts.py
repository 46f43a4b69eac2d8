"""Rendering of prompt templates.

Templates are written by authors of chains. They are rendered in jinja's immutable sandbox, with
unknown names as errors. A rendered prompt is never rendered again, so text of a row or a model can
never become a template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chainlang.diagnostics.render import without_places
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import error_of
from chainlang.semantics.plain_templates import plain_template
from chainlang.semantics.render_budget import OverBudget, rendered
from chainlang.semantics.template_values import View

if TYPE_CHECKING:
    from jinja2 import nodes

    from chainlang.semantics.sandbox import Sandbox


def absent(name: str, names: Iterable[str]) -> str:
    """Return the message about an unknown name, with the known names.

    >>> absent("txt", ["text", "lang"]), absent("tone", ["text", "lang"])
    ("unknown name 'txt'; did you mean 'text'?", "unknown name 'tone'; available: text, lang")
    """
    hint = suggest(name, names)
    return f"unknown name '{name}'" + (f"; {hint}" if hint else "")


class RenderError(Exception):
    """A template failed on the values of a row; the message has the reason."""


NOT_ALLOWED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError, OverBudget,
)  # fmt: skip
"""Exceptions that filters and operators raise for unsuitable values."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Render a template. Strings are inserted as they are, other values as JSON.

    Raises `RenderError` for a missing name, an operation that fails, and a function as a value, and
    `MeaningError` for a syntax error.

    >>> render("{{ lang }}: {{ text }}", {"lang": "fr", "text": "{{ 7 * 7 }}"})
    'fr: {{ 7 * 7 }}'
    """
    return _compiled(template)(values)


@lru_cache(maxsize=1024)
def _compiled(template: str) -> Callable[[Mapping[str, Any]], str]:
    """Return the render function of a template. Raises `MeaningError` for a syntax error."""
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        found = environment().from_string(template)
    except TemplateSyntaxError as error:
        message = f"invalid template: {error.message} (line {error.lineno})"
        raise error_of("template", message) from error
    except UNREADABLE as error:
        raise error_of("template", f"invalid template: {unreadable(error)}") from error

    around, plain = found.environment, plain_template(environment().parse(template))

    def fill(values: Mapping[str, Any]) -> str:
        if plain is not None and (text := plain.fill(values)) is not None:
            return text
        # The same as `found.render(values)`, which copies the values twice.
        names = {**found.globals, **values}
        context = around.context_class(around, names, found.name, found.blocks)
        try:
            return rendered(found.root_render_func(context))
        except (TemplateError, *NOT_ALLOWED) as error:
            raise RenderError(said_by(error)) from error

    return fill


UNREADABLE = (MemoryError, RecursionError, SyntaxError, ValueError)
"""Errors of Python about the code that jinja makes of a template, and about its numbers."""


def unreadable(error: BaseException) -> str:
    """Return the reason why Python can't read the code of a template.

    >>> unreadable(SyntaxError("too many statically nested blocks"))
    'it is nested too deep'
    """
    if isinstance(error, ValueError):
        return "a number has too many digits"
    if isinstance(error, SyntaxError) and not str(error.msg).startswith("too many"):
        return str(error.msg)
    return "it is nested too deep"


def said_by(error: Exception) -> str:
    """Return the message of an error about the values of a row."""
    if isinstance(error, RecursionError):
        return "a value is nested too deep"
    return without_places(str(error))


@lru_cache(maxsize=1024)
def variables(template: str) -> frozenset[str]:
    """Return the names that a template reads without defining them.

    >>> sorted(variables("{{ query }}{% for one in candidates %}{{ one.answer }}{% endfor %}"))
    ['candidates', 'query']
    """
    _compiled(template)  # for its error
    return undeclared(environment().parse(template))


def undeclared(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template reads without defining them before.

    Like `jinja2.meta`, but without constant folding, which may fail or never end.
    """
    from jinja2.meta import TrackingCodeGenerator

    assert tree.environment is not None
    found = TrackingCodeGenerator(tree.environment)
    found.optimizer = None
    found.visit(tree)
    return frozenset(found.undeclared_identifiers)


@lru_cache(maxsize=1024)
def only_value(template: str) -> str | None:
    """Return the text between the braces of a template that is one ``{{ ... }}``; else None.

    >>> only_value("{{ fr.answer }}"), only_value("{{ a }}{{ b }}"), only_value("{{ a }}!")
    ('fr.answer', None, None)
    >>> only_value("{{- a -}}"), only_value("{{ -1 }}")
    ('a', '-1')
    """
    from jinja2 import TemplateSyntaxError, nodes

    if not (template.startswith("{{") and template.endswith("}}")):
        return None
    try:
        body = environment().parse(template).body
    except (TemplateSyntaxError, *UNREADABLE):  # `_compiled` says what is wrong with it
        return None
    match body:
        case [nodes.Output(nodes=[one])] if not isinstance(one, nodes.TemplateData):
            return template[2:-2].removeprefix("-").removesuffix("-").strip()
    return None


@lru_cache(maxsize=1024)
def looks_into(template: str) -> bool:
    """Return whether a template does more with values than to print, join, count and iterate.

    It may depend on the type of a value, as with `is none`, or on its text.

    >>> looks_into("{% if query is none %}{% endif %}"), looks_into("{{ query | trim }}")
    (True, False)
    """
    from jinja2 import nodes

    tree = environment().parse(template)
    asks = any(test.name not in ("defined", "undefined") for test in tree.find_all(nodes.Test))
    return asks or any(one.name in _ASKING for one in tree.find_all(nodes.Filter))


_ASKING = frozenset(
    {
        "indent", "reject", "rejectattr", "replace", "select", "selectattr", "striptags",
        "truncate", "wordcount",
    }
)  # fmt: skip


@lru_cache(maxsize=1)
def environment() -> Sandbox:
    """Return the jinja environment of templates."""
    from chainlang.semantics.sandbox import Missing, Sandbox

    class Absent(Missing):
        @property
        def _undefined_message(self) -> str:
            """Message for an unknown name, with the known names."""
            of, name = self._undefined_obj, self._undefined_name
            if self._undefined_hint or not isinstance(name, str):
                return str(super()._undefined_message)
            names = of.names() if isinstance(of, View) else of if isinstance(of, dict) else ()
            return absent(name, names)

    return Sandbox(Absent)
