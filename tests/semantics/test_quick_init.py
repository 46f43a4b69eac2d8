"""Classes with a quick `__init__`: the arguments, defaults and errors are those of attrs."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from attrs import NOTHING, Factory, evolve, field, fields, frozen
from attrs.exceptions import FrozenInstanceError

from chainlang.protocol.messages import Completion, Message, Sample
from chainlang.protocol.quick_init import quick_init
from chainlang.protocol.usage import Usage
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.record import Candidate, TraceEntry

QUICK: list[type[Any]] = [Candidate, Completion, Message, Outcome, Sample, TraceEntry, Usage]


@pytest.mark.parametrize("cls", QUICK)
def test_each_field_is_an_argument_with_its_default(cls: type[Any]) -> None:
    arguments = list(inspect.signature(cls).parameters.values())
    several = sorted(fields(cls), key=lambda one: one.kw_only)
    empty = inspect.Parameter.empty
    assert [(one.name, one.default, one.kind is one.KEYWORD_ONLY) for one in arguments] == [
        (one.name, empty if one.default is NOTHING else one.default, one.kw_only) for one in several
    ]


@pytest.mark.parametrize("cls", QUICK)
def test_an_instance_is_one_of_its_class_with_its_values(cls: type[Any]) -> None:
    given = {one.name: (one.name,) for one in fields(cls)}
    made = cls(**given)
    assert type(made) is cls
    assert {one.name: getattr(made, one.name) for one in fields(cls)} == given
    assert pickle.loads(pickle.dumps(made)) == made == evolve(made) == cls(**given)
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(cls)[0].name, 1)
    with pytest.raises(TypeError, match=f"{cls.__name__}.__init__.* unexpected keyword"):
        cls(**given, other=1)


def test_a_factory_makes_a_value_for_each_instance() -> None:
    @quick_init
    @frozen(weakref_slot=False)
    class Made:
        one: list[int] = field(factory=list)

    found, other = Made(), Made()
    found.one.append(1)
    assert (found.one, other.one, Made([2]).one) == ([1], [], [2])


def test_what_the_quick_init_does_not_know_is_an_error() -> None:
    class Derived:
        one: int = field(default=Factory(lambda self: 1, takes_self=True))

    class Converted:
        one: int = field(converter=int)

    class Checked:
        one: int = field(validator=lambda *_: None)

    class Unnamed:
        one: int = field(default=1, init=False)

    for cls in (Derived, Converted, Checked, Unnamed):
        with pytest.raises(TypeError, match="one is more than an argument"):
            quick_init(frozen(weakref_slot=False)(cls))
    with pytest.raises(TypeError, match="Derived is to be made with weakref_slot=False"):
        quick_init(frozen(Derived))
