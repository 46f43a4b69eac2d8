"""Python functions in chains: their arguments, their calls, and their results as candidates.

Chains hold names of functions only; `Bound` holds the functions.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args, get_origin

from attrs import evolve, field, frozen

from chainlang.datatypes.plain_values import plain
from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.ir.builtins import Kind
from chainlang.limits import current
from chainlang.semantics.not_json import NotJson, reason
from chainlang.semantics.own_values import hold, own, own_candidate, own_part
from chainlang.semantics.part import Part
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError, no_candidates
from chainlang.semantics.template_values import View

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_SEVERAL = frozenset({list, tuple, Sequence, Collection, Iterable, Iterator})
_FED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class FunctionError(StageError):
    """Exception of a function, with its place in the function's file; `traceback` is complete."""

    def __init__(self, raised: BaseException) -> None:
        frames = raised.__traceback__
        while frames is not None and _is_ours(frames.tb_frame.f_globals.get("__name__", "")):
            frames = frames.tb_next
        self.traceback = "".join(traceback.format_exception(type(raised), raised, frames))
        self.where = _where(traceback.extract_tb(frames))
        said = "".join(traceback.format_exception_only(raised)).strip()
        super().__init__(said, "function")


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]


def _where(frames: traceback.StackSummary) -> str | None:
    """Return the last executed line in the function's own file; None if there is none."""
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    if not own:
        return None  # a built-in function
    return f"{own[-1].filename}:{own[-1].lineno}, in {own[-1].name}: {own[-1].line}"


# ---------------------------------------------------------------- parameters


@frozen
class Parameter:
    """A parameter of a function: its name, its annotation, and whether it is optional."""

    name: str
    wants: Any = field(default=Any, eq=False)
    optional: bool = False

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """Validator of its values; None without an annotation."""
        if self.wants in (Any, object):
            return None
        from pydantic import TypeAdapter

        return TypeAdapter(self.wants)

    def read(self, value: Any) -> Any:
        """Convert a value to the parameter's type. Raises `StageError` if it does not fit."""
        if self.adapter is None:
            return value
        from pydantic import ValidationError

        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join([self.name, *map(str, first["loc"])])
            raise StageError(f"{where}: {first['msg']}", "input") from error


@frozen
class UserFunction:
    """A function with its name in a chain, and the parameters of its signature.

    The first positional parameter receives candidates. If its annotation is a list or another
    sequence, the function is a fold: it is called once, with all candidates. Otherwise it is a map,
    which is called once for each. A function without a positional parameter is a generator: it is
    called once and reads no candidates. With the annotation `Candidate`, the parameter receives
    candidates; otherwise their answers. Keyword-only parameters receive the values of the record
    with their names: a field of the row, the query, the answer of a named part, or the `Part`
    itself if that is the annotation.

    >>> def shout(answer: str, *, mark="!") -> str:
    ...     return answer.upper() + mark
    >>> found = UserFunction.of("shout", shout)
    >>> found.kind, [parameter.name for parameter in found.names]
    ('map', ['mark'])
    """

    name: str
    function: Callable[..., Any]
    kind: Kind = field(eq=False)
    fed: Parameter | None = field(eq=False)
    """The positional parameter; None for a generator."""
    names: tuple[Parameter, ...] = field(default=(), eq=False)
    """The keyword-only parameters."""
    is_async: bool = field(default=False, eq=False)
    is_pure: bool = field(default=False, eq=False)
    """Whether it has no side effects, so that its place in time does not matter."""

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> UserFunction:
        """Inspect a function. Raises `OperandError` for one that a chain can't call."""
        if not callable(function):
            message = f"@{name} can't be {shown(function)}: it is not callable"
            raise error_of("operand", message)
        parameters = _parameters(name, function)
        first = next((one for one in parameters if one.kind in _FED), None)
        if first is None:
            first = next((one for one in parameters if one.kind is one.VAR_POSITIONAL), None)
        for one in parameters:
            if one.kind in _FED and one is not first and one.default is one.empty:
                message = f"{name}() takes {one.name!r} by position, and a chain passes one value"
                hint = f"write `*, {one.name}` to receive the value of that name in the record"
                raise error_of("operand", message, hint)
        names = tuple(
            Parameter(one.name, _wanted(one), one.default is not one.empty)
            for one in parameters
            if one.kind is one.KEYWORD_ONLY
        )
        called = function if inspect.isroutine(function) else type(function).__call__
        is_async = any(
            asks(one)
            for asks in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
            for one in (function, called)
        )
        if first is None:
            return cls(name, function, "generate", None, names, is_async)
        wants = _wanted(first)
        if (get_origin(wants) or wants) not in _SEVERAL:
            return cls(name, function, "map", Parameter(first.name, wants), names, is_async)
        (item, *_) = get_args(wants) or (Any,)
        return cls(name, function, "fold", Parameter(first.name, item), names, is_async)

    def check(self) -> None:
        """Raise `OperandError` for an invalid annotation."""
        for one in (self.fed, *self.names):
            if one is None or one.wants in (Candidate, Part):
                continue
            try:
                _ = one.adapter
            except (RuntimeError, NameError, TypeError) as error:  # pydantic's, and Python's own
                wants = getattr(one.wants, "__name__", str(one.wants))
                message = f"{self.name}() takes {one.name!r} as {wants}, which is not a JSON value"
                hint = "annotate it with a JSON type, a pydantic model or Candidate"
                raise error_of("operand", message, hint) from error

    def readings(self, record: Record) -> tuple[tuple[Candidate, ...], ...]:
        """Return the candidates for each call.

        Raises `StageError` if a fold or a map has no candidates.
        """
        if self.kind == "generate":
            return ((),)
        if not record.candidates:
            raise no_candidates("it")
        if self.kind == "fold":
            return (record.candidates,)
        return tuple((one,) for one in record.candidates)

    def arguments(
        self, record: Record, read: tuple[Candidate, ...]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and keyword arguments of a call, which the function may change.

        Raises `StageError` for a missing value, or one of another type.
        """
        given: list[Any] = []
        if self.fed is not None:
            fed, whole = self.fed, self.fed.wants is Candidate
            values = [own_candidate(one) if whole else fed.read(own(one.answer)) for one in read]
            given = [values] if self.kind == "fold" else values
        by_name = {}
        for one in self.names:
            if one.name in record.values:
                by_name[one.name] = self._named(one, record)
            elif not one.optional:
                hint = f": declare `{one.name}` in `input`" if one.name in record.extra else ""
                missing = f"it wants {one.name!r}, which this row does not have{hint}"
                raise StageError(missing, "input")
        return given, by_name

    def _named(self, parameter: Parameter, record: Record) -> Any:
        value = record.values[parameter.name]
        if parameter.name == "candidates":
            return [own_candidate(one) for one in record.candidates]
        if isinstance(value, NotJson):
            raise StageError(reason(value), "input")
        if isinstance(value, View):  # so the record knows a part by this name
            part = own_part(record.history[parameter.name])
            return part if parameter.wants is Part else parameter.read(part.answer)
        return parameter.read(own(value))

    # ------------------------------------------------------------ calls

    def of_answer(self, answer: Any) -> Any:
        """Return what the function returns for an answer, as a JSON value.

        Raises `StageError` as `call` does, with the name of the function.
        """
        assert self.fed is not None
        try:
            given = self.fed.read(own(answer))
            try:
                found = self.function(given)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # as in `call`
                raise FunctionError(error) from error
            return _held(found)
        except StageError as error:
            raise error.saying(f"@{self.name} failed on {shown(answer, 60)}: {error}") from error

    def call(self, record: Record, read: tuple[Candidate, ...], place: Place) -> Candidates:
        """Call the function and return its candidates.

        Raises `StageError`, or `FunctionError` for whatever the function raised but Ctrl-C.
        """
        given, by_name = self.arguments(record, read)
        try:
            found = _listed(self.function(*given, **by_name), current().samples_per_stage)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit and CancelledError: of one row only
            raise FunctionError(error) from error
        return self._candidates(found, place, current().samples_per_stage)

    async def acall(
        self, record: Record, read: tuple[Candidate, ...], place: Place, most: int
    ) -> Candidates:
        """Call the async function and return its candidates, at most `most`. Raises as `call`.

        `most` is a parameter, because limits in force are per thread, and this runs in another one.
        """
        given, by_name = self.arguments(record, read)
        try:
            made = self.function(*given, **by_name)
            if hasattr(made, "__aiter__"):
                found: Any = []
                async for one in made:
                    found.append(one)
                    if len(found) > most:
                        break
            else:
                found = _listed(await made, most)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # as above
            raise FunctionError(error) from error
        return self._candidates(found, place, most)

    def _candidates(self, found: Any, place: Place, most: int) -> Candidates:
        """Convert a return value to candidates: none, one, or one for each item."""
        several = found if isinstance(found, list) else [found]
        if len(several) > most:
            message = f"it returned more than {most:,} candidates, the limit samples_per_stage"
            raise StageError(message, "function")
        return tuple(self._candidate(one, place) for one in several if one is not None)

    def _candidate(self, value: Any, place: Place) -> Candidate:
        if isinstance(value, Candidate):
            answer, fields = _held(value.answer), _held(dict(value.fields))
            return evolve(value, answer=answer, fields=fields, place=value.place or place)
        made = _held(value)
        fields = made if isinstance(made, dict) else {}
        is_plain = type(made) is type(value) and made == value
        typed = None if is_plain else value
        return Candidate(fields.get("answer", made), fields, place=place, value=typed)


Candidates = tuple[Candidate, ...]


def _held(value: Any) -> Any:
    """Return a returned value as JSON values. Raises `StageError` if JSON can't hold it."""
    try:
        made = plain(value, sort=True)
        hold(made)
    except Exception as error:  # serializers are user code
        found = f"it returned {shown(value)} ({type(value).__name__})"
        raise StageError(f"{found}, which JSON can't hold: {error}", "function") from error
    return made


def _parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except NameError as error:
        message = f"the annotations of {name}() can't be read: {error}"
        hint = "import what they name where the function is defined, not for type checkers alone"
        raise error_of("operand", message, hint) from error
    except (TypeError, ValueError):  # some built-in functions have no signature
        return [inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY)]


def _wanted(parameter: inspect.Parameter) -> Any:
    return Any if parameter.annotation is parameter.empty else parameter.annotation


def _listed(value: Any, most: int) -> Any:
    """Return lists, tuples and iterators as a list of at most `most + 1` items; others as is."""
    if isinstance(value, list | tuple | Iterator):
        return list(islice(value, most + 1))
    return value
