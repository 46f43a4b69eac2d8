"""`Specification`: types of an operator's inputs and output, and the template of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from chainlang.compat.ember.exceptions import (
    InvalidArgumentError,
    InvalidPromptError,
    SpecificationValidationError,
)
from chainlang.compat.ember.structures import fields_of

__all__ = ["Specification"]

In = TypeVar("In")
Out = TypeVar("Out")


class Specification(Generic[In, Out]):
    """Types of an operator's inputs and output, and the template of its prompt.

    The four are attributes of a subclass, with or without annotation, or arguments; an older name
    of `structured_output` is `output_model`. The template has the fields of the inputs in braces,
    as in `str.format`. Raises `InvalidPromptError` if it lacks a required field, unless
    `check_all_placeholders` is False.

    >>> from chainlang.compat.ember.structures import EmberModel
    >>> class Question(EmberModel):
    ...     topic: str
    >>> asked = Specification(input_model=Question, prompt_template="What is {topic}?")
    >>> asked.render_prompt(inputs={"topic": "a chain"})
    'What is a chain?'
    """

    input_model: type[BaseModel] | None = None
    structured_output: type[BaseModel] | None = None
    prompt_template: str | None = None
    check_all_placeholders: bool = True
    owner: str = ""
    """Name of the first operator that has it, for messages."""

    def __init__(
        self,
        *,
        input_model: type[BaseModel] | None = None,
        structured_output: type[BaseModel] | None = None,
        prompt_template: str | None = None,
        check_all_placeholders: bool | None = None,
        output_model: type[BaseModel] | None = None,
    ) -> None:
        if input_model is not None:
            self.input_model = input_model
        written = structured_output or output_model or getattr(self, "output_model", None)
        if written is not None:
            self.structured_output = written
        if prompt_template is not None:
            self.prompt_template = prompt_template
        if check_all_placeholders is not None:
            self.check_all_placeholders = check_all_placeholders
        missing = [name for name in self._required() if name not in self._placeholders()]
        if self.prompt_template is not None and self.check_all_placeholders and missing:
            raise InvalidPromptError(
                f"the prompt template of {type(self).__name__} lacks the required field"
                f" '{missing[0]}'",
                recovery_hint=f"write {{{missing[0]}}} in it, or set check_all_placeholders=False",
            )

    @property
    def _called(self) -> str:
        return self.owner or type(self).__name__

    def _required(self) -> list[str]:
        fields = {} if self.input_model is None else self.input_model.model_fields
        return [name for name, one in fields.items() if one.is_required()]

    def _placeholders(self) -> set[str]:
        found = Formatter().parse(self.prompt_template or "")
        return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in found if name}

    def render_prompt(self, *, inputs: Any) -> str:
        """Return the prompt of inputs: a mapping or a model.

        Without a template, the values of the required fields, each in its line. Raises
        `InvalidPromptError` for a field without a value.
        """
        fields = fields_of(inputs)
        if fields is None:
            raise InvalidArgumentError(f"a prompt is rendered from fields, not from {inputs!r}")
        try:
            if self.prompt_template is not None:
                return self.prompt_template.format(**fields)
            return "\n".join(str(fields[name]) for name in self._required())
        except KeyError as error:
            raise InvalidPromptError(
                f"the prompt of {type(self).__name__} needs {error}",
                recovery_hint=f"the inputs have: {', '.join(fields) or 'nothing'}",
            ) from error

    def validate_inputs(self, *, inputs: Any) -> Any:
        """Return inputs as an instance of `input_model`.

        A model of another class, or a result, gives the fields that `input_model` has. Raises
        `SpecificationValidationError`, and `InvalidArgumentError` for a value without fields.
        """
        return _fitted(inputs, self.input_model, f"inputs of {self._called}")

    def validate_output(self, *, output: Any) -> Any:
        """Return an output as an instance of `structured_output`; raises as `validate_inputs`."""
        return _fitted(output, self.structured_output, f"output of {self._called}")

    def model_json_schema(self, *, by_alias: bool = True) -> dict[str, Any]:
        """Return the JSON schema of the inputs."""
        if self.input_model is None:
            raise InvalidArgumentError(f"{type(self).__name__} has no input_model")
        return self.input_model.model_json_schema(by_alias=by_alias)


def _fitted(value: Any, model: type[BaseModel] | None, what: str) -> Any:
    if model is None or isinstance(value, model):
        return value
    fields = fields_of(value)
    if fields is None:
        raise InvalidArgumentError(
            f"{what}: expected {model.__name__} or its fields, found {value!r}"
        )
    if not isinstance(value, dict):  # an object of another class: its fields with these names
        fields = {name: one for name, one in fields.items() if name in _names(model)}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or model.__name__}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise SpecificationValidationError(
            f"{what} do not fit {model.__name__}: {found}"
        ) from error


def _names(model: type[BaseModel]) -> Mapping[str, Any]:
    return {
        name: None
        for field, one in model.model_fields.items()
        for name in (field, one.alias)
        if name is not None
    }
