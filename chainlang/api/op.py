"""`op`: user-defined stage types, declared in Python.

The node is that of ``op name : kind -> type { ... }`` in a file. It is printed as notation and
parsed again, so that errors have a caret. All errors are raised together.
"""

from __future__ import annotations

import dis
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from attrs import define, field

from chainlang.analysis.check_file import resolve_file
from chainlang.analysis.path_faults import Reader
from chainlang.analysis.record_types import Name, Readable
from chainlang.api.stage_types import CodeStage, GenerateStage, ModelStage, StageWord, literal
from chainlang.data.row import Unreadable
from chainlang.data.to_json import plain_row
from chainlang.datatypes.check_types import declared_types
from chainlang.datatypes.from_python import Described, NoType, described
from chainlang.datatypes.row_types import row_choices
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import article, shown
from chainlang.diagnostics.source import part_span
from chainlang.errors import ChainlangError, OperandError, raise_errors
from chainlang.ir.builtins import CODE, EXAMPLES, EXPRESSIONS, KINDS, template_of
from chainlang.ir.declarations import Op, Setting, Type, TypeDef
from chainlang.ir.verify import is_name
from chainlang.notation import parse_file, source
from chainlang.notation.literals import at_literal
from chainlang.notation.unparse import unparse_item
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.examples import as_lines
from chainlang.semantics.expressions import names
from chainlang.semantics.prompts import variables

if TYPE_CHECKING:
    from chainlang.api.keywords import CodeSettings, OpSettings

_LEFT_OUT: Any = object()
_KINDS = (*KINDS, CODE)


@overload
def op(function: Callable[..., Any], /) -> GenerateStage: ...
@overload
def op(
    name: str,
    *,
    user: str,
    kind: Literal["generate"] = ...,
    returns: Any = ...,
    **settings: Unpack[OpSettings],
) -> GenerateStage: ...
@overload
def op(
    name: str,
    *,
    user: str,
    kind: Literal["map", "fold"],
    returns: Any = ...,
    **settings: Unpack[OpSettings],
) -> ModelStage: ...
@overload
def op(name: str, *, kind: Literal["code"], **settings: Unpack[CodeSettings]) -> CodeStage: ...
@overload
def op(
    *, kind: Literal["generate"] = ..., returns: Any = ..., **settings: Unpack[OpSettings]
) -> Callable[[Callable[..., Any]], GenerateStage]: ...
@overload
def op(
    *, kind: Literal["map", "fold"], returns: Any = ..., **settings: Unpack[OpSettings]
) -> Callable[[Callable[..., Any]], ModelStage]: ...


def op(
    name: Any = None,
    *,
    user: Any = _LEFT_OUT,
    kind: Any = "generate",
    returns: Any = _LEFT_OUT,
    **settings: object,
) -> Any:
    """Return a new type of stage, as ``op name : kind -> returns { ... }`` declares one in a file.

    `user` is the prompt, a template over the fields of a row; `kind` is ``"generate"``, ``"map"``
    or ``"fold"``; `returns` is a type in the notation or in Python: a pydantic model, an enum, a
    ``Literal``, whatever pydantic can validate; other settings are `system`, `messages`, `model`,
    `temperature` and the sampling options. An op of the kind ``"code"`` runs programs: it has no
    prompt, and the settings of `code`. As a decorator, ``@op`` or ``@op(model="tiny")``, it takes
    these from a function: the docstring is the prompt, the parameters are what it reads, the
    annotation is what it returns. The function itself is never called; type checkers ask for a body
    that returns such a value or none, which is ``raise NotImplementedError``.

    Raises what is wrong with it, all at once: `OperandError` for a value that does not belong
    there, and what a file would be refused for.

    >>> classify = op("classify", user="Review: {{ text }}", returns='"pos" | "neg"')
    >>> print(3 * classify("tiny"), end="")
    op classify : generate -> "pos" | "neg" {
      user = "Review: {{ text }}"
    }
    main = 3 * classify:tiny
    >>> from typing import Literal
    >>> @op
    ... def classify(text: str) -> Literal["pos", "neg"]:
    ...     '''Review: {{ text }}'''
    ...     raise NotImplementedError
    >>> classify == op("classify", user="Review: {{ text }}", returns='"pos" | "neg"')
    True
    """
    if isinstance(name, str) and (user is not _LEFT_OUT or kind == CODE):
        prompt = {} if user is _LEFT_OUT else {"user": user}
        maker = _Maker(name, kind, {**prompt, **settings})
        if returns is not _LEFT_OUT and returns is not None:
            maker.take(returns, "returns=")
        return maker.made()
    if user is not _LEFT_OUT:
        hint = 'write op("name", user="..."); of a function, the docstring is the prompt'
        raise_errors([Diagnostic("operand", "op(user=...) has no name", hint=hint)])
    if isinstance(name, str):
        hint = f'write op("{name}", user="..."), a template over the fields of a row'
        raise_errors([Diagnostic("definition", f"the op '{name}' has no prompt", hint=hint)])
    around = sys._getframe(1).f_locals

    def decorate(function: Any) -> StageWord:
        return _of_function(function, kind, returns, settings, around)

    return decorate if name is None else decorate(name)


@define
class _Maker:
    """One declaration in the making, and what is wrong with it so far."""

    name: Any
    kind: Any
    settings: Mapping[str, object]
    reads: frozenset[str] | None = None
    """The parameters of a function; None where the prompt may read anything."""
    found: list[Diagnostic] = field(factory=list)
    returns: Described | None = None

    def note(self, code: str, message: str, hint: str | None = None) -> None:
        self.found.append(Diagnostic(code, message, hint=hint))

    def take(self, annotation: Any, where: str) -> None:
        """Take what a stage returns: a type in the notation, or in Python."""
        try:
            if isinstance(annotation, str):
                self.returns = Described(_written(annotation))
            elif annotation is not str:  # a text as it is, which is what no type means
                self.returns = described(annotation, f"{self.name}_reply")
        except NoType as error:
            hint = "a pydantic model, an enum, a Literal, a built-in type, or a type as text"
            self.note("operand", f"{where} can't be {shown(annotation)}: {error}", hint)
        except ChainlangError as error:
            self.found += error.diagnostics

    @property
    def lists(self) -> frozenset[str]:
        """The lists of a row that the replies have values of."""
        if self.returns is None:
            return frozenset()
        types = declared_types(self.returns.declared)
        return frozenset(one.name for one in row_choices(self.returns.type, types))

    def made(self) -> StageWord:
        """Return the type of stage. Raises everything that is wrong with it."""
        name, kind = self.name, self.kind
        if not is_name(name):
            self.note(
                "operand",
                f"{shown(name)} can't be the name of a type",
                "names are Python identifiers",
            )
            name = "op_"
        if not is_name(kind):
            self.note(
                "operand", f"there is no kind {shown(kind)}", f"the kinds are {', '.join(_KINDS)}"
            )
            kind = _KINDS[0]
        given = []
        for key, value in self.settings.items():
            try:
                value = _rows(value) if key == EXAMPLES else value  # noqa: PLW2901
                given.append(Setting(key, literal(value, f"{key}=")))
            except ChainlangError as error:
                self.found += error.diagnostics
        returns = self.returns
        types = returns.declared if returns else ()
        written = Op(name, kind, returns.type if returns else None, tuple(given))
        text = "".join(f"{unparse_item(item)}\n" for item in (*types, written))
        file, found = resolve_file(parse_file(source(text, f"<op {name}>")).node)
        # A missing prompt may be among the errors already.
        self.found += (one for one in found if one.code != "definition" or not self.found)
        (made,) = (item for item in file.items if isinstance(item, Op))
        if self.reads is not None and not any(one.code == "template" for one in found):
            self.names(made, self.reads)
        raise_errors(self.found)
        word: type[StageWord] = GenerateStage if kind == "generate" else ModelStage
        word = CodeStage if kind == CODE else word
        return word(name, (*types, made), Bound(returns.classes) if returns else NOTHING)

    def names(self, made: Op, parameters: frozenset[str]) -> None:
        """Note names in the templates that are no parameters."""
        known = Readable({name: Name() for name in parameters}, is_open=False)
        for one in made.settings:
            if (text := template_of(one.name, one.value)) is not None:
                where = part_span(one.span, "value")
                self.found += (at_literal(it, where) for it in Reader(text, known).faults())
            if one.name in EXPRESSIONS and isinstance(one.value, str):
                where = part_span(one.span, "value")
                reader = Reader(one.value, known, code="expression")
                self.found += (at_literal(it, where) for it in reader.faults())
        for name in sorted(self.lists - parameters):
            hint = f"add the parameter {name}: list[str]"
            self.note("type", f'one("{name}") names no parameter of {self.name}', hint)


def _rows(value: Any) -> Any:
    """Return a list of rows as the text of examples; any other value as it is."""
    if not isinstance(value, list | tuple):
        return value
    try:
        return as_lines(plain_row(one) for one in value)
    except (TypeError, ValueError, Unreadable) as error:
        hint = 'write rows with their reply: examples=[{"query": "1 + 1?", "answer": "2"}]'
        raise OperandError(
            [Diagnostic("operand", f"examples= is no list of rows: {error}", hint=hint)]
        ) from error


def _written(text: str) -> Type:
    declared = parse_file(source(f"type returned = {text}", "<returns>")).node.items
    if len(declared) != 1 or not isinstance(declared[0], TypeDef):
        message = f"returns={shown(text)} is not one type"
        hint = 'write a type, as in returns=\'"yes" | "no"\''
        raise_errors([Diagnostic("operand", message, hint=hint)])
        raise AssertionError("unreachable")
    return declared[0].type


# ---------------------------------------------------------------- functions


def _of_function(
    function: Any,
    kind: Any,
    returns: Any,
    settings: Mapping[str, object],
    around: Mapping[str, Any],
) -> StageWord:
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        what = "a class" if isinstance(function, type) else article(type(function).__name__)
        what = "a lambda" if inspect.isfunction(function) else what
        message = f"op declares what a function says, and {shown(function)} is {what}"
        hint = 'write @op above `def name(field: str) -> str: """the prompt"""`'
        raise_errors([Diagnostic("operand", message, hint=hint)])
    prompt = inspect.cleandoc(function.__doc__ or "")
    settings = {"user": prompt, **settings} if prompt else settings
    maker = _Maker(function.__name__, kind, settings)
    for message, hint in _function_faults(function, prompt):
        maker.note("operand", message, hint)
    annotation = _returned(maker, function, around)
    if returns is not _LEFT_OUT and annotation is not _LEFT_OUT:
        hint = "say once what it returns"
        maker.note("operand", f"{function.__name__} has an annotation, and returns= too", hint)
    elif returns is not _LEFT_OUT or annotation is not _LEFT_OUT:
        by_annotation = returns is _LEFT_OUT
        where = f"the annotation of {function.__name__}" if by_annotation else "returns="
        maker.take(annotation if by_annotation else returns, where)
    _parameters(maker, function, prompt, settings)
    return maker.made()


def _function_faults(function: Any, prompt: str) -> list[tuple[str, str]]:
    """Return what makes a function more than a declaration, or less."""
    name = function.__name__
    found = []
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        found.append((f"{name} is never called, so it can't be async or yield", "write def"))
    elif not _is_empty(function):
        hint = f"the docstring is all there is; to run Python, write chain >> {name} without @op"
        found.append((f"{name} has a body, which would never run", hint))
    if not prompt:
        found.append((f"{name} has no docstring", "its docstring is the prompt, a template"))
    return found


_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "COPY_FREE_VARS"}
_RAISING = _NOTHING | {"LOAD_GLOBAL", "RAISE_VARARGS"}


def _is_empty(function: Any) -> bool:
    """Return whether a function only declares: ``...``, ``pass``, ``raise NotImplementedError``."""
    constants = set(function.__code__.co_consts) - {function.__doc__, None, ...}
    instructions = {one.opname for one in dis.get_instructions(function)}
    raises = function.__code__.co_names == ("NotImplementedError",)
    return not constants and instructions <= (_RAISING if raises else _NOTHING)


def _parameters(maker: _Maker, function: Any, prompt: str, settings: Mapping[str, object]) -> None:
    """Take the parameters, after noting those that are none, or that nothing reads."""
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            stars = "*" if one.kind is one.VAR_POSITIONAL else "**"
            hint = "name each field of a row that the prompt reads"
            maker.note("operand", f"{stars}{one.name} names no field", hint)
            continue
        found.append(one.name)
        if one.default is not one.empty:
            hint = f"say it in the prompt: {{{{ {one.name} | default({one.default!r}) }}}}"
            maker.note(
                "operand",
                f"the default of '{one.name}' has no effect: parameters are names of fields",
                hint,
            )
    if not prompt:
        return  # an error already
    texts, others = (
        (prompt, settings.get("system"), settings.get("prefix")),
        map(settings.get, EXPRESSIONS),
    )
    try:
        read = {name for text in texts if isinstance(text, str) for name in variables(text)}
        read.update(*(names(one) for one in others if isinstance(one, str)))
    except ChainlangError:
        return  # the invalid template is an error already
    read |= maker.lists
    for name in found:
        if name not in read:
            hint = f"write {{{{ {name} }}}} in it, or leave the parameter out"
            maker.note("template", f"the prompt does not read the parameter '{name}'", hint)
    maker.reads = frozenset(found)


def _returned(maker: _Maker, function: Any, around: Mapping[str, Any]) -> Any:
    """Return the annotation of what a function returns."""
    if "return" not in function.__annotations__:
        return _LEFT_OUT
    written = function.__annotations__["return"]
    try:
        hints = typing.get_type_hints(function, localns=dict(around), include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        hint = "a name in an annotation has to be known where the function is declared"
        maker.note(
            "operand", f"the annotations of {function.__name__} can't be read: {error}", hint
        )
        return _LEFT_OUT
    if written is None or written == "None":
        hint = "for a text, write -> str, or nothing"
        maker.note("operand", f"{function.__name__} returns None", hint)
        return _LEFT_OUT
    return hints["return"]
