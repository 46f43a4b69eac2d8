"""Python functions as tools of models: the schemas of their arguments, and their calls."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from chainlang.datatypes.plain_values import plain
from chainlang.diagnostics.render import shown
from chainlang.errors import error_of

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class MisuseError(Exception):
    """Error of the arguments of a call; the message is for the model."""


@frozen
class ToolFunction:
    """A Python function that models may call, with its arguments by name.

    Its docstring is the description, its annotations are the schema.

    >>> def weather(city: str, days: int = 1) -> str:
    ...     "Return the forecast of a city."
    ...     return f"sunny in {city}"
    >>> found = ToolFunction.of("weather", weather)
    >>> found.description, json.loads(found.parameters)["required"]
    ('Return the forecast of a city.', ['city'])
    >>> found.answer('{"city": "Bern"}')
    '{"result": "sunny in Bern"}'
    """

    name: str
    function: Callable[..., Any]
    description: str = field(eq=False)
    parameters: str = field(eq=False)
    """JSON schema of the arguments, as text."""
    is_async: bool = field(eq=False)
    _validator: SchemaValidator = field(eq=False, repr=False)

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> ToolFunction:
        """Inspect a function. Raises `OperandError` for one that a model can't call."""
        if not callable(function):
            raise error_of("operand", f"the tool {name!r} can't be {shown(function)}")
        schema, validator = _described(name, function)
        called = function if inspect.isroutine(function) else type(function).__call__
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
        return cls(name, function, inspect.getdoc(function) or "", schema, is_async, validator)

    def check(self, arguments: str) -> None:
        """Raise `MisuseError` for arguments that do not fit, as JSON."""
        self._read(arguments)

    def answer(self, arguments: str) -> str:
        """Call the function; return its result, or what it raised, as JSON."""
        args, named = self._read(arguments)
        try:
            return _result(self.function(*args, **named))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # of one call, whose model gets it
            return _failure(error)

    async def aanswer(self, arguments: str) -> str:
        """Call the async function as `answer` does."""
        args, named = self._read(arguments)
        try:
            return _result(await self.function(*args, **named))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  # as above
            return _failure(error)

    def _read(self, arguments: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        from pydantic_core import ValidationError

        try:
            return self._validator.validate_python(parsed(arguments))  # type: ignore[no-any-return]
        except ValidationError as error:
            found = [
                ": ".join((".".join(map(str, one["loc"])), one["msg"]))
                for one in error.errors(include_url=False)
            ]
            raise MisuseError("; ".join(found)) from error


def parsed(arguments: str) -> dict[str, Any]:
    """Return arguments as an object. Raises `MisuseError` if they are none."""
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise MisuseError(f"the arguments are not JSON: {error}") from error
    if not isinstance(found, dict):
        raise MisuseError("the arguments are not a JSON object")
    return found


def outcome_of(text: str) -> tuple[str, bool]:
    """Return what a call gave, as text, and whether it is an error; the opposite of `answer`."""
    found = json.loads(text)
    if "error" in found:
        return found["error"], True
    value = found["result"]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), False


def _result(value: Any) -> str:
    return json.dumps({"result": plain(value, sort=True)}, ensure_ascii=False)


def _failure(error: BaseException) -> str:
    return json.dumps({"error": f"{type(error).__name__}: {error}"}, ensure_ascii=False)


def _described(name: str, function: Callable[..., Any]) -> tuple[str, SchemaValidator]:
    """Return the JSON schema of the arguments of a function, and their validator."""
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
    from pydantic_core import SchemaValidator

    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
        for one in parameters:
            if one.kind not in _BY_NAME:
                message = f"the tool {name}() takes {str(one)!r}, which has no name for a model"
                hint = "a model gives each argument by its name: write parameters such as city: str"
                raise error_of("operand", message, hint)
        adapter: TypeAdapter[Any] = TypeAdapter(function)  # type: ignore[arg-type]  # takes one
        schema = adapter.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError, NameError, ValueError) as error:
        message = f"the arguments of the tool {name}() have no JSON schema: {error}"
        hint = "annotate each parameter with a JSON type or a pydantic model"
        raise error_of("operand", message, hint) from error
    whole: Any = adapter.core_schema
    inner = whole["schema"] if whole["type"] == "definitions" else whole
    arguments = inner["arguments_schema"]
    if whole["type"] == "definitions":
        arguments = {**whole, "schema": arguments}
    return json.dumps(_untitled(schema)), SchemaValidator(arguments)


def _untitled(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: _untitled(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else _untitled(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
