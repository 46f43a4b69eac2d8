"""Programs that try to get out: a fifth of them, of each kind; `make soak` tries all."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from chainlang.errors import EngineError
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import NAMES
from chainlang.sandboxes.seccomp import denied, filter_program, supported
from tests.sandboxes.escapes import Outcome, apart, attempts, ordinary_python

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
STEP = 5
HOW: dict[str, Any] = {"seconds": 0.3, "closing": 120, "at_once": 2, "beside": 30}


def check(found: Outcome) -> None:
    assert found.tried >= 30
    assert found.out == found.left == found.beside == ()


def test_there_are_more_than_150_programs_of_each_kind_some() -> None:
    found = attempts()
    assert len(found) >= 150
    kinds = {one.kind for one in found}
    assert {one.kind for one in attempts(STEP)} == kinds
    assert len(kinds) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nothing_gets_out(name: str) -> None:
    try:
        sandbox(name)
    except EngineError as error:
        pytest.skip(str(error))
    check(apart(name, STEP, **HOW))


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user already")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_gets_out_of_the_processes_of_an_ordinary_user(name: str) -> None:
    if ordinary_python() is None:
        pytest.skip("there is no Python of this version that an ordinary user may run")
    check(apart(name, STEP + 2, **HOW, ordinary=True))


@pytest.mark.skipif(not supported(), reason="there is no filter for this machine")
def test_the_filter_denies_each_number_once() -> None:
    numbers = list(denied().values())
    assert len(set(numbers)) == len(numbers)
    assert len(filter_program()) == 8 * (14 + 2 * len(numbers))
