"""`Operator[In, Out]`: the base class of Ember's operators, with a `forward` in Python."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeVar,
    Unpack,
    get_args,
    get_origin,
)

from pydantic import BaseModel

from chainlang.analysis.program import Program
from chainlang.api import recording
from chainlang.api.chain import Chain, Operand
from chainlang.api.combinators import function
from chainlang.api.run_methods import RunMethods
from chainlang.compat.ember.dataflow import outside, scope_now
from chainlang.compat.ember.exceptions import (
    FrozenOperatorError,
    InvalidArgumentError,
    OperatorError,
    OperatorExecutionError,
)
from chainlang.compat.ember.pending import settled
from chainlang.compat.ember.recording import recorder_now
from chainlang.compat.ember.specification import Specification
from chainlang.compat.ember.structures import fields_of
from chainlang.compat.ember.tracing import observed
from chainlang.compat.ember.use import added, at, next_position, settings_of_call
from chainlang.errors import ChainlangError

if TYPE_CHECKING:
    from chainlang.api.keywords import ExplainKeywords, MapKeywords, RunKeywords
    from chainlang.session.async_results import AsyncResults
    from chainlang.session.explain import Explanation
    from chainlang.session.results import Results
    from chainlang.session.summary import Summary

__all__ = ["Operator"]

In = TypeVar("In")
Out = TypeVar("Out")


class Runner(Protocol):
    """A way to execute a `forward`, as `jit` sets it."""

    def run(self, operator: Any, inputs: Any) -> Any:
        """Return what the `forward` of an operator returns for inputs."""
        ...


class Sealing(type):
    """Metaclass of operators: nothing is assigned to one after its ``__init__``."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        made = super().__call__(*args, **fields)
        missing = [name for name in _declared(cls) if not hasattr(made, name)]
        if missing:
            raise OperatorError(
                f"{cls.__name__} has no value for '{missing[0]}'",
                recovery_hint=f"set self.{missing[0]} in __init__, or give the field a default",
            )
        runner = cls._runner  # type: ignore[attr-defined]  # of `Operator`
        if runner is not None:
            runner.prepare(made)
        object.__setattr__(made, "_is_sealed", True)
        return made


class Operator(Operand, RunMethods, Generic[In, Out], metaclass=Sealing):
    """An operator: `forward` makes an output of inputs; calling it checks both.

    Its types are those of its `specification`, or else the two parameters of the class, where they
    are models. It is called with a model, a dict or the fields, and may be an operand of a chain.
    Fields are declared by annotations and set in ``__init__``, or by keywords if there is none.

    >>> from chainlang.compat.ember.structures import EmberModel
    >>> class Numbers(EmberModel):
    ...     a: int
    ...     b: int
    >>> class Total(EmberModel):
    ...     total: int
    >>> class Add(Operator[Numbers, Total]):
    ...     bias: int = 0
    ...     def forward(self, *, inputs: Numbers) -> Total:
    ...         return Total(total=inputs.a + inputs.b + self.bias)
    >>> Add()(inputs={"a": 17, "b": 25}), Add(bias=1)(a=1, b=2).total
    (Total(total=42), 4)
    """

    if TYPE_CHECKING:  # a subclass may declare it with ClassVar, without, or unannotated

        @property
        def specification(self) -> Any:
            """Types and prompt template, or None."""

        @specification.setter
        def specification(self, value: Any) -> None: ...

    else:
        specification = None
    _runner: ClassVar[Any] = None
    as_one: ClassVar[Callable[[Any], Any]]
    """`one_chain`, which stands above this module."""
    as_recorded: ClassVar[Callable[[Any, Any, Any], Any]]
    """`recorded_operator`, which stands above this module."""
    _is_sealed: bool = False

    def __init__(self, **fields: Any) -> None:
        known = _declared(type(self))
        for name, value in fields.items():
            if name not in known:
                raise InvalidArgumentError(
                    f"{type(self).__name__} has no field '{name}'",
                    recovery_hint=f"it has: {', '.join(known) or 'none'}",
                )
            setattr(self, name, value)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.specification is None:
            types = _parameters(cls)
            if any(types):
                made = Specification[Any, Any](input_model=types[0], structured_output=types[1])
                cls.specification = made
        if isinstance(cls.specification, Specification) and not cls.specification.owner:
            cls.specification.owner = cls.__name__

    def forward(self, *, inputs: In) -> Out:  # noqa: ARG002
        """Return the output for inputs; a subclass defines it."""
        raise OperatorError(
            f"{type(self).__name__} has no forward",
            recovery_hint="define it: def forward(self, *, inputs)",
        )

    def __call__(  # type: ignore[override]  # returns its own type
        self, row: Any = None, /, *, inputs: Any = None, **fields: Any
    ) -> Out:
        """Return the output for inputs: a model or a mapping, or else the fields as keywords.

        `engine` is the engine of all models called inside. Raises `SpecificationValidationError`,
        and `OperatorExecutionError` for an exception of `forward`.
        """
        settings = self._settings(fields)
        given = self._given(row, inputs, fields)
        if (tracer := recording.current()) is not None:
            traced: Out = self._recorded(tracer, given)
            return traced
        recorder, scope = recorder_now(), scope_now()
        if recorder is not None:
            stand_in: Any = recorder.record(self, given)
            return stand_in  # type: ignore[no-any-return]
        position = next_position(lambda: (type(self), str(given)))

        def call() -> Out:
            with settings_of_call(settings):
                made: Out = self._output(settled(given))
                return made

        name = type(self).__name__
        if scope is not None and scope.may_overlap(sys._getframe(1)):
            return scope.start(name, position, call)  # type: ignore[no-any-return]
        with at(position):
            return call() if scope is None else outside(scope.inner(), call)

    def _settings(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the settings among keywords, and remove them there."""
        declared = self.specification and self.specification.input_model
        if "engine" not in fields or (declared and "engine" in declared.model_fields):
            return {}
        return {"engine": fields.pop("engine")}

    def _recorded(self, tracer: recording.Recorder, given: Any) -> Any:
        """Return the stand-in of the output, in a function that is traced."""
        return Operator.as_recorded(tracer, self, given)

    def _given(self, row: Any, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Return the inputs of a call."""
        several = [one for one in (row, inputs, fields or None) if one is not None]
        if len(several) > 1:
            raise InvalidArgumentError(
                f"{type(self).__name__} is called with inputs= or with fields, not with both",
                recovery_hint="write op(inputs={...}), or op(name=value)",
            )
        return several[0] if several else {}

    def _output(self, given: Any) -> Any:
        """Return the checked output for inputs."""
        specification, (takes, gives) = self.specification, _parameters(type(self))
        inputs = given
        if specification is not None and not _is_of(given, takes):
            inputs = specification.validate_inputs(inputs=given)
        with observed(type(self).__name__, inputs) as log:
            try:
                output = self._forwarded(inputs)
            except ChainlangError:
                raise
            except Exception as error:
                raise OperatorExecutionError(
                    f"{type(self).__name__}.forward raised {type(error).__name__}: {error}"
                ) from error
            log(output)
        if specification is None or _is_of(output, gives):
            return output
        return specification.validate_output(output=output)

    def _forwarded(self, inputs: Any) -> Any:
        if self._runner is not None:
            return self._runner.run(self, inputs)
        scope = scope_now()
        if scope is None:
            return self.forward(inputs=inputs)
        return scope.run(lambda: self.forward(inputs=inputs))

    # ------------------------------------------------------------ as a chain

    def as_chain(self) -> Chain:
        """Return the operator as a chain: of its `forward`, if that can be traced.

        Else it is one stage: a function that reads its fields of the record.
        """
        found = Operator.as_one(self)
        chain: Chain | None = getattr(found, "chain", None)
        return self._as_stage() if chain is None else chain

    def _as_stage(self) -> Chain:
        model = self.specification and self.specification.input_model
        names = [*model.model_fields] if model else ["query"]

        def stage(*, candidates: Any = (), **fields: Any) -> Any:
            for one in candidates[:1]:
                fields |= {**one.fields}
            if candidates and "responses" in names:
                fields["responses"] = [one.answer for one in candidates]
            kept = {name: one for name, one in fields.items() if name in names}
            output = self(inputs=kept)
            return fields_of(output) if fields_of(output) is not None else output

        by_name = inspect.Parameter.KEYWORD_ONLY
        stage.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, by_name, default=None if name == "candidates" else ...)
                for name in dict.fromkeys([*names, "candidates"])
            ]
        )
        return function(snake(type(self).__name__), stage)

    def program(self) -> Program:
        """Return the checked program of the operator as a chain."""
        return self.as_chain().program()

    def to_json(self) -> str:
        """Return the operator as a chain, as a JSON document."""
        return self.as_chain().to_json()

    def map(self, rows: Any, **settings: Unpack[MapKeywords]) -> Results:
        """Run the operator as a chain over rows, with the settings of `use` and these."""
        return super().map(rows, **_added(settings, "MapSettings"))

    def amap(self, rows: Any, **settings: Unpack[MapKeywords]) -> AsyncResults:
        """Run the operator as `map` does, for ``async for``."""
        return super().amap(rows, **_added(settings, "MapSettings"))

    def explain(self, rows: Any = None, **settings: Unpack[ExplainKeywords]) -> Explanation:
        """Return how the operator would run as a chain, with the settings of `use` and these."""
        return super().explain(rows, **_added(settings, "ExplainSettings"))

    def run(self, rows: Any, out: str | PathLike[str], **settings: Unpack[RunKeywords]) -> Summary:
        """Run the operator as a chain into a folder, with the settings of `use` and these."""
        return super().run(rows, out, **_added(settings, "RunSettings"))

    # ------------------------------------------------------------ as an object

    def __bool__(self) -> bool:
        return True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_sealed:
            raise FrozenOperatorError(
                f"{type(self).__name__}.{name} can't be set: an operator does not change",
                recovery_hint="set fields in __init__, and hand values from call to call",
            )
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in _declared(type(self)))
        return f"{type(self).__name__}({', '.join(shown)})"

    __str__ = __repr__


def _added(given: Mapping[str, Any], kind: str) -> Any:
    from chainlang import settings

    return added(given, getattr(settings, kind).names())


def snake(name: str) -> str:
    """Return the name of a class as the name of a function."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _declared(cls: type) -> list[str]:
    """Return the names of the fields that annotations of a class and of its bases declare."""
    found: dict[str, None] = {}
    for one in reversed(cls.__mro__):
        if one is Operator or not issubclass(one, Operator):
            continue
        for name, annotation in inspect.get_annotations(one).items():
            is_class = "ClassVar" in str(annotation) or name == "specification"
            if not is_class and not name.startswith("_"):
                found[name] = None
    return [*found]


@cache
def _parameters(cls: type) -> tuple[type[BaseModel] | None, type[BaseModel] | None]:
    """Return the two type parameters of an operator, where they are models."""
    for base in getattr(cls, "__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Operator) and len(get_args(base)) == 2:
            first, second = (one if _is_model(one) else None for one in get_args(base))
            return first, second
    return None, None


def _is_of(value: Any, model: type[BaseModel] | None) -> bool:
    return model is not None and isinstance(value, model)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)
