"""`EmberModel`: a pydantic model that is also read as a mapping."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model

from chainlang.api import recording

__all__ = ["EmberModel", "Field", "fields_of"]

_PRIVATE = ("__pydantic_extra__", "__pydantic_private__")


class EmberModel(BaseModel):
    """A pydantic model whose fields are read as attributes or as items; others are errors.

    >>> class Answer(EmberModel):
    ...     text: str
    ...     score: float = 0.5
    >>> answer = Answer(text="42")
    >>> answer["text"], answer.get("topic", "none"), dict(answer)
    ('42', 'none', {'text': '42', 'score': 0.5})
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, /, **fields: Any) -> None:
        if recording.current() is None:
            super().__init__(**fields)
            return
        made = type(self).model_construct(**fields)  # of stand-ins, in a function that is traced
        for name in ("__dict__", "__pydantic_fields_set__", *_PRIVATE):
            object.__setattr__(self, name, getattr(made, name))

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # so pydantic skips it

    def __getitem__(self, name: str) -> Any:
        if name not in type(self).model_fields:
            known = ", ".join(type(self).model_fields)
            raise KeyError(f"no field '{name}'; available: {known}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # keys, as of a mapping
        return iter(type(self).model_fields)

    def __len__(self) -> int:
        return len(type(self).model_fields)

    def __contains__(self, name: object) -> bool:
        return name in type(self).model_fields

    def __bool__(self) -> bool:
        return True  # also without fields

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field; `default` if there is none of this name."""
        return getattr(self, name) if name in self else default

    def keys(self) -> KeysView[str]:
        """Return the names of the fields."""
        return self.as_dict().keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the fields."""
        return self.as_dict().values()

    def items(self) -> ItemsView[str, Any]:
        """Return names and values of the fields."""
        return self.as_dict().items()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields; nested models stay models."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, nested models as dicts."""
        return self.model_dump()

    def to_json(self) -> str:
        """Return the fields as JSON."""
        return self.model_dump_json()

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the model with these fields. Raises pydantic's error for invalid ones."""
        return cls.model_validate(dict(fields))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the model that a JSON text holds."""
        return cls.model_validate_json(text)

    @classmethod
    def create_type(cls, name: str, fields: Mapping[str, Any]) -> type[Self]:
        """Return a new model, with a type or a type and a default for each field.

        >>> Point = EmberModel.create_type("Point", {"x": int, "y": (int, 0)})
        >>> Point(x=1)
        Point(x=1, y=0)
        """
        given = {key: one if isinstance(one, tuple) else (one, ...) for key, one in fields.items()}
        return create_model(name, __base__=cls, **given)  # type: ignore[call-overload, no-any-return]


Mapping.register(EmberModel)


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of a model, a mapping or a result; None of any other value."""
    if isinstance(value, type):
        return None
    as_dict = getattr(value, "as_dict", None)
    if callable(as_dict):
        found: dict[str, Any] = as_dict()
        return found
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return dict(value) if isinstance(value, Mapping) else None
